"""A solid cut into convex pieces, for contact: physics engines take only those."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, KDTree, QhullError

from drrobot_ros.scene.types import Floats, Mesh

Cells = NDArray[np.int64]

_LOOSE = 1.12  # a hull may be so much larger than what it holds
_WORTH = 0.95  # a cut has to make the hulls together so much smaller
_HOLLOW = 1.35
_PLACES = (0.5, 0.35, 0.65, 0.2, 0.8, 0.1, 0.9)
_FEWEST = 8
_CELLS = 20  # along the longest side, for the decision where to cut
_CORNERS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])


def convex_pieces(inside: Cells, surface: Floats, most: int) -> list[NDArray[np.int64]]:
    """Return which of the surface's vertices each convex piece is the hull of.

    The piece whose hull holds most emptiness is cut in two along an axis, where both halves' hulls
    are smallest together, until the hulls fit or there are enough.

    Args:
        inside: cells [M, 3] of a grid that are solid; cell c spans c to c + 1.
        surface: vertices of the solid's surface [V, 3], in cells.
        most: pieces.
    """
    step = max(1, int(np.ceil((np.ptp(inside, axis=0).max() + 1) / _CELLS))) if len(inside) else 1
    parts = _cut(np.unique(inside // step, axis=0), most) if len(inside) >= _FEWEST else []
    if len(parts) < 2:
        return [np.arange(len(surface))]
    cells = np.concatenate(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    tree = KDTree((cells + 0.5) * step)
    # A vertex next to a cut belongs to both sides, or there would be a gap between them.
    _, near = tree.query(surface, k=8, distance_upper_bound=1.8 * step)
    owners = np.append(owner, -1)[near]
    found = [np.flatnonzero((owners == k).any(1)) for k in range(len(parts))]
    return [own for own in found if len(own) >= 4] or [np.arange(len(surface))]


def hull(points: Floats) -> Mesh | None:
    """Return the convex hull of points [P, 3], outward; None where they are flat."""
    try:
        found = ConvexHull(points)
    except (QhullError, ValueError):
        return None
    used, faces = np.unique(found.simplices, return_inverse=True)
    vertices, faces = points[used], faces.reshape(-1, 3)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    inward = (np.cross(b - a, c - a) * found.equations[:, :3]).sum(1) < 0
    faces = np.where(inward[:, None], faces[:, ::-1], faces)
    return Mesh(vertices, faces.astype(np.int64))


def _cut(cells: Cells, most: int) -> list[Cells]:
    todo, done = [(_volume(cells), cells)], []
    while todo and len(todo) + len(done) < most:
        todo.sort(key=lambda part: part[0] - len(part[1]))
        volume, part = todo.pop()
        halves = _halves(volume, part) if volume > _LOOSE * len(part) else None
        if halves is None:
            done.append(part)
        else:
            todo += halves
    return done + [part for _, part in todo]


def _halves(volume: float, cells: Cells) -> list[tuple[float, Cells]] | None:
    # Halves of a ring fill their hulls no better, but their halves do: a hollow is cut anyway.
    hollow = volume > _HOLLOW * len(cells)
    best, found = (1.001 if hollow else _WORTH) * volume, None
    low, size = cells.min(0), np.ptp(cells, axis=0) + 1
    for axis in range(3):
        cuts = [round(low[axis] + part * size[axis]) for part in _PLACES if size[axis] > 2]
        for place in cuts:
            first = cells[:, axis] < place
            if min(first.sum(), (~first).sum()) < _FEWEST:
                continue
            pair = [(_volume(half), half) for half in (cells[first], cells[~first])]
            together = pair[0][0] + pair[1][0]
            if together < best:
                best, found = together, pair
    return found


def _volume(cells: Cells) -> float:
    """Return the volume of the hull of the cells' corners, in cells."""
    corners = np.unique((cells[:, None] + _CORNERS).reshape(-1, 3), axis=0)
    return float(ConvexHull(corners).volume)
