"""A closed triangle mesh around the negative part of a field on a grid."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.scene.types import Floats, Mesh

_CORNERS = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
_EDGES = [
    (a, b)
    for a in range(8)
    for b in range(a + 1, 8)
    if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1
]


def surface_net(field: Floats) -> Mesh:
    """Return where a field [X, Y, Z] is zero, in cells; outward is where it is positive.

    Surface nets (Gibson, 1998): one vertex in each cell that the surface crosses, at the mean of
    the crossings on its edges; a quad around each crossed edge. Closed, as the outermost layer of
    the field is taken as positive, and two-manifold, as it is made well-composed.

    Args:
        field: e.g. distances; linear between its samples, which are at whole coordinates.
    """
    field = field.copy()
    for axis in range(3):
        ends = np.moveaxis(field, axis, 0)
        ends[0], ends[-1] = np.abs(ends[0]) + 1e-6, np.abs(ends[-1]) + 1e-6
    field = well_composed(field)
    inside = field < 0
    size = np.array(field.shape) - 1
    corner = [_corner(field, offset, size) for offset in _CORNERS]
    within = np.stack([_corner(inside, offset, size) for offset in _CORNERS])
    crossed = within.any(0) & ~within.all(0)
    total, count = np.zeros((*size, 3)), np.zeros(size)
    for a, b in _EDGES:
        cut = within[a] != within[b]
        gap = np.where(cut, corner[a] - corner[b], 1.0)
        part = np.clip(corner[a] / gap, 0, 1)
        place = _CORNERS[a] + part[..., None] * (_CORNERS[b] - _CORNERS[a])
        total += np.where(cut[..., None], place, 0)
        count += cut
    cells = np.argwhere(crossed)
    index = np.full(tuple(size), -1, np.int64)
    index[crossed] = np.arange(len(cells))
    vertices = cells + total[crossed] / count[crossed][:, None]
    faces = [_quads(inside, index, axis) for axis in range(3)]
    return Mesh(vertices, np.concatenate(faces))


def well_composed(field: Floats) -> Floats:
    """Return a field whose negative samples touch by faces only, not by an edge or a corner alone.

    The boundary of such a set is a manifold (Latecki, "3D well-composed pictures", 1997). Where
    samples touch so, the positive one between them that is nearest to zero becomes negative.

    Args:
        field: [X, Y, Z].
    """
    field = field.copy()
    size = np.array(field.shape)
    while True:
        added = np.zeros(field.shape, bool)
        for axes in ((0, 1), (0, 2), (1, 2)):
            corners = [c for c in _CORNERS if c.sum() == c[list(axes)].sum()]
            _add_between(field, added, corners, size, _across_face)
        _add_between(field, added, list(_CORNERS), size, _across_cube)
        if not added.any():
            return field
        field[added] = -1e-3 * np.abs(field[added]) - 1e-9


def _across_face(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    a, b, c, d = inside
    return (a & d & ~b & ~c) | (b & c & ~a & ~d)


def _across_cube(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count = inside.sum(0)
    found = np.zeros(count.shape, bool)
    for k in range(4):  # corner 7 - k is opposite to corner k
        both, none = inside[k] & inside[7 - k], ~inside[k] & ~inside[7 - k]
        found |= (both & (count == 2)) | (none & (count == 6))
    return found


def _add_between(
    field: Floats,
    added: NDArray[np.bool_],
    corners: list[NDArray[np.int64]],
    size: NDArray[np.int64],
    touches: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
) -> None:
    """Mark the smallest positive sample of each square or cube whose negative ones only touch."""
    reach = size - np.max(corners, axis=0)
    values = np.stack([_corner(field, offset, reach) for offset in corners])
    places = np.argwhere(touches(values < 0))
    if len(places):
        there = values[(slice(None), *places.T)]
        least = np.where(there < 0, np.inf, there).argmin(0)
        added[tuple((places + np.array(corners)[least]).T)] = True


def _corner(field: NDArray, offset: NDArray, size: NDArray) -> NDArray:
    x, y, z = offset
    return field[x : x + size[0], y : y + size[1], z : z + size[2]]


def _quads(inside: NDArray[np.bool_], index: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Return the triangles around the crossed edges along one axis."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    first = np.moveaxis(inside, axis, 0)[:-1]
    second = np.moveaxis(inside, axis, 0)[1:]
    edge = np.argwhere(np.moveaxis(first != second, 0, axis))
    edge = edge[(edge[:, u] > 0) & (edge[:, v] > 0)]
    leaving = inside[tuple(edge.T)]
    eu, ev = np.eye(3, dtype=np.int64)[u], np.eye(3, dtype=np.int64)[v]
    around = [index[tuple((edge - a * eu - b * ev).T)] for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    quad = np.stack(around, axis=1)
    quad = np.where(leaving[:, None], quad, quad[:, ::-1])
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
