"""The robot's own pixels, explained by drawing it at the current estimate."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.rendering.self_filter import is_robot
from drrobot_ros.scene.types import Mask, SceneInput

_MARGIN_PX, _MARGIN_M = 4, 0.03


def robot_pixels(given: SceneInput, depth_m: NDArray[np.float32]) -> Mask:
    """Return the pixels that show the robot [H, W]; none where there is no robot.

    Raises:
        InputError: q is not finite, or of another robot.
    """
    if given.robot is None:
        return np.zeros(depth_m.shape, bool)
    q = np.asarray(given.robot.q, np.float64)
    if not np.isfinite(q).all():
        raise InputError(f"the robot's q must be finite, got {q.tolist()}")
    _, alpha, depth = render_robot(
        given.robot.model, given.robot.gaussians, q, given.T_base_camera, given.camera
    )
    alpha_np, depth_np = alpha.detach().numpy(), depth.detach().numpy()
    return is_robot(depth_m, alpha_np, depth_np, _MARGIN_PX, _MARGIN_M)
