"""A camera pose that sees a whole robot."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera, look_at

#: From where it looks: in front, to the left, from a little above (base frame, REP 103).
DIRECTION = np.array([1.0, 0.55, 0.42])


def pose_that_sees(
    model: Any, q: NDArray[np.float64], camera: PinholeCamera, margin: float = 0.1
) -> NDArray[np.float64]:
    """Return T_base_camera [4, 4] near the robot from which all of it at q is in the image.

    Args:
        model: the robot.
        q: positions [nq].
        camera: the intrinsics.
        margin: share of the image's size left free at each edge.
    """
    T = model.forward_kinematics(torch.as_tensor(q)).numpy()
    points = np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    )
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    size = np.array([camera.width, camera.height])
    near, far = radius, 1e3 * radius
    while far - near > 1e-3 * radius:
        distance = 0.5 * (near + far)
        T_camera = _from(middle, distance)
        seen = (points - T_camera[:3, 3]) @ T_camera[:3, :3]
        pixels = camera.project(torch.as_tensor(seen)).numpy()
        inside = (pixels > margin * size) & (pixels < (1 - margin) * size)
        if (seen[:, 2] > 0).all() and inside.all():
            far = distance
        else:
            near = distance
    return _from(middle, far)


def _from(middle: NDArray[np.float64], distance: float) -> NDArray[np.float64]:
    return look_at(middle + distance * DIRECTION / np.linalg.norm(DIRECTION), middle)
