"""The contour within a pixel: how much of a mixed pixel is robot, by the colours on both sides.

A pixel on the contour shows a mixture of robot and background. A hard mask rounds it, and rounds
the contour of what stands still (the robot's base) in the same way in every image, so that
averaging does not help. The mixture is taken as lying on the line between the mean colours seen a
few pixels inside and outside the rendered contour.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.normal_equations import ImageTarget

FloatImage = NDArray[np.float32]

REACH_PX = 4
NOISE = 0.03


def matte(image: FloatImage, alpha: FloatImage) -> tuple[FloatImage, FloatImage, NDArray[np.bool_]]:
    """Return the robot's share of every pixel [H,W], its trust 0..1, and where the contour is.

    Args:
        image: seen [H,W,3] 0..1.
        alpha: of the robot as estimated, right to a pixel or two [H,W].
    """
    import cv2

    size = (2 * REACH_PX + 1, 2 * REACH_PX + 1)

    def blur(x: FloatImage) -> FloatImage:
        return np.asarray(cv2.boxFilter(x, -1, size), np.float32)

    def side(weight: FloatImage) -> tuple[FloatImage, FloatImage, FloatImage]:
        count = blur(weight)
        safe = np.maximum(count, np.float32(1e-6))
        mean = (blur(image * weight[..., None]) / safe[..., None]).astype(np.float32)
        square = blur(np.square(image).sum(-1) * weight) / safe
        variance = np.maximum(square - np.square(mean).sum(-1), 0.0)
        return mean, variance.astype(np.float32), count

    # Mixed pixels belong to neither side, also where the estimate is a pixel off.
    square = np.ones((3, 3), np.uint8)
    inside = (np.asarray(cv2.erode(alpha, square)) > 0.95).astype(np.float32)
    outside = (np.asarray(cv2.dilate(alpha, square)) < 0.05).astype(np.float32)
    robot, robot_variance, robot_count = side(inside)
    behind, behind_variance, behind_count = side(outside)
    line = robot - behind
    contrast = np.square(line).sum(-1)
    share = ((image - behind) * line).sum(-1) / np.maximum(contrast, 1e-6)
    off_line = image - behind - share[..., None] * line
    spread = 3 * NOISE**2 + robot_variance + behind_variance + np.square(off_line).sum(-1)
    trust = contrast / (contrast + 4.0 * spread)
    few = 3.0 / (size[0] * size[1])
    contour = (inside == 0) & (outside == 0)
    # A share far off 0..1 is no mixture of the two.
    known = (robot_count > few) & (behind_count > few) & (np.abs(share - 0.5) < 0.8)
    trust = trust * known * contour
    return np.clip(share, 0, 1).astype(np.float32), trust.astype(np.float32), contour


def with_matte(target: ImageTarget, image: FloatImage, alpha: FloatImage) -> ImageTarget:
    """Return a target whose silhouette on the contour is the matte, and what it was elsewhere."""
    assert target.mask is not None
    share, sure, contour = matte(image, alpha)
    trust = np.ones_like(sure) if target.mask_weight is None else target.mask_weight
    return dataclasses.replace(
        target,
        mask=np.where(contour, share, target.mask),
        mask_weight=np.where(contour, sure, trust),
    )
