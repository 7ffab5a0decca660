"""How much of a pixel at the contour shows the robot: between the colours on its two sides.

A camera's pixels at a contour mix robot and background. Told to be one or the other they push the
contour outward or inward by a fraction of a pixel, always to the same side, which moves joints by
a degree.
"""

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


def soften_contour(
    mask: FloatImage, trust: FloatImage, color: FloatImage, reach_px: int = 2
) -> tuple[FloatImage, FloatImage]:
    """Return mask and trust [H,W] with the share of the robot in the pixels along the contour.

    Every pixel next to the mask's contour is a mixture of the mean colours of the sure pixels
    around it on either side; where these hardly differ the pixel is trusted less.

    Args:
        mask: 1 where the robot, 0 where not [H,W].
        trust: 0..1 [H,W].
        color: [H,W,3] 0..1.
        reach_px: how far from a pixel sure ones are looked for.
    """
    import cv2

    three = np.ones((3, 3), np.uint8)
    inside = (mask > 0.5).astype(np.uint8)
    core, hull = cv2.erode(inside, three), cv2.dilate(inside, three)
    edge = (hull > core) & (trust > 0)
    if not edge.any():
        return mask, trust
    size = (2 * reach_px + 3,) * 2

    def mean(where: NDArray[np.bool_]) -> tuple[FloatImage, FloatImage]:
        weight = trust * where
        area = cv2.boxFilter(weight, -1, size, normalize=True, borderType=cv2.BORDER_CONSTANT)
        total = cv2.boxFilter(
            color * weight[..., None], -1, size, normalize=True, borderType=cv2.BORDER_CONSTANT
        )
        color_mean = total / np.maximum(area, 1e-6)[..., None]
        return np.asarray(color_mean, np.float32), np.asarray(area, np.float32)

    robot, robot_area = mean(core > 0)
    around, around_area = mean(hull == 0)
    difference = robot - around
    contrast = np.einsum("hwc,hwc->hw", difference, difference)
    share = np.einsum("hwc,hwc->hw", color - around, difference) / np.maximum(contrast, 1e-6)
    known = edge & (robot_area > 0.02) & (around_area > 0.02)
    sure = contrast / (contrast + 3 * 0.04**2)
    mask = np.where(known, np.clip(share, 0, 1), mask).astype(np.float32)
    trust = np.where(known, trust.max() * sure, np.where(edge, 0.3 * trust, trust))
    return np.asarray(mask, np.float32), np.asarray(trust, np.float32)
