"""Dividing a surface into cells of equal area, each of which becomes one Gaussian.

A cell is compact in position, normal and colour at once, so cells stop at sharp edges, do not
reach through thin walls and do not mix materials.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from drrobot_ros.errors import InputError
from drrobot_ros.splats.surface import Floats, Ints


def share(total: int, weights: Floats) -> Ints:
    """Return whole numbers in proportion to the weights that sum to `total`.

    Every positive weight gets at least one.

    Raises:
        InputError: there are more positive weights than `total`.
    """
    positive = weights > 0
    if positive.sum() > total:
        raise InputError(f"{total} Gaussians are too few: {positive.sum()} links need one each")
    counts = np.zeros(len(weights), np.int64)
    counts[positive] = 1
    wanted = weights / weights.sum() * total
    # Give each remaining one to whoever lacks most; largest remainders, all at once.
    rest = np.maximum(wanted - counts, 0)
    left = total - counts.sum()
    if rest.sum() > 0:
        rest *= left / rest.sum()
    counts += np.floor(rest).astype(np.int64)
    order = np.argsort(-(rest - np.floor(rest)), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def divide(features: Floats, weights: Floats, link: Ints, count: int, relax: int = 2) -> Ints:
    """Return the cell [D] of each point: 0 to count - 1, in the order of links.

    Cells halve along the direction of their largest spread until there are enough, which makes
    them equal in weight; then a few steps of Lloyd's algorithm round them.

    Args:
        features: [D, K] coordinates in which a cell should be compact.
        weights: [D] area of each point.
        link: [D] cells never cross links.
        count: number of cells; links share them by area.
        relax: steps of Lloyd's algorithm.

    Raises:
        InputError: more cells than points, or fewer cells than links.
    """
    if count > len(features):
        raise InputError(f"{count} Gaussians asked of {len(features)} points")
    order = np.argsort(link, kind="stable")
    names, sizes = np.unique(link, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    area = np.add.reduceat(weights[order], starts)
    leaves = np.minimum(share(count, area), sizes)
    spare = count - leaves.sum()
    for i in np.argsort(leaves - sizes, kind="stable"):  # where points are left over
        extra = min(spare, sizes[i] - leaves[i])
        leaves[i] += extra
        spare -= extra
    link_leaves = leaves.copy()
    while (leaves > 1).any():
        order, sizes, leaves = _halve(features, weights, order, sizes, leaves)
    cell = np.empty(len(features), np.int64)
    cell[order] = np.repeat(np.arange(len(sizes)), sizes)
    first = np.cumsum(link_leaves) - link_leaves
    for row, begin, n in zip(names, first, link_leaves, strict=True):
        own = np.flatnonzero(link == row)
        local = cell[own] - begin
        for _ in range(relax):
            local = _lloyd(features[own], weights[own], local, int(n))
        cell[own] = local + begin
    return cell


def _halve(
    features: Floats, weights: Floats, order: Ints, sizes: Ints, leaves: Ints
) -> tuple[Ints, Ints, Ints]:
    """Split every cell with several leaves into two; return order, sizes and leaves anew."""
    cell = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.cumsum(sizes) - sizes
    x, w = features[order], weights[order]
    total = np.add.reduceat(w, starts)
    x = x - (np.add.reduceat(x * w[:, None], starts) / total[:, None])[cell]
    # The direction of largest spread, by a few power iterations on all cells at once.
    axis = np.add.reduceat(x * x * w[:, None], starts)
    axis += 1e-3 * axis.sum(axis=1, keepdims=True) + 1e-30
    for _ in range(4):
        along = (x * axis[cell]).sum(axis=1)
        axis = np.add.reduceat(x * (w * along)[:, None], starts)
        axis /= np.linalg.norm(axis, axis=1, keepdims=True) + 1e-30
    along = np.where((leaves > 1)[cell], (x * axis[cell]).sum(axis=1), 0.0)
    rank = np.lexsort((along, cell))
    order, w = order[rank], w[rank]
    left_leaves = leaves // 2
    ahead = np.cumsum(w) - w
    ahead -= ahead[starts][cell]
    goal = total * left_leaves / leaves
    left_sizes = np.add.reduceat((ahead + 0.5 * w < goal[cell]).astype(np.int64), starts)
    # Each side must keep at least as many points as it has leaves.
    right_leaves = leaves - left_leaves
    left_sizes = np.clip(left_sizes, left_leaves, sizes - right_leaves)
    new_sizes = np.stack([left_sizes, sizes - left_sizes], axis=1).ravel()
    new_leaves = np.stack([left_leaves, right_leaves], axis=1).ravel()
    kept = new_leaves > 0
    return order, new_sizes[kept], new_leaves[kept]


def _lloyd(features: Floats, weights: Floats, cell: Ints, count: int) -> Ints:
    """Return the cells after moving every point to the nearest centre; none becomes empty."""
    total = np.bincount(cell, weights, count)
    centre = np.stack([np.bincount(cell, weights * f, count) for f in features.T], axis=1)
    centre /= total[:, None]
    nearest = np.asarray(KDTree(centre).query(features)[1], dtype=np.int64)
    lost = np.flatnonzero(np.bincount(nearest, minlength=count) == 0)
    if len(lost):
        keep = np.isin(cell, lost)
        nearest[keep] = cell[keep]
        if len(np.unique(nearest)) < count:
            return cell
    return nearest


def sums_by_cell(cell: Ints, values: NDArray[np.float64], count: int) -> Floats:
    """Return the sums [count, ...] of values [D, ...] over each cell."""
    flat = values.reshape(len(values), -1)
    sums = np.stack([np.bincount(cell, v, count) for v in flat.T], axis=1)
    return np.asarray(sums, dtype=np.float64).reshape(count, *values.shape[1:])
