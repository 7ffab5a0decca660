"""Triangle meshes of the simple shapes: box, sphere, ellipsoid, cylinder and capsule.

All return (vertices [V, 3] in m, faces [F, 3]), counter-clockwise seen from outside, axis along z.
"""

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]

_AROUND = 32  # facets around an axis
_RINGS = 16  # rings from pole to pole of a sphere


def box(half_sizes: np.ndarray) -> Mesh:
    """Return a box of the given half sizes [3] in m."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    return corners * half_sizes, np.array(faces, dtype=np.int32)


def ellipsoid(radii: np.ndarray) -> Mesh:
    """Return an ellipsoid of the given radii [3] in m."""
    angles = np.linspace(0, np.pi, _RINGS + 1)
    vertices, faces = _revolve(np.sin(angles), np.cos(angles))
    return vertices * radii, faces


def sphere(radius: float) -> Mesh:
    """Return a sphere."""
    return ellipsoid(np.full(3, radius))


def cylinder(radius: float, half_length: float) -> Mesh:
    """Return a cylinder with its two flat ends."""
    radii = np.array([0, radius, radius, 0])
    return _revolve(radii, np.array([half_length, half_length, -half_length, -half_length]))


def capsule(radius: float, half_length: float) -> Mesh:
    """Return a cylinder of the given half length with a half sphere at each end."""
    angles = np.linspace(0, np.pi, _RINGS + 1)
    upper, lower = angles[: _RINGS // 2 + 1], angles[_RINGS // 2 :]
    heights = [radius * np.cos(upper) + half_length, radius * np.cos(lower) - half_length]
    radii = radius * np.sin(np.concatenate([upper, lower]))
    return _revolve(radii, np.concatenate(heights))


def _revolve(radii: np.ndarray, heights: np.ndarray) -> Mesh:
    """Turn a profile about z; it starts at the top and ends at the bottom, both on the axis."""
    turn = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    rings = [
        np.stack([r * np.cos(turn), r * np.sin(turn), np.full(_AROUND, h)], axis=1)
        for r, h in zip(radii[1:-1], heights[1:-1], strict=True)
    ]
    top, bottom = np.array([[0, 0, heights[0]]]), np.array([[0, 0, heights[-1]]])
    vertices = np.concatenate([top, *rings, bottom])
    here = np.arange(_AROUND)
    there = (here + 1) % _AROUND
    last = 1 + (len(rings) - 1) * _AROUND
    faces = [np.stack([np.zeros_like(here), 1 + here, 1 + there], axis=1)]
    for ring in range(len(rings) - 1):
        a, b = 1 + ring * _AROUND, 1 + (ring + 1) * _AROUND
        faces.append(np.stack([a + here, b + here, b + there], axis=1))
        faces.append(np.stack([a + here, b + there, a + there], axis=1))
    end = np.full_like(here, len(vertices) - 1)
    faces.append(np.stack([last + here, end, last + there], axis=1))
    return vertices, np.concatenate(faces).astype(np.int32)
