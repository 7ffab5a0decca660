"""Which triangle each pixel shows: a z-buffer on NumPy."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.scene.types import Floats

_CHUNK = 4_000_000  # pixels looked at in one go


def triangle_ids(
    pixels: Floats, depth: Floats, faces: NDArray[np.int64], width: int, height: int
) -> NDArray[np.int64]:
    """Return the face in each pixel [height, width], -1 for none; both sides are drawn.

    Args:
        pixels: projected vertices [V, 2], px.
        depth: of the vertices along the axis [V]; faces that reach behind 1 mm are left out.
        faces: [F, 3].
        width: of the image, px.
        height: of the image, px.
    """
    corner, z = pixels[faces], depth[faces]
    size = np.array([width, height])
    low = np.clip(np.ceil(corner.min(1) - 0.5), 0, size).astype(np.int64)
    high = np.clip(np.floor(corner.max(1) - 0.5) + 1, 0, size).astype(np.int64)
    span = np.maximum(high - low, 0)
    span[(z < 1e-3).any(1) | ~np.isfinite(corner).all((1, 2))] = 0
    count = span.prod(1)
    ids = np.full(height * width, -1, np.int64)
    nearest = np.full(height * width, np.inf)
    used = np.flatnonzero(count)
    ends = np.cumsum(count[used])
    start = 0
    while start < len(used):
        stop = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _CHUNK)) + 1
        _draw(used[start:stop], corner, z, low, span, width, ids, nearest)
        start = stop
    return ids.reshape(height, width)


def _draw(
    faces: NDArray[np.int64],
    corner: Floats,
    z: Floats,
    low: NDArray[np.int64],
    span: NDArray[np.int64],
    width: int,
    ids: NDArray[np.int64],
    nearest: Floats,
) -> None:
    count = span[faces].prod(1)
    face = np.repeat(faces, count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    x = low[face, 0] + place % span[face, 0]
    y = low[face, 1] + place // span[face, 0]
    part, area = barycentric(corner[face], np.stack([x, y], 1) + 0.5)
    inside = (part >= -1e-9).all(1) & (np.abs(area) > 1e-12)
    face, part = face[inside], part[inside]
    index = y[inside] * width + x[inside]
    # Inverse depth is linear on the image.
    away = 1 / (part / z[face]).sum(1)
    order = np.argsort(-away, kind="stable")  # the nearest is written last
    face, index, away = face[order], index[order], away[order]
    winner = np.full(len(ids), -1, np.int64)
    winner[index] = np.arange(len(index))
    pixel = np.flatnonzero(winner >= 0)
    first = winner[pixel]
    better = away[first] < nearest[pixel]
    ids[pixel[better]] = face[first[better]]
    nearest[pixel[better]] = away[first[better]]


def barycentric(corners: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Return weights [n, 3] of corners [n, 3, 2] at points [n, 2], and twice the areas [n]."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(b - a, c - a)
    safe = np.where(np.abs(area) > 1e-12, area, 1.0)
    first = _cross(b - points, c - points) / safe
    second = _cross(c - points, a - points) / safe
    return np.stack([first, second, 1 - first - second], axis=1), area


def _cross(a: Floats, b: Floats) -> Floats:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
