"""How the files of a dataset are written: each appears whole or not at all."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import DrRobotError
from drrobot_ros.training.dataset import FORMAT, INDEX, VERSION
from drrobot_ros.training.dataset_config import DatasetConfig

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
