"""What the image says of the silhouette and of the robot's parts, around an estimate.

The robot's splats are grouped into parts of like colour. Colour clusters are counted in the
rendered parts and in the band around the robot; a pixel then says which part it likely shows, or
none. Only colours seen in this image are compared with each other, so light does not matter. The
learned background adds what it knows.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.background import BackgroundPlate
from drrobot_ros.estimation.evidence import agreement
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.matting import soften_contour
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import (
    MAX_LOG_ODDS,
    ColorClusters,
    bounding_box,
    dilate,
    region_odds,
)

FloatImage = NDArray[np.float32]

MATTE_WIDTH = 160  # images at least so wide have contours worth telling from their neighbours
# With this share of the known background so many deviations off, in so many images in a row, it is
# not the scene that changed but the camera that was moved.
MOVED_SHARE, MOVED_OFF, MOVED_IMAGES = 0.4, 4.0, 5


@dataclasses.dataclass(frozen=True)
class RegionTarget:
    """What a pixel likely shows.

    Attributes:
        mask: 1 where the robot, 0 where not [H,W].
        mask_trust: 0..1 [H,W]; 0 far from the estimate.
        parts: one-hot part [H,W,3].
        parts_trust: 0..1 [H,W]; 0 where not the robot.
    """

    mask: FloatImage
    mask_trust: FloatImage
    parts: FloatImage
    parts_trust: FloatImage


class SilhouetteSource:
    """Makes targets for the solver around an estimate, and learns the background.

    Args:
        band: width of the compared band, as a share of the image width.
        every: the background is learned from every so many images.
    """

    def __init__(self, band: float = 0.045, every: int = 3) -> None:
        self._band = band
        self._every = every
        self._clusters: ColorClusters | None = None
        self._plates: dict[int, BackgroundPlate] = {}
        self._seen = 0
        self._moved = 0

    def start(self, level: Level) -> None:
        """Group the colours of a first image."""
        self._clusters = ColorClusters.of(level.pixels)

    def clusters_of(self, level: Level) -> NDArray[np.uint8]:
        """Return the colour cluster of every pixel."""
        if self._clusters is None:
            self.start(level)
        assert self._clusters is not None
        return self._clusters.assign(level.pixels)

    @property
    def groups(self) -> ColorClusters | None:
        """The colour groups; another object once they were made again."""
        return self._clusters

    def distance(self, level: Level) -> FloatImage | None:
        """Return how many deviations pixels are off the learned background [H,W], 0: unknown.

        None where nothing is known; so it is again once the camera was moved.
        """
        plate = self._plates.get(level.camera.width)
        if plate is None:
            return None
        distance = plate.distance(level.color)
        return None if self._camera_moved(plate, distance) else distance

    def _camera_moved(self, plate: BackgroundPlate, distance: FloatImage) -> bool:
        """Forget the background once the camera has moved; tell whether it did."""
        known = 0 if plate.known is None else np.count_nonzero(plate.known)
        off = np.count_nonzero(distance > MOVED_OFF)
        self._moved = self._moved + 1 if off > MOVED_SHARE * max(known, 1) else 0
        if self._moved < MOVED_IMAGES:
            return False
        self._plates.clear()
        self._seen = self._moved = 0
        return True

    def target(self, level: Level, rendered: RenderedImages) -> RegionTarget:
        """Return what the image shows around a rendered estimate (splats coloured by part).

        A given mask of the level is believed; parts are still told apart by colour.
        """
        if self._clusters is None:
            self.start(level)
        assert self._clusters is not None
        band = self.band_px(level)
        wide = dilate(rendered.alpha, band)
        mask = np.zeros_like(wide)
        mask_trust = np.zeros_like(wide)
        parts = np.zeros((*wide.shape, 3), np.float32)
        parts_trust = np.zeros_like(wide)
        if level.mask is not None:
            mask, mask_trust = level.mask, np.ones_like(wide)
        roi = bounding_box(wide > 0.1)
        if roi is None:
            return RegionTarget(mask, mask_trust, parts, parts_trust)

        alpha, near = rendered.alpha[roi], wide[roi] > 0.1
        weight = 1.0 if level.weight is None else level.weight[roi]
        odds = region_odds(
            self._clusters.assign(level.pixels[roi]),
            self._clusters.count,
            np.moveaxis(rendered.rgb[roi], -1, 0) * weight,
            np.clip(wide[roi] - alpha, 0, 1) * weight,
            band,
        )
        if level.mask is None:
            robot = odds.robot
            plate = self._plates.get(level.camera.width)
            if plate is not None:
                robot = robot + plate.log_odds(level.color, roi)
            robot = np.clip(robot, -MAX_LOG_ODDS, MAX_LOG_ODDS)
            mask[roi] = robot > 0
            mask_trust[roi] = np.abs(np.tanh(0.5 * robot)) * near
            if level.camera.width >= MATTE_WIDTH:
                mask[roi], mask_trust[roi] = soften_contour(
                    mask[roi], mask_trust[roi], level.color[roi]
                )
        parts[roi] = np.eye(3, dtype=np.float32)[odds.part]
        parts_trust[roi] = mask[roi] * mask_trust[roi] * near * np.tanh(0.5 * odds.part_margin)
        return RegionTarget(mask, mask_trust, parts, parts_trust)

    def background(self, level: Level) -> FloatImage | None:
        """Return what is behind the robot [H,W,3]: learned where known, else the image itself."""
        plate = self._plates.get(level.camera.width)
        if plate is None or plate.mean is None or plate.known is None:
            return None
        return np.where(plate.known[..., None], plate.mean, level.color)

    def learn(self, level: Level, rendered: RenderedImages) -> None:
        """Learn the background of an image whose estimate is good."""
        self._seen += 1
        if (self._seen - 1) % self._every == 0:
            self.teach(level, rendered)

    def teach(self, level: Level, rendered: RenderedImages) -> None:
        """Learn the background of an image, whatever was learned before."""
        reach = max(2, round(0.02 * level.camera.width))
        free = dilate(rendered.alpha, reach) < 0.02
        if level.weight is not None:
            free &= level.weight > 0
        plate = self._plates.setdefault(level.camera.width, BackgroundPlate())
        plate.learn(level.color, free)

    def agreement(self, target: ImageTarget, rendered: RenderedImages) -> float:
        """Return how far image and rendering agree on what is robot, 0..1."""
        return agreement(target, rendered, self._band)

    def band_px(self, level: Level) -> int:
        """Return the width of the compared band, px."""
        return max(2, round(self._band * level.camera.width))
