"""Which poses a robot is rendered in, and from where."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.splats.sampling import SurfaceConfig, sample_cells
from drrobot_ros.training.dataset_config import DatasetConfig

Arrays = dict[str, np.ndarray]

_VIEWS_PER_SHARD = 24
_TRIES = 40  # random poses for each one wanted


def make_plan(model: Any, config: DatasetConfig) -> Arrays:
    """Return poses, splits, cameras and surface points, by the names of ``RobotDataset``.

    Raises:
        ModelError: the robot has no surface, or no pose in which it does not touch itself.
    """
    rng = np.random.default_rng(config.seed)
    canonical = [model.neutral().numpy()] if config.canonical_views else []
    counts = (config.poses, config.validation_poses, config.test_poses)
    q = np.array([*canonical, *random_poses(model, sum(counts), config)])
    split = np.repeat([0, 1, 2], counts)
    split = np.concatenate([np.zeros(len(canonical), np.int64), split])
    views = np.full(len(q), config.views)
    views[: len(canonical)] = config.canonical_views
    T_base_link = model.forward_kinematics(torch.from_numpy(q)).float().numpy()
    points, links = _surface(model, config)
    pose_index = np.repeat(np.arange(len(q)), views)
    cameras = np.stack([_camera(rng, T_base_link[p], points, links, config) for p in pose_index])
    # A shard holds whole poses of one scene.
    shard = np.cumsum(views) // _VIEWS_PER_SHARD
    shard = np.unique(shard, return_inverse=True)[1]
    return {
        "q": q,
        "T_base_link": T_base_link,
        "split": split.astype(np.int64),
        "scene": shard.astype(np.int64) if config.randomize else np.zeros(len(q), np.int64),
        "pose_index": pose_index,
        "T_base_camera": cameras,
        "shard_of": shard[pose_index].astype(np.int64),
        "surface_points": points,
        "surface_links": links,
    }


def digest(model: Any, config: DatasetConfig) -> str:
    """Return what tells apart the plans of different robots and settings."""
    h = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for name in (*model.link_names, *model.joint_names):
        h.update(name.encode() + b"\0")
    for visual in model.visuals:
        h.update(visual.vertices.tobytes() + visual.faces.tobytes())
    return h.hexdigest()


def random_poses(model: Any, count: int, config: DatasetConfig) -> NDArray[np.float64]:
    """Return joint positions [count, nq] within limits in which the robot does not touch itself.

    Links that touch in most poses, by how their collision shapes were drawn, do not count.

    Raises:
        ModelError: too few such poses were found.
    """
    if count == 0:
        return np.zeros((0, model.nq))
    if not config.avoid_collisions:
        return model.random_configuration(count, config.seed + 1).numpy()
    from drrobot_ros.simulation import CollisionCheck

    check = CollisionCheck(model)
    probe = [check.contacts(q) for q in model.random_configuration(60, config.seed + 2)]
    counts: dict[tuple[str, str], int] = {}
    for pairs in probe:
        for pair in pairs:
            counts[pair] = counts.get(pair, 0) + 1
    usual = {pair for pair, n in counts.items() if n > 0.6 * len(probe)}
    found: list[NDArray[np.float64]] = []
    for attempt in range(_TRIES):
        for q in model.random_configuration(count, config.seed + 3 + 1000 * attempt).numpy():
            if usual.issuperset(check.contacts(q)):
                found.append(q)
            if len(found) == count:
                return np.array(found)
    raise ModelError(
        f"{model.name!r} touches itself in nearly all poses: {len(found)} of {count} found; "
        "check its collision shapes, or allow collisions"
    )


def _surface(model: Any, config: DatasetConfig) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    plain = SurfaceConfig(edge_band=0.0, inset=0.0, points_per_gaussian=8)
    links = len({v.link for v in model.visuals})
    if config.surface_points < links:
        raise InputError(f"surface_points {config.surface_points} is below the {links} links")
    cells = sample_cells(model, config.surface_points, config.seed, plain)
    return cells.mean.astype(np.float32), cells.link.astype(np.int64)


def _camera(
    rng: np.random.Generator,
    T_base_link: NDArray[np.float32],
    points: NDArray[np.float32],
    links: NDArray[np.int64],
    config: DatasetConfig,
) -> NDArray[np.float64]:
    """Return the pose of a camera on a sphere around the robot that sees all of it."""
    T = T_base_link[links]
    cloud = (T[:, :3, :3] @ points[:, :, None])[..., 0] + T[:, :3, 3]
    middle = 0.5 * (cloud.min(axis=0) + cloud.max(axis=0)).astype(np.float64)
    radius = float(np.linalg.norm(cloud - middle, axis=1).max())
    K = config.camera.K
    half = np.arctan(min(K[0, 2] / K[0, 0], K[1, 2] / K[1, 1]))
    distance = rng.uniform(config.nearest, config.farthest) * radius / np.sin(half)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    up = (0, 0, 1) if abs(direction[2]) < 0.99 else (1, 0, 0)
    return np.asarray(look_at(middle + distance * direction, middle, up=up))
