"""Which pixels show the robot, when nobody says so: colour regions around the estimate.

The image's colours are grouped into clusters. Inside the rendered robot and in a band around it the
clusters are counted; a pixel's log-odds is the ratio of the two, as in region-based tracking
(Stoiber et al., "Iterative Corresponding Geometry", 2022).
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

MAX_LOG_ODDS = 4.0


@dataclasses.dataclass(frozen=True)
class ColorClusters:
    """Groups of colours and a table that finds the group of any colour.

    Attributes:
        count: number of groups.
        table: [32,32,32] group of an RGB colour, 5 bits per channel.
    """

    count: int
    table: NDArray[np.uint8]

    @classmethod
    def of(cls, image: NDArray[np.uint8], count: int = 32) -> "ColorClusters":
        """Group the colours of an image [H,W,3] in Lab, by k-means with a fixed seed."""
        import cv2

        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
        few = lab[:: max(1, len(lab) // 4000)]
        count = min(count, len(np.unique(few, axis=0)))
        cv2.setRNGSeed(0)
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
        _, _, centers = cv2.kmeans(few, count, None, criteria, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
        levels = np.arange(32, dtype=np.uint8) * 8 + 4
        grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1)
        every = cv2.cvtColor(grid.reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(-1, 3)
        distance = (centers**2).sum(1)[None] - 2.0 * every.astype(np.float32) @ centers.T
        return cls(count, distance.argmin(1).astype(np.uint8).reshape(32, 32, 32))

    def assign(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the group of every pixel [H,W]."""
        bits = image >> 3
        return self.table[bits[..., 0], bits[..., 1], bits[..., 2]]


def dilate(alpha: FloatImage, radius_px: int) -> FloatImage:
    """Return the maximum of an image over a square window."""
    import cv2

    size = 2 * radius_px + 1
    return cv2.dilate(alpha, np.ones((size, size), np.uint8))


@dataclasses.dataclass(frozen=True)
class RegionStatistics:
    """Colour counts of the robot and of the band around it, as probabilities [clusters]."""

    inside: NDArray[np.float64]
    outside: NDArray[np.float64]

    @classmethod
    def count(
        cls,
        cluster: NDArray[np.uint8],
        clusters: int,
        inside: FloatImage,
        outside: FloatImage,
    ) -> "RegionStatistics":
        """Count clusters under two weight images [H,W]."""
        flat = cluster.ravel()
        counts = []
        for weight in (inside, outside):
            n = np.bincount(flat, weight.ravel(), clusters)
            counts.append((n + 0.5) / (n + 0.5).sum())
        return cls(counts[0], counts[1])

    def blend(self, other: "RegionStatistics", share: float) -> "RegionStatistics":
        """Return the average with another one, which counts for `share`."""
        return RegionStatistics(
            (1 - share) * self.inside + share * other.inside,
            (1 - share) * self.outside + share * other.outside,
        )

    def log_odds(self, cluster: NDArray[np.uint8]) -> FloatImage:
        """Return log p(colour | robot) / p(colour | around it) of every pixel [H,W]."""
        ratio = np.log(self.inside / self.outside).astype(np.float32)
        return ratio[cluster]


def silhouette_target(log_odds: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return mask and trust from log-odds: which side is likelier, and by how much."""
    return (log_odds > 0).astype(np.float32), np.abs(np.tanh(0.5 * log_odds)).astype(np.float32)
