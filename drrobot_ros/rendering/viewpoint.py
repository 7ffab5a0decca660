"""Where a camera has to be to see a whole robot."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera, look_at


def pose_that_sees(
    model: Any,
    q: Any,
    camera: PinholeCamera,
    azimuth_rad: float = 0.5,
    elevation_rad: float = 0.35,
    margin: float = 1.1,
) -> NDArray[np.float64]:
    """Return a camera pose from which all of a robot is in the image.

    Args:
        model: the robot.
        q: joint positions [nq].
        camera: the intrinsics.
        azimuth_rad: direction of the camera around the base's vertical axis, 0: in front.
        elevation_rad: of the camera above the robot's middle.
        margin: how much larger than the robot the view is.

    Returns:
        T_base_camera [4, 4], looking at the robot's middle.
    """
    points = _surface(model, q)
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    radius = margin * float(np.linalg.norm(points - middle, axis=1).max())
    K = camera.K
    half_angle = min(
        np.arctan(min(K[0, 2], camera.width - K[0, 2]) / K[0, 0]),
        np.arctan(min(K[1, 2], camera.height - K[1, 2]) / K[1, 1]),
    )
    c, s = np.cos(elevation_rad), np.sin(elevation_rad)
    direction = np.array([c * np.cos(azimuth_rad), c * np.sin(azimuth_rad), s])
    return look_at(middle + radius / np.sin(half_angle) * direction, middle)


def share_in_view(
    model: Any, q: Any, camera: PinholeCamera, T_base_camera: NDArray[np.float64]
) -> tuple[float, float]:
    """Return which share of a robot's surface is before a camera, and which is in its image.

    Args:
        model: the robot.
        q: joint positions [nq].
        camera: the intrinsics.
        T_base_camera: pose of the camera [4, 4].

    Returns:
        Two shares 0..1 of the vertices of the visual meshes; what hides what is not looked at.
    """
    points = (_surface(model, q) - T_base_camera[:3, 3]) @ T_base_camera[:3, :3]
    before = points[:, 2] > 0
    pixels = camera.project(torch.as_tensor(points[before])).numpy()
    inside = ((pixels > 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    return float(before.mean()), float(inside.sum() / len(points))


def _surface(model: Any, q: Any) -> NDArray[np.float64]:
    """Return the vertices of all visual meshes in base coordinates [n, 3]."""
    T = model.forward_kinematics(torch.as_tensor(np.asarray(q, np.float64))).numpy()
    return np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    )
