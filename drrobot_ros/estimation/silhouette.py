"""The silhouette that the image suggests, from colour regions and the learned background."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.background import BackgroundPlate
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import (
    MAX_LOG_ODDS,
    ColorClusters,
    RegionStatistics,
    dilate,
    silhouette_target,
)

FloatImage = NDArray[np.float32]


class SilhouetteSource:
    """Makes mask and trust for the solver around an estimate, and learns from every image.

    Args:
        band: width of the compared band, as a share of the image width.
    """

    def __init__(self, band: float = 0.045) -> None:
        self._band = band
        self._clusters: ColorClusters | None = None
        self._plates: dict[int, BackgroundPlate] = {}

    def start(self, level: Level) -> None:
        """Group the colours of a first image."""
        self._clusters = ColorClusters.of(level.pixels)

    def clusters_of(self, level: Level) -> NDArray[np.uint8]:
        """Return the colour cluster of every pixel."""
        if self._clusters is None:
            self.start(level)
        assert self._clusters is not None
        return self._clusters.assign(level.pixels)

    def target(self, level: Level, rendered: RenderedImages) -> tuple[FloatImage, FloatImage]:
        """Return mask and trust [H,W] around the rendered estimate."""
        cluster = self.clusters_of(level)
        band = max(2, round(self._band * level.camera.width))
        wide = dilate(rendered.alpha, band)
        odds = self._region_odds(level, cluster, rendered.alpha, wide)
        plate = self._plates.get(level.camera.width)
        if plate is not None:
            odds = odds + plate.log_odds(level.color)
        mask, trust = silhouette_target(np.clip(odds, -MAX_LOG_ODDS, MAX_LOG_ODDS))
        return mask, (trust * (wide > 0.1)).astype(np.float32)

    def background(self, level: Level) -> FloatImage | None:
        """Return what is behind the robot [H,W,3]: learned where known, else the image itself."""
        plate = self._plates.get(level.camera.width)
        if plate is None or plate.mean is None or plate.known is None:
            return None
        return np.where(plate.known[..., None], plate.mean, level.color)

    def learn(self, level: Level, rendered: RenderedImages, background: bool) -> None:
        """Take in an image whose estimate is good: colour statistics, and the background."""
        if not background:
            return
        reach = max(2, round(0.02 * level.camera.width))
        free = dilate(rendered.alpha, reach) < 0.02
        if level.weight is not None:
            free &= level.weight > 0
        plate = self._plates.setdefault(level.camera.width, BackgroundPlate())
        plate.learn(level.color, free)

    def agreement(self, target: ImageTarget, rendered: RenderedImages) -> float:
        """Return the share of trusted pixels that lie on the side the rendering says, 0..1."""
        if target.mask is None or target.mask.shape != rendered.alpha.shape:
            return 0.0
        wide = dilate(rendered.alpha, max(2, round(self._band * target.width)))
        trust = wide * (1.0 if target.mask_weight is None else target.mask_weight)
        if target.weight is not None:
            trust = trust * target.weight
        error = np.abs(rendered.alpha - target.mask)
        # Robot and band count alike, however large each is.
        inside = trust * (rendered.alpha > 0.5)
        outside = trust * (rendered.alpha <= 0.5)
        shares = [1 - (w * error).sum() / max(w.sum(), 1e-6) for w in (inside, outside)]
        return float(np.mean(shares))

    def _region_odds(
        self, level: Level, cluster: NDArray[np.uint8], alpha: FloatImage, wide: FloatImage
    ) -> FloatImage:
        assert self._clusters is not None
        weight = 1.0 if level.weight is None else level.weight
        inside = alpha * weight
        outside = np.clip(wide - alpha, 0, 1) * weight
        found = RegionStatistics.count(
            cluster, self._clusters.count, inside.astype(np.float32), outside.astype(np.float32)
        )
        return found.log_odds(cluster)
