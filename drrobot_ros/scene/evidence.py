"""What the picture says about each object: points, extent on the image, where it cannot be."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.types import Floats, Mask, transformed

_SIDE_PX = 3
_HULL_M = 0.003
_FEWEST = 60  # points for a hull
#: Farther outside its mask than this nothing gets worse.
OUTSIDE_PX = 30.0


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """Measurements of N objects in the plane's frame (z up, 0 on the plane), float64.

    Attributes:
        points: [N, P, 3] m; drawn with repetition where there are few.
        noise_m: [N] standard deviation of a point.
        bounds_px: [N, 4] x1 y1 x2 y2 of the mask.
        bounds_known: [N, 4] 1 where that side is its own end, 0 where it is covered or cut.
        outside_px: [N, H, W] how far a pixel is from where the object may be.
        floor_m: [N] height of what it stands on.
        count: [N] pixels with depth.
        T_plane_camera: [4, 4].
        camera: intrinsics.
    """

    points: Tensor
    noise_m: Tensor
    bounds_px: Tensor
    bounds_known: Tensor
    outside_px: Tensor
    floor_m: Tensor
    count: NDArray[np.int64]
    T_plane_camera: Tensor
    camera: PinholeCamera

    def repeated(self, times: int) -> "Evidence":
        """Return each object so many times, for as many starts."""
        fields = ("points", "noise_m", "bounds_px", "bounds_known", "outside_px", "floor_m")
        many = {k: getattr(self, k).repeat_interleave(times, 0) for k in fields}
        return dataclasses.replace(self, **many, count=np.repeat(self.count, times))

    def chosen(self, rows: Tensor) -> "Evidence":
        """Return some of the objects."""
        fields = ("points", "noise_m", "bounds_px", "bounds_known", "outside_px", "floor_m")
        few = {k: getattr(self, k)[rows] for k in fields}
        return dataclasses.replace(self, **few, count=self.count[rows.numpy()])


def gather(
    points_camera: Floats,
    depth_m: NDArray[np.float32],
    height_m: Floats,
    masks: Mask,
    T_plane_camera: Floats,
    camera: PinholeCamera,
    least_height_m: float,
    count: int,
    noise_m: float,
    convex: bool = False,
    seed: int = 0,
) -> Evidence:
    """Return the evidence of each mask [N, H, W].

    Args:
        points_camera: [H, W, 3] m.
        depth_m: [H, W], 0 unknown.
        height_m: above the plane [H, W].
        masks: [N, H, W].
        T_plane_camera: [4, 4].
        camera: intrinsics.
        least_height_m: what is lower may be the plane.
        count: points per object.
        noise_m: standard deviation of the plane's points.
        convex: take only what speaks of the convex hull: the inside of a cup does not.
        seed: of the choice of points.
    """
    rng = np.random.default_rng(seed)
    known = depth_m > 0
    standing = known & (height_m > least_height_m)
    rows: dict[str, list] = {k: [] for k in ("points", "bounds", "sides", "outside", "floor", "n")}
    for mask in masks:
        inside = _eroded(mask, 1) & known
        if inside.sum() < 30:
            inside = mask & known
        own = transformed(T_plane_camera, points_camera[inside])
        depth = depth_m[inside]
        middle = float(np.median(depth)) if len(depth) else 0.0
        if len(own):
            # A few pixels at the rim have the depth of what is behind.
            kept = np.abs(depth - middle) < 0.25
            own = own[kept] if kept.any() else own
            if convex:
                own = own[_on_hull(own, T_plane_camera[:3, 3], max(3 * noise_m, _HULL_M))]
            choice = rng.choice(len(own), count, replace=len(own) < count)
            rows["points"].append(own[choice])
        else:
            rows["points"].append(np.zeros((count, 3)))
        covering = covering_of(mask, standing, depth_m)
        rows["outside"].append(_outside((_hull_of(mask) if convex else mask) | covering))
        bounds, sides = _bounds(mask, covering)
        rows["bounds"].append(bounds)
        rows["sides"].append(sides)
        rows["floor"].append(_floor(mask, known, standing, height_m, depth_m))
        rows["n"].append(len(own))

    def stacked(key: str) -> Tensor:
        return torch.as_tensor(np.stack(rows[key]).astype(np.float64))

    noise = torch.full((len(masks),), max(noise_m, 0.0008), dtype=torch.float64)
    return Evidence(
        stacked("points"),
        noise,
        stacked("bounds"),
        stacked("sides"),
        stacked("outside"),
        stacked("floor"),
        np.array(rows["n"]),
        torch.as_tensor(T_plane_camera, dtype=torch.float64),
        camera,
    )


def covering_of(mask: Mask, standing: Mask, depth_m: NDArray[np.float32]) -> Mask:
    """Return what may hide a part of an object [H, W]: what stands before its middle.

    Slivers are left out: along its rim an object's own pixels can be missing in its mask.
    """
    import cv2

    own = depth_m[mask & (depth_m > 0)]
    before = standing & ~mask & (depth_m < (float(np.median(own)) if len(own) else 0.0))
    wide = cv2.morphologyEx(before.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return np.asarray(wide) > 0


def _on_hull(points: Floats, eye: Floats, near_m: float) -> NDArray[np.bool_]:
    """Return which points [P, 3] lie on the side of their convex hull that the eye sees [P]."""
    from scipy.spatial import ConvexHull, KDTree, QhullError

    if len(points) < _FEWEST:
        return np.ones(len(points), bool)
    # A stray point would carry the hull away.
    gap = KDTree(points).query(points, k=9)[0][:, -1]
    sure = gap < 2.5 * np.median(gap)
    try:
        hull = ConvexHull(points[sure])
    except (QhullError, ValueError):
        return np.ones(len(points), bool)
    normal, offset = hull.equations[:, :3], hull.equations[:, 3]
    facing = normal @ eye + offset > 0
    if not facing.any():
        return np.ones(len(points), bool)
    on = sure & ((points @ normal[facing].T + offset[facing]).max(1) > -near_m)
    return on if on.sum() >= _FEWEST else np.ones(len(points), bool)


def _hull_of(mask: Mask) -> Mask:
    import cv2

    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    corners = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))
    filled = cv2.fillConvexPoly(mask.astype(np.uint8), corners, (1,))
    return np.asarray(filled) > 0


def _eroded(mask: Mask, px: int) -> Mask:
    import cv2

    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((2 * px + 1,) * 2, np.uint8))) > 0


def _dilated(mask: Mask, px: int) -> Mask:
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * px + 1,) * 2, np.uint8))) > 0


def _outside(allowed: Mask) -> NDArray[np.float32]:
    import cv2

    away = cv2.distanceTransform((~allowed).astype(np.uint8), cv2.DIST_L2, 5)
    return np.minimum(np.asarray(away), OUTSIDE_PX)


def _bounds(mask: Mask, covering: Mask) -> tuple[Floats, Floats]:
    """Return x1 y1 x2 y2 of a mask and which of them are the object's own end."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return np.zeros(4), np.zeros(4)
    height, width = mask.shape
    bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
    covered = _dilated(covering, 4) & mask
    known = np.ones(4)
    ends = (
        (slice(None), slice(columns[0], columns[0] + _SIDE_PX)),
        (slice(rows[0], rows[0] + _SIDE_PX), slice(None)),
        (slice(None), slice(columns[-1] + 1 - _SIDE_PX, columns[-1] + 1)),
        (slice(rows[-1] + 1 - _SIDE_PX, rows[-1] + 1), slice(None)),
    )
    for k, end in enumerate(ends):
        if covered[end].sum() > 0.3 * mask[end].sum():
            known[k] = 0.0
    cut = (bounds[0] < 2, bounds[1] < 2, bounds[2] > width - 2, bounds[3] > height - 2)
    return bounds, np.where(cut, 0.0, known)


def _floor(
    mask: Mask,
    known: Mask,
    standing: Mask,
    height_m: Floats,
    depth_m: NDArray[np.float32],
) -> float:
    """Return the height of what an object stands on: the plane, or another object it touches.

    Below its lowest pixels there is the plane, something in front of it, or what carries it: that
    has the same depth as the object there.
    """
    own = mask & known
    if own.sum() < 30:
        return 0.0
    lowest = float(np.percentile(height_m[own], 3))
    if lowest < 0.02:
        return 0.0
    foot = own & (height_m < lowest + 0.01)
    ring = _dilated(foot, 4) & ~mask & known
    if not ring.any():
        return 0.0
    same = np.abs(depth_m[ring] - np.median(depth_m[foot])) < 0.02
    carried = (standing[ring] & same & (height_m[ring] < lowest + 0.005)).mean()
    return lowest if carried > 0.4 else 0.0


def outside_px(points: Tensor, evidence: Evidence) -> Tensor:
    """Return how far points [N, M, 3], plane frame, are from their object on the image [N, M]."""
    T = evidence.T_plane_camera
    local = (points - T[:3, 3]) @ T[:3, :3]
    pixels = evidence.camera.project(local)
    maps = evidence.outside_px
    height, width = maps.shape[1:]
    x = (pixels[..., 0] - 0.5).clamp(0, width - 1.001)
    y = (pixels[..., 1] - 0.5).clamp(0, height - 1.001)
    column, row = x.detach().long(), y.detach().long()
    u, v = x - column, y - row
    flat = maps.reshape(len(maps), -1)
    index = row * width + column

    def at(step: int) -> Tensor:
        return torch.gather(flat, 1, index + step)

    top = at(0) * (1 - u) + at(1) * u
    return top * (1 - v) + (at(width) * (1 - u) + at(width + 1) * u) * v
