"""The plane that the objects stand on, by RANSAC and reweighted least squares."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.types import Floats, Mask, Material, SupportPlane

_HYPOTHESES = 400
_POINTS = 6000
_GROW = 0.8  # the plane is looked for around the boxes, as far as this part of their size
_MAX_TILT = np.cos(0.35)  # of a plane from the horizontal, where that is known
_MIN_INLIERS = 0.15


def unprojected(depth_m: NDArray, camera: PinholeCamera) -> Floats:
    """Return the points [H, W, 3] of a depth image [H, W], camera frame, m; 0 where unknown."""
    z = np.nan_to_num(depth_m).astype(np.float64)
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    y = (v - camera.cy) / camera.fy
    x = (u - camera.cx - camera.K[0, 1] * y) / camera.fx
    return np.stack([x * z, y * z, z], axis=-1)


def fit_plane(
    points: Floats,
    known: Mask,
    boxes: Floats,
    up: Floats | None,
    threshold_m: float,
    seed: int = 0,
) -> SupportPlane:
    """Return the plane around and under the boxes, camera frame.

    RANSAC (Fischler and Bolles, 1981) over points outside the boxes and near them, scored by a
    truncated quadratic; then least squares reweighted by Tukey's biweight.

    Args:
        points: [H, W, 3] camera frame, m.
        known: which of them there are, and are not the robot's [H, W].
        boxes: [N, 4] px.
        up: [3] direction away from the ground in the camera frame; None: unknown.
        threshold_m: inliers are so near.
        seed: of the hypotheses.

    Raises:
        InputError: there is no plane.
    """
    near, inside = _around(boxes, known.shape)
    rng = np.random.default_rng(seed)
    candidates = points[known & near & ~inside]
    if len(candidates) < 100:
        candidates = points[known & ~inside]
    if len(candidates) < 100:
        raise InputError(f"no plane: {len(candidates)} points with depth around the boxes")
    if len(candidates) > _POINTS:
        candidates = candidates[rng.choice(len(candidates), _POINTS, replace=False)]
    normal, offset = _ransac(candidates, up, threshold_m, rng)
    if normal is None:
        raise InputError("no support plane under the objects: nothing flat around the boxes")
    normal, offset, noise = _refined(candidates, normal, offset, threshold_m)
    distance = candidates @ normal - offset
    inliers = float((np.abs(distance) < max(threshold_m, 3 * noise)).mean())
    if inliers < _MIN_INLIERS:
        raise InputError(
            f"no support plane: the best one has {inliers:.0%} of the points around the boxes"
        )
    below = float((distance < -2 * threshold_m).mean())
    confidence = float(np.clip((inliers - 0.1) / 0.3, 0, 1))
    # An object whose points are all below cannot stand on it.
    seen = points[known & inside]
    if len(seen) and (seen @ normal - offset > 0).mean() < 0.3:
        confidence *= 0.3
    if below > 0.6:
        confidence *= 0.5
    grey = Material(np.full(3, 0.5), 0.8)
    return SupportPlane(normal, offset, noise, inliers, confidence, grey)


def _around(boxes: Floats, shape: tuple[int, ...]) -> tuple[Mask, Mask]:
    near, inside = np.zeros(shape, bool), np.zeros(shape, bool)
    for x1, y1, x2, y2 in boxes:
        grow = _GROW * max(x2 - x1, y2 - y1)
        rows = slice(max(0, int(y1 - grow)), int(np.ceil(y2 + grow)))
        near[rows, max(0, int(x1 - grow)) : int(np.ceil(x2 + grow))] = True
        inside[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
    return near, inside


def _ransac(
    points: Floats, up: Floats | None, threshold_m: float, rng: np.random.Generator
) -> tuple[Floats | None, float]:
    triples = points[rng.integers(0, len(points), (_HYPOTHESES, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    length = np.linalg.norm(normals, axis=1)
    good = length > 1e-7
    normals = normals[good] / length[good, None]
    offsets = (normals * triples[good, 0]).sum(1)
    # The camera is above what it sees: the origin lies on the side the normal points to.
    flip = np.where(offsets > 0, -1.0, 1.0)
    normals, offsets = normals * flip[:, None], offsets * flip
    if up is not None:
        level = normals @ up > _MAX_TILT
        normals, offsets = normals[level], offsets[level]
    if len(normals) == 0:
        return None, 0.0
    distance = np.abs(points[:2000] @ normals.T - offsets)
    cost = np.minimum(distance / threshold_m, 1.0) ** 2
    best = int(cost.mean(0).argmin())
    return normals[best], float(offsets[best])


def _refined(
    points: Floats, normal: Floats, offset: float, threshold_m: float
) -> tuple[Floats, float, float]:
    """Return normal, offset and noise after reweighted least squares."""
    scale = threshold_m
    for _ in range(12):
        distance = points @ normal - offset
        weight = np.clip(1 - (distance / (4.7 * scale)) ** 2, 0, None) ** 2
        if weight.sum() < 20:
            break
        centre = (weight[:, None] * points).sum(0) / weight.sum()
        spread = (points - centre) * np.sqrt(weight)[:, None]
        fitted = np.linalg.svd(spread.T @ spread)[0][:, 2]
        normal = fitted * np.sign(fitted @ normal)
        offset = float(normal @ centre)
        distance = np.abs(points @ normal - offset)
        inlying = distance[distance < 3 * threshold_m]
        scale = float(np.clip(1.4826 * np.median(inlying), 2e-4, threshold_m))
    return normal, offset, scale
