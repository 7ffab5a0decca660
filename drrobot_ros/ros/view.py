"""A camera pose that sees a whole robot."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera, look_at

#: From where it looks: in front, to the left, from a little above (base frame, REP 103).
DIRECTION = np.array([1.0, 0.55, 0.42])


def pose_that_sees(
    model: Any, q: NDArray[np.float64], camera: PinholeCamera, margin: float = 1.15
) -> NDArray[np.float64]:
    """Return T_base_camera [4, 4] from which all of the robot at q is in the image.

    Args:
        model: the robot.
        q: positions [nq].
        camera: the intrinsics.
        margin: how much larger than the robot the view is.
    """
    T = model.forward_kinematics(torch.as_tensor(q)).numpy()
    points = np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    )
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    radius = margin * float(np.linalg.norm(points - middle, axis=1).max())
    half_angle = min(
        np.arctan(min(camera.cx, camera.width - camera.cx) / camera.fx),
        np.arctan(min(camera.cy, camera.height - camera.cy) / camera.fy),
    )
    distance = radius / np.sin(half_angle)
    return look_at(middle + distance * DIRECTION / np.linalg.norm(DIRECTION), middle)
