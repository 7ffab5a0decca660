"""Rendering a dataset with MuJoCo, off screen; it goes on where it was stopped."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from drrobot_ros.errors import InputError
from drrobot_ros.splats.files import SplatFileError, read_arrays
from drrobot_ros.training.dataset import INDEX, PLAN, RobotDataset, shard_path
from drrobot_ros.training.dataset_config import DatasetConfig
from drrobot_ros.training.dataset_files import (
    pack_views,
    write_arrays,
    write_index,
)
from drrobot_ros.training.dataset_plan import digest, make_plan

if TYPE_CHECKING:  # MuJoCo is imported when something is rendered
    from drrobot_ros.simulation import SceneConfig, SimulatedRobot

_MARGIN_PX = 6  # beside the robot, for what a Gaussian's tail paints


def render_dataset(
    model: Any, folder: str | Path, config: DatasetConfig | None = None, progress: bool = True
) -> RobotDataset:
    """Render views of a robot into a folder, or only those that are missing there.

    Args:
        model: the robot.
        folder: of the dataset; made if it does not exist.
        config: how many views and of what.
        progress: show a bar.

    Raises:
        BackendError: there is no off-screen OpenGL; the message says what to install.
        DiskError: the disk is full; what is there is whole, and the rendering can be resumed.
        InputError: the folder holds a dataset of another robot or with other settings.
        ModelError: the robot has nothing to be seen.
    """
    from drrobot_ros.simulation import SimulatedRobot

    config = config or DatasetConfig()
    folder = Path(folder)
    key = digest(model, config)
    plan = _plan(model, folder, config, key)
    if (folder / INDEX).is_file():
        return RobotDataset.load(folder)
    started, spent = time.process_time(), 0.0
    shards = np.unique(plan["shard_of"])
    with tqdm(
        total=len(plan["pose_index"]), desc="rendering", unit="view", disable=not progress
    ) as bar:
        robot: SimulatedRobot | None = None
        try:
            for shard in shards:
                rows = np.flatnonzero(plan["shard_of"] == shard)
                path = shard_path(folder, int(shard))
                if not _is_whole(path, len(rows)):
                    if robot is None or config.randomize:
                        if robot is not None:
                            robot.close()
                        robot = SimulatedRobot(
                            model, config.camera, np.eye(4), scene_of(config, int(shard))
                        )
                    views = [_render(robot, plan, int(row), config) for row in rows]
                    write_arrays(path, **pack_views(views))
                bar.update(len(rows))
        finally:
            if robot is not None:
                robot.close()
    spent += time.process_time() - started
    write_index(folder, config, model, spent)
    return RobotDataset.load(folder)


def scene_of(config: DatasetConfig, shard: int) -> "SceneConfig":
    """Return the scene that a shard is rendered in."""
    from drrobot_ros.simulation import SceneConfig

    common = {"shadows": config.shadows, "support": "floor", "samples": config.samples}
    if not config.randomize:
        return SceneConfig(background="plain", background_grey=1.0, **common)
    rng = np.random.default_rng([config.seed, shard])
    return SceneConfig(
        background=str(rng.choice(["plain", "room", "clutter"])),
        background_grey=float(rng.uniform(0, 1)),
        ambient=float(rng.uniform(0.3, 0.6)),
        headlight=float(rng.uniform(0, 0.3)),
        lamp=float(rng.uniform(0.2, 0.6)),
        lamp_azimuth_rad=float(rng.uniform(-np.pi, np.pi)),
        brightness=float(rng.uniform(0.7, 1.2)),
        warmth=float(rng.uniform(-0.4, 0.4)),
        seed=int(rng.integers(2**31)),
        **common,
    )


def _plan(model: Any, folder: Path, config: DatasetConfig, key: str) -> dict[str, np.ndarray]:
    if (folder / PLAN).is_file():
        plan = read_arrays(folder / PLAN, "plan of a dataset")
        if str(plan.pop("digest", "")) != key:
            raise InputError(
                f"{str(folder)!r} holds views of another robot or with other settings; "
                "choose another folder, or delete this one"
            )
        return plan
    plan = make_plan(model, config)
    write_arrays(folder / PLAN, digest=np.array(key), **plan)
    return plan


def _render(
    robot: "SimulatedRobot", plan: dict[str, np.ndarray], row: int, config: DatasetConfig
) -> dict[str, Any]:
    q = plan["q"][plan["pose_index"][row]]
    frame = robot.render(q, T_base_camera=plan["T_base_camera"][row])
    assert frame.mask is not None and frame.depth_m is not None  # asked for
    depth = np.where(frame.mask, frame.depth_m, 0)
    return {"rgb": frame.rgb, "mask": frame.mask, "depth": depth, "box": _box(frame.mask, config)}


def _box(mask: np.ndarray, config: DatasetConfig) -> tuple[int, int, int, int]:
    H, W = mask.shape
    if config.randomize:
        return 0, 0, W, H
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    low, high = -_MARGIN_PX, _MARGIN_PX + 1
    return (
        max(0, int(columns[0]) + low),
        max(0, int(rows[0]) + low),
        min(W, int(columns[-1]) + high),
        min(H, int(rows[-1]) + high),
    )


def _is_whole(path: Path, count: int) -> bool:
    if not path.is_file():
        return False
    try:
        return len(read_arrays(path, "shard of a dataset")["boxes"]) == count
    except (SplatFileError, KeyError):
        return False
