"""Points on meshes, and where lines pass through them."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CHUNK = 4_000_000


def sample(
    vertices: Floats, faces: NDArray[np.integer], count: int, rng: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return points [n, 3] spread evenly on a mesh, their outward normals, and their faces [n]."""
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    good = double > 1e-14
    # Stratified: every stretch of the cumulated area gets one point.
    edges = np.cumsum(np.where(good, double, 0.0))
    wanted = (np.arange(count) + rng.random(count)) / count * edges[-1]
    face = np.minimum(np.searchsorted(edges, wanted), len(edges) - 1)
    u, v = np.sqrt(rng.random(count))[:, None], rng.random(count)[:, None]
    a, b, c = corners[face].transpose(1, 0, 2)
    points = (1 - u) * a + u * (1 - v) * b + u * v * c
    return points, cross[face] / double[face, None], face


def area(vertices: Floats, faces: NDArray[np.integer]) -> float:
    """Return the area of a mesh, m^2."""
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(cross, axis=1).sum() / 2)


def crossings(
    origins: Floats, directions: Floats, vertices: Floats, faces: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Return where lines leave a closed mesh: through faces that look along them.

    By the sign of Pluecker's products, so that all lines meet all triangles in one matrix product.

    Args:
        origins: [n, 3].
        directions: [n, 3] unit.
        vertices: [V, 3].
        faces: [F, 3], counter-clockwise seen from outside.

    Returns:
        Rows of lines [m], faces [m], and how far along each line [m] (positive ones only).
    """
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)]
    edge_first, edge_second = corners, np.roll(corners, -1, axis=1)
    edge = edge_second - edge_first
    moment = np.cross(edge_first, edge_second)
    table = np.concatenate([moment, edge], axis=2).reshape(-1, 6)  # [3F, 6]
    normal = np.cross(edge[:, 0], edge[:, 1])
    lines = np.concatenate([directions, np.cross(origins, directions)], axis=1)  # [n, 6]
    rows, hits, far = [], [], []
    step = max(_CHUNK // max(len(table), 1), 1)
    for start in range(0, len(lines), step):
        side = (lines[start : start + step] @ table.T).reshape(-1, len(faces), 3)
        r, f = np.nonzero((side >= 0).all(2) | (side <= 0).all(2))
        d, n = directions[start + r], normal[f]
        slope = (d * n).sum(1)
        keep = slope > 1e-12
        r, f, slope, n = r[keep], f[keep], slope[keep], n[keep]
        t = ((corners[f, 0] - origins[start + r]) * n).sum(1) / slope
        ahead = t > 1e-4
        rows.append(start + r[ahead])
        hits.append(f[ahead])
        far.append(t[ahead])
    return np.concatenate(rows), np.concatenate(hits), np.concatenate(far)
