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
    return np.asarray(cv2.dilate(alpha, np.ones((size, size), np.uint8)), np.float32)


def bounding_box(where: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return rows and columns of the smallest box around the set pixels; None if there are none."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclasses.dataclass(frozen=True)
class RegionOdds:
    """What colour and place say of a pixel.

    Attributes:
        robot: log p(colour | robot) / p(colour | around the robot), near the pixel [H,W].
        part: index of the likeliest part of the robot [H,W].
        part_margin: log-odds of that part against the others [H,W].
    """

    robot: FloatImage
    part: NDArray[np.intp]
    part_margin: FloatImage


def region_odds(
    cluster: NDArray[np.uint8],
    clusters: int,
    parts: FloatImage,
    outside: FloatImage,
    cell_px: int,
    reach: int = 2,
    pooled: float = 30.0,
) -> RegionOdds:
    """Count colours inside and around the rendered robot, near every pixel.

    Counts are taken in cells and summed over `reach` cells to every side; where a neighbourhood
    holds little, the counts of the whole image (worth `pooled` pixels) stand in. Parts of the robot
    are told apart by the counts of the whole image.

    Args:
        cluster: colour cluster of every pixel [H,W].
        clusters: number of clusters.
        parts: how much of each part a pixel shows, as rendered [parts,H,W].
        outside: how much a pixel belongs to the band around the robot [H,W].
        cell_px: size of a cell, px.
        reach: cells to every side whose counts are added.
        pooled: what the counts of the whole image are worth, px.
    """
    h, w = cluster.shape
    rows, columns = -(-h // cell_px), -(-w // cell_px)
    cell = (np.arange(h) // cell_px)[:, None] * columns + (np.arange(w) // cell_px)[None]
    index = cell * clusters + cluster
    size = rows * columns * clusters

    def probability(weight: FloatImage) -> NDArray[np.float64]:
        n = np.bincount(index.ravel(), weight.ravel(), size).astype(np.float64)
        n = n.reshape(rows, columns, clusters)
        total = n.sum((0, 1)) + 0.5
        near = _box_sum(n, reach)
        share = total / total.sum()
        return (near + pooled * share) / (near.sum(-1, keepdims=True) + pooled)

    odds = np.log(probability(parts.sum(0)) / probability(outside))
    by_part = np.stack([np.bincount(cluster.ravel(), p.ravel(), clusters) for p in parts]) + 0.5
    by_part /= by_part.sum(0)
    best = by_part.argmax(0)
    share = by_part.max(0)
    margin = np.log(share / (1 - share))
    return RegionOdds(
        odds.reshape(-1)[index].astype(np.float32),
        best[cluster],
        np.maximum(margin, 0).astype(np.float32)[cluster],
    )


def _box_sum(cells: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    for axis in (0, 1):
        padded = np.pad(cells, [(reach + 1, reach) if a == axis else (0, 0) for a in range(3)])
        total = padded.cumsum(axis)
        n = cells.shape[axis]
        high = np.take(total, np.arange(2 * reach + 1, 2 * reach + 1 + n), axis)
        low = np.take(total, np.arange(n), axis)
        cells = high - low
    return cells


def part_labels(colors: NDArray[np.floating], palette: FloatImage) -> FloatImage:
    """Return one-hot part labels [n,3] of splats by their nearest palette colour."""
    distance = np.square(np.asarray(colors)[:, None] - palette[None]).sum(-1)
    return np.eye(3, dtype=np.float32)[distance.argmin(1)]
