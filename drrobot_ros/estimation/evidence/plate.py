"""The background behind a robot that moved between photos of a camera that stands still.

The median over the photos is what is behind the robot wherever it covers a pixel in less than half
of them. It does not depend on any estimate, so evidence from it leads to the robot from afar.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.evidence.odds import PhotoSet
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import FloatImage

FEWEST = 4
NOISE_LAB = 2.5  # least noise of a colour, units of CIE Lab
UNCHANGED = 2.5  # deviation, in units of the noise, below which a pixel counts as unchanged
# An unchanged pixel may well be robot (white before white), a changed one may be a shadow.
WEAKEST, STRONGEST = -0.8, 3.0


class PhotoPlate:
    """Median colour of every pixel over photos, and how far each photo is from it.

    Args:
        levels: at least four photos of one size.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        import cv2

        lab = np.stack([cv2.cvtColor(level.color, cv2.COLOR_RGB2LAB) for level in levels])
        seen = np.stack([_seen(level) for level in levels])
        masked = np.ma.array(lab, mask=np.broadcast_to(~seen[..., None], lab.shape))
        if seen.all():
            median = np.median(lab, 0)
            spread = 1.4826 * np.median(np.abs(lab - median), 0)
        else:
            median = np.ma.median(masked, 0).filled(0.0)
            spread = 1.4826 * np.ma.median(np.abs(masked - median), 0).filled(0.0)
        error = (lab - median) / np.maximum(spread, NOISE_LAB)
        self._deviation = np.sqrt(np.square(error).sum(-1)).astype(np.float32)
        self._known = seen & (seen.sum(0) >= FEWEST)

    def deviation(self, i: int) -> FloatImage:
        """Return how far photo i is from the median, in units of the noise [H,W]; 0 if unknown."""
        return np.where(self._known[i], self._deviation[i], 0.0).astype(np.float32)

    def odds(self, i: int) -> FloatImage:
        """Return the log-odds that photo i shows something before the background [H,W]."""
        import cv2

        deviation = self._deviation[i]
        # A pixel on the contour is a mixture: it is robot where it changed by more than half.
        most = np.asarray(cv2.dilate(deviation, np.ones((3, 3), np.uint8)), np.float32)
        least = np.maximum(UNCHANGED, 0.5 * most)
        odds = np.clip(deviation - least, WEAKEST, STRONGEST)
        return np.where(self._known[i], odds, 0.0).astype(np.float32)


class PlateSource:
    """What changed against the median of the photos; says nothing of a camera that moves."""

    def __init__(self) -> None:
        self._plates: dict[tuple[str, int], PhotoPlate] = {}

    def plate(self, photos: PhotoSet) -> PhotoPlate | None:
        """Return the plate of a set of photos; None if the camera moves or there are too few."""
        if not photos.still or len(photos.levels) < FEWEST:
            return None
        key = (photos.name, photos.width)
        if key not in self._plates:
            self._plates[key] = PhotoPlate(photos.levels)
        return self._plates[key]

    def __call__(self, photos: PhotoSet) -> Sequence[FloatImage | None]:
        """Return the log-odds of every photo."""
        plate = self.plate(photos)
        if plate is None:
            return [None] * len(photos.levels)
        # Where the robot covers about half of the photos the median may be the robot itself, and
        # what looks changed the background. Where it never leaves, nothing is seen to change.
        covered = photos.coverage()
        doubtful = (covered > 0.4) & (covered < 0.95)
        return [np.where(doubtful, 0.0, plate.odds(i)) for i in range(len(photos.levels))]


def _seen(level: Level) -> NDArray[np.bool_]:
    if level.weight is None:
        return np.ones((level.camera.height, level.camera.width), np.bool_)
    return level.weight > 0
