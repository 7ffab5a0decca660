"""The files of a dataset: an index, a plan of poses and cameras, and shards of views."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.splats.files import read_arrays
from drrobot_ros.training.dataset import (
    FORMAT,
    INDEX,
    VERSION,
    DatasetConfig,
    RobotDataset,
    read_json,
    shard_path,
)

PLAN = "plan.npz"
_DEPTH_UNIT_M = 0.0005


class DiskError(DrRobotError, OSError):
    """A file that could not be written; what was written before is whole."""


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an ``.npz`` file that appears whole or not at all.

    Raises:
        DiskError: the disk is full, or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, allow_pickle=False, **arrays)
        os.replace(partial, path)
    except OSError as error:
        raise DiskError(
            f"cannot write {str(path)!r}: {error}; free some room and resume"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all.

    Raises:
        DiskError: the disk is full, or the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text)
        os.replace(partial, path)
    except OSError as error:
        raise DiskError(
            f"cannot write {str(path)!r}: {error}; free some room and resume"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def pack_views(views: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the arrays of a shard: the boxes around the robot of all views, one after another."""
    boxes = np.array([v["box"] for v in views], np.int32).reshape(-1, 4)
    sizes = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0])
    rgb, mask, depth = [np.zeros((0, 3), np.uint8)], [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for view, (x0, y0, x1, y1) in zip(views, boxes, strict=True):
        rgb.append(view["rgb"][y0:y1, x0:x1].reshape(-1, 3))
        mask.append(view["mask"][y0:y1, x0:x1].ravel())
        depth.append(view["depth"][y0:y1, x0:x1].ravel())
    deep = np.concatenate(depth)
    unit = max(_DEPTH_UNIT_M, float(deep.max(initial=0.0)) / 65535)
    return {
        "boxes": boxes,
        "starts": np.cumsum(sizes) - sizes,
        "rgb": np.concatenate(rgb),
        "mask": np.packbits(np.concatenate(mask)),
        "depth": np.round(deep / unit).astype(np.uint16),
        "depth_unit": np.array(unit),
    }


def write_index(folder: Path, config: DatasetConfig, model: Any, seconds: float) -> None:
    """Write the index, which says that the dataset is finished."""
    index = {
        "format": FORMAT,
        "version": VERSION,
        "robot_name": model.name,
        "link_names": list(model.link_names),
        "joint_names": list(model.joint_names),
        "config": dataclasses.asdict(config),
        "seconds": round(seconds, 2),
    }
    write_text(folder / INDEX, json.dumps(index, indent=1) + "\n")


def load_index(folder: Path) -> RobotDataset:
    """Open the dataset in a folder.

    Raises:
        InputError: there is none, it is not finished, or it is damaged.
    """
    if not (folder / INDEX).is_file():
        state = "its rendering was not finished" if (folder / PLAN).is_file() else "nothing there"
        raise InputError(f"no dataset in {str(folder)!r}: {state}")
    index = read_json(folder / INDEX)
    if index.get("format") != FORMAT or index.get("version") != VERSION:
        raise InputError(f"{str(folder / INDEX)!r} is not a {FORMAT} of version {VERSION}")
    plan = read_arrays(folder / PLAN, "plan of a dataset")
    try:
        dataset = RobotDataset(
            folder=folder,
            robot_name=str(index["robot_name"]),
            link_names=tuple(index["link_names"]),
            joint_names=tuple(index["joint_names"]),
            config=DatasetConfig(**index["config"]),
            seconds=float(index["seconds"]),
            **{k: plan[k] for k in plan if k != "digest"},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the dataset in {str(folder)!r} is damaged: {error}") from error
    for number in np.unique(dataset.shard_of):
        if not shard_path(folder, int(number)).is_file():
            raise InputError(f"the dataset in {str(folder)!r} lacks {shard_path(folder, number)}")
    return dataset
