"""Pixels that show neither the robot nor what is known to be behind it: to be ignored.

Something before the robot, somebody beside it, a shadow on the table: the pixel has changed against
the learned background, yet has no colour of the robot. With depth, what lies before the rendered
robot hides it.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import RenderedImages

FloatImage = NDArray[np.float32]

CHANGED = 4.0  # deviations from the background
RARE = 0.15  # against an even share of all colour groups
NEARER_M = 0.05
MEMORY = 0.1  # share of a new image in what is remembered of the robot's colours


class OccluderFinder:
    """Remembers the robot's colours, and finds pixels that cannot be explained."""

    def __init__(self) -> None:
        self._share: NDArray[np.float64] | None = None
        self._groups: object = None

    def learn(self, groups: object, cluster: NDArray[np.uint8], rendered: RenderedImages) -> None:
        """Take in the robot's colours from an image whose estimate is good.

        Args:
            groups: what tells colours apart; when it changes, the memory starts again.
            cluster: colour group of every pixel [H,W].
            rendered: the robot as estimated.
        """
        if groups is not self._groups:
            self._share, self._groups = None, groups
        inside = rendered.alpha > 0.9
        if inside.sum() < 50:
            return
        count = np.bincount(cluster[inside], minlength=256).astype(np.float64)
        count /= count.sum()
        known = self._share
        self._share = count if known is None else known + MEMORY * (count - known)

    def unexplained(
        self, groups: object, cluster: NDArray[np.uint8], distance: FloatImage | None
    ) -> NDArray[np.bool_] | None:
        """Return which pixels are neither background nor of the robot's colours [H,W].

        Args:
            groups: as in `learn`; of others nothing is known yet.
            cluster: colour group of every pixel [H,W].
            distance: from the learned background in deviations [H,W], 0 where it is not known;
                None: no background is known.
        """
        if self._share is None or groups is not self._groups or distance is None:
            return None
        rare = self._share < RARE / max(int((self._share > 0).sum()), 8)
        return opened((distance > CHANGED) & rare[cluster])


def nearer(level: Level, rendered: RenderedImages) -> NDArray[np.bool_] | None:
    """Return where the depth image shows something before the rendered robot [H,W]; None: no depth.

    A hand's breadth before it, over a patch: the robot itself, slightly misplaced, is not that.
    """
    if level.depth is None:
        return None
    solid = rendered.alpha > 0.9
    z = rendered.depth / np.maximum(rendered.alpha, 1e-3)
    return opened(solid & (level.depth > 0) & (level.depth < z - NEARER_M))


def opened(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop specks and add a margin, whose pixels are mixed colours."""
    import cv2

    three = np.ones((3, 3), np.uint8)
    clean = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, three)
    return cv2.dilate(clean, three) > 0
