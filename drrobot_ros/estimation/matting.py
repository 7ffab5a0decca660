"""How much of a pixel at the contour shows the robot: between the colours on its two sides.

A camera's pixels at a contour mix robot and background. Told to be one or the other they push the
contour outward or inward by a fraction of a pixel, always to the same side, which moves joints by
a degree. A robot's colour also changes with its shading towards the contour, often by more than it
differs from the wall there: what varies on either side is no sign of the other side.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Vector = NDArray[np.float64]

NOISE = 0.015  # least deviation of a colour channel within one side, of 1
SURE = 3.0  # squared distance of the two sides, in deviations, that is half believed
FEWEST = 0.02  # of a window: less of a side says nothing of its colours


def soften_contour(
    mask: FloatImage, trust: FloatImage, color: FloatImage, reach_px: int = 6
) -> tuple[FloatImage, FloatImage]:
    """Return mask and trust [H,W] with the share of the robot in the pixels along the contour.

    Every pixel next to the mask's contour is placed between the mean colours of the sure pixels
    around it on either side, along the direction that tells the two apart best (Fisher's linear
    discriminant); where nothing does the pixel is trusted less.

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
    edge = np.nonzero((hull > core) & (trust > 0))
    if not len(edge[0]):
        return mask, trust
    # Every other pixel of a window tells its colours well enough.
    few = (slice(None, None, 2), slice(None, None, 2))
    planes, near = _moments(color[few]), (edge[0] // 2, edge[1] // 2)
    robot = _Side.of(planes, (trust * (core > 0))[few], near, reach_px // 2)
    around = _Side.of(planes, (trust * (hull == 0))[few], near, reach_px // 2)
    difference = robot.mean - around.mean
    spread = 0.5 * (robot.spread + around.spread)
    direction = np.linalg.solve(spread, difference[..., None])[..., 0]
    distance = np.maximum(np.einsum("nc,nc->n", direction, difference), 1e-6)
    share = np.einsum("nc,nc->n", direction, color[edge] - around.mean) / distance
    known = (robot.area > FEWEST) & (around.area > FEWEST)
    mask, out = mask.copy(), np.array(trust, np.float32)
    mask[edge] = np.where(known, np.clip(share, 0, 1), mask[edge])
    sure = trust.max() * distance / (distance + SURE)
    out[edge] = np.where(known, sure, 0.3 * trust[edge])
    return mask, out


@dataclasses.dataclass(frozen=True)
class _Side:
    """Colours of the sure pixels on one side of the contour, around each of n pixels.

    Attributes:
        area: share of the window they fill [n].
        mean: of their colours [n,3].
        spread: covariance of their colours [n,3,3], noise included.
    """

    area: Vector
    mean: Vector
    spread: Vector

    @classmethod
    def of(cls, planes: FloatImage, weight: FloatImage, at: tuple, reach_px: int) -> "_Side":
        import cv2

        size = (2 * reach_px + 1,) * 2
        total = cv2.boxFilter(
            planes * weight[..., None], -1, size, normalize=True, borderType=cv2.BORDER_CONSTANT
        )[at].astype(np.float64)
        area = total[:, 0]
        moments = total / np.maximum(area, 1e-6)[:, None]
        mean = moments[:, 1:4]
        spread = moments[:, _SQUARES] - mean[:, :, None] * mean[:, None, :]
        return cls(area, mean, spread + NOISE**2 * np.eye(3))


# Where `_moments` keeps the products of channels.
_SQUARES = np.array([[4, 5, 6], [5, 7, 8], [6, 8, 9]])


def _moments(color: FloatImage) -> FloatImage:
    """Return ones, colours and their products [H,W,10]."""
    planes = np.empty((*color.shape[:2], 10), np.float32)
    planes[..., 0] = 1
    planes[..., 1:4] = color
    planes[..., 4:7] = color[..., :1] * color
    planes[..., 7:9] = color[..., 1:2] * color[..., 1:]
    planes[..., 9] = color[..., 2] * color[..., 2]
    return planes
