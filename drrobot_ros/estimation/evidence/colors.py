"""Colours inside and around the rendered robot, near every pixel."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.evidence.odds import PhotoSet
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import FloatImage
from drrobot_ros.estimation.segmentation import ColorClusters, dilate, region_odds

CLUSTERS = 48


@dataclasses.dataclass(frozen=True)
class Parts:
    """Which of the robot's parts of like colour a pixel shows.

    Attributes:
        label: one-hot part [H,W,3].
        margin: log-odds of that part against the others [H,W].
        near: 1 near the robot as estimated, where this was looked at, else 0 [H,W].
    """

    label: FloatImage
    margin: FloatImage
    near: FloatImage


class ColorSource:
    """Local colour histograms of the robot and of the band around it.

    They follow any light and need no training, but confirm the estimate they are counted at: they
    hold within about half a link's width of the truth.
    """

    def __init__(self) -> None:
        self._clusters: dict[tuple[str, int], ColorClusters] = {}

    def clusters(self, photos: PhotoSet) -> ColorClusters:
        """Return the groups of colours of all photos of a set."""
        key = (photos.name, photos.width)
        if key not in self._clusters:
            self._clusters[key] = cluster_colors(photos.levels, CLUSTERS)
        return self._clusters[key]

    def __call__(self, photos: PhotoSet) -> Sequence[FloatImage | None]:
        """Return the log-odds of every photo; 0 far from the robot as estimated."""
        return [odds for odds, _ in self.with_parts(photos)]

    def with_parts(self, photos: PhotoSet) -> list[tuple[FloatImage, Parts]]:
        """Return the log-odds of every photo, and which part each pixel likely shows."""
        clusters = self.clusters(photos)
        out = []
        for level, rendered in zip(photos.levels, photos.rendered, strict=True):
            wide = dilate(rendered.alpha, photos.band_px)
            weight = 1.0 if level.weight is None else level.weight
            near = region_odds(
                clusters.assign(level.pixels),
                clusters.count,
                np.moveaxis(rendered.rgb, -1, 0) * weight,
                np.clip(wide - rendered.alpha, 0, 1) * weight,
                photos.band_px,
            )
            label = np.eye(3, dtype=np.float32)[near.part]
            reached = (wide > 0.1).astype(np.float32)
            out.append((near.robot * reached, Parts(label, near.part_margin, reached)))
        return out


def cluster_colors(levels: Sequence[Level], count: int) -> ColorClusters:
    """Return the groups of the colours of several images."""
    return ColorClusters.of(_stacked(levels), count)


def _stacked(levels: Sequence[Level]) -> NDArray[np.uint8]:
    # k-means looks at every so many pixels in order: all images must come in.
    return np.concatenate([level.pixels.reshape(1, -1, 3) for level in levels], 1)
