"""A mesh moved by a coarse cage around it, through mean value coordinates."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.scene.types import Floats, Mesh

_NEAR = 1e-9


def box_cage(low: Floats, high: Floats, cells: int) -> Mesh:
    """Return the surface of a box cut into cells, outward.

    Args:
        low: corner [3].
        high: opposite corner [3].
        cells: along each side.
    """
    index: dict[tuple[int, int, int], int] = {}
    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for end in (0, cells):
            for i in range(cells):
                for j in range(cells):
                    quad = []
                    for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                        key = [0, 0, 0]
                        key[axis], key[u], key[v] = end, i + a, j + b
                        quad.append(index.setdefault((key[0], key[1], key[2]), len(index)))
                    quad = quad if end else quad[::-1]
                    faces += [[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]
    corners = np.array(list(index), np.float64) / cells
    return Mesh(low + corners * (high - low), np.array(faces, np.int64))


def mean_value_coordinates(cage: Mesh, points: Floats) -> Floats:
    """Return the weights [P, C] of a closed triangle cage's vertices at points [P, 3].

    Rows sum to one, and linear functions are kept: weights @ cage.vertices = points. After Ju,
    Schaefer and Warren, "Mean Value Coordinates for Closed Triangular Meshes", 2005.

    Args:
        cage: closed; the points are inside it, not on it.
        points: [P, 3].
    """
    offset = cage.vertices - points[:, None]
    away = np.linalg.norm(offset, axis=-1)
    unit = offset / np.maximum(away, _NEAR)[..., None]
    total = np.zeros((len(points), len(cage.vertices)))
    for face in cage.faces:
        _add_triangle(total, unit[:, face], away[:, face], face)
    return total / total.sum(1, keepdims=True)


def _add_triangle(total: Floats, unit: Floats, away: Floats, face: NDArray[np.int64]) -> None:
    length = np.stack(
        [np.linalg.norm(unit[:, (k + 1) % 3] - unit[:, (k + 2) % 3], axis=-1) for k in range(3)],
        axis=1,
    )
    theta = 2 * np.arcsin(np.clip(0.5 * length, 0, 1))
    half = 0.5 * theta.sum(1)
    sine = np.sin(theta)
    safe = np.maximum(sine, _NEAR)
    c = [
        2
        * np.sin(half)
        * np.sin(half - theta[:, k])
        / (safe[:, (k + 1) % 3] * safe[:, (k + 2) % 3])
        - 1
        for k in range(3)
    ]
    sign = np.sign(np.linalg.det(unit))
    s = [sign * np.sqrt(np.clip(1 - ck**2, 0, None)) for ck in c]
    good = np.stack([np.abs(sk) > 1e-7 for sk in s]).all(0)
    for k in range(3):
        a, b = (k + 1) % 3, (k + 2) % 3
        top = theta[:, k] - c[a] * theta[:, b] - c[b] * theta[:, a]
        bottom = away[:, k] * safe[:, a] * np.where(good, s[b], 1.0)
        total[:, face[k]] += np.where(good, top / bottom, 0.0)
