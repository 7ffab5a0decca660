"""The robot taken out of depth images, where it is rendered."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

#: Coverage from which a pixel is the robot's.
SOLID = 0.5


def is_robot(
    depth_m: NDArray[np.float32],
    alpha: NDArray[np.float32],
    robot_depth_m: NDArray[np.float32],
    margin_px: int = 0,
    margin_m: float = 0.0,
) -> NDArray[np.bool_]:
    """Return which pixels of a depth image show the robot, and not something before it.

    Args:
        depth_m: measured along the optical axis [H, W] m; 0 or NaN where unknown.
        alpha: rendered coverage [H, W] 0..1.
        robot_depth_m: rendered depth [H, W] m; 0 where there is no robot.
        margin_px: the rendered robot is made larger by so many pixels.
        margin_m: what is nearer than the robot by more than this is not the robot.

    Returns:
        [H, W] bool; true as well where the robot is rendered and nothing was measured.

    Raises:
        InputError: planes of different sizes, or a negative margin.
    """
    if not depth_m.shape == alpha.shape == robot_depth_m.shape:
        raise InputError(
            f"depth is {depth_m.shape}, the rendered robot {alpha.shape} and {robot_depth_m.shape}"
        )
    if margin_px < 0 or margin_m < 0:
        raise InputError(f"margins must not be negative, got {margin_px} px and {margin_m} m")
    inside = alpha > SOLID
    nearest = np.where(inside & (robot_depth_m > 0), robot_depth_m, np.inf).astype(np.float32)
    if margin_px:
        import cv2

        size = 2 * margin_px + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        inside = cv2.dilate(inside.astype(np.uint8), disc).astype(bool)
        # Around the robot its nearest surface counts: none of it may be left standing.
        nearest = np.asarray(cv2.erode(nearest, disc))
    known = np.isfinite(depth_m) & (depth_m > 0)
    before = known & (depth_m < nearest - margin_m) & np.isfinite(nearest)
    return inside & ~before


def without(depth: NDArray[Any], robot: NDArray[np.bool_]) -> NDArray[Any]:
    """Return a depth image [H, W] with pixels taken out: NaN in metres, 0 in whole millimetres."""
    out = depth.copy()
    out[robot] = np.nan if np.issubdtype(depth.dtype, np.floating) else 0
    return out
