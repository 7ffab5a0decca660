"""Images of one camera brought to one exposure, before they are compared with each other.

Cameras choose exposure and white balance anew in every image. What stands still then seems to
change, and the robot is not told from it by what moves. A gain per image and channel undoes that;
it is found where most pixels agree, so the robot and passers-by do not matter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.levels import reduced

Vector = NDArray[np.float64]

WIDTH = 160
DARK, BRIGHT = 8, 247  # grey values outside are noise, or cut off
ALIKE = 0.1  # gains that differ less are left alone: between photos of one exposure, .05
LIT = 150.0  # grey value that the brightest twentieth should reach
MOST = 8.0


def gains_of(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the gain [n,3] that brings every image [H,W,3] to the exposure of most.

    Gains of 1 where images are alike; all are brighter where the images are dark. Images of
    different sizes, or too few to tell what stands still, are left alone but for the latter.
    """
    gains = np.ones((len(images), 3))
    if not len(images):
        return gains
    height, width = images[0].shape[:2]
    size = (min(WIDTH, width), max(1, round(height * min(WIDTH, width) / width)))
    values = np.array([reduced(i, size) for i in images], np.float64)
    if len(images) > 2 and len({i.shape for i in images}) == 1:
        usable = (values.min(axis=-1) > DARK) & (values.max(axis=-1) < BRIGHT)
        for _ in range(2):
            middle = np.median(values * gains[:, None, None], axis=0)
            for k in range(len(images)):
                if usable[k].mean() > 0.1:
                    ratio = middle[usable[k]] / np.maximum(values[k][usable[k]], 1.0)
                    gains[k] = np.median(ratio, axis=0)
        # Only differences are undone: what is common is the light of the room.
        gains /= np.exp(np.median(np.log(np.maximum(gains, 1e-3)), axis=0))
        gains[(np.abs(gains - 1) < ALIKE).all(1)] = 1.0
    lit = float(np.percentile((values * gains[:, None, None]).max(-1), 95))
    if lit < LIT:
        gains *= min(LIT / max(lit, 1.0), MOST)
    return gains


def exposed(image: NDArray[np.uint8], gain: Vector) -> NDArray[np.uint8]:
    """Return an image [H,W,3] with a gain [3] per channel."""
    if (gain == 1.0).all():
        return image
    table = np.clip(np.arange(256)[:, None] * gain, 0, 255).round().astype(np.uint8)
    return np.stack([table[image[..., c], c] for c in range(3)], axis=-1)
