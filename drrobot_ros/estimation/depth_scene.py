"""A depth image made ready for registration: points, normals, planes, nearest surfaces in space."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

MAX_VOXELS = 3_000_000
PLANE_WEIGHT = 0.2  # what a point of a large plane counts: walls and tables are no robot

PLANE_COSINE = 0.9  # of the normals of a plane's points


@dataclasses.dataclass(frozen=True)
class DepthScene:
    """What a depth camera sees, camera frame.

    Attributes:
        K: intrinsics [3,3] px.
        depth: [H,W] m, 0 unknown.
        weight: of every pixel [H,W]; low on large planes.
        nearest: index of the nearest sample of every voxel [z,y,x].
        samples: [m,8] point m, normal toward the camera, weight, 0.
        origin: corner of the first voxel [3] m.
        cell: size of a voxel, m.
    """

    K: NDArray[np.float64]
    depth: FloatImage
    weight: FloatImage
    nearest: NDArray[np.int32]
    samples: FloatImage
    origin: FloatImage
    cell: float

    @classmethod
    def of(
        cls,
        depth_m: FloatImage,
        K: NDArray[np.float64],
        *,
        width: int = 320,
        cell: float = 0.03,
        max_depth_m: float = 3.0,
        ignore: NDArray[np.bool_] | None = None,
        seed: int = 0,
    ) -> "DepthScene | None":
        """Make a scene of a depth image; None where it holds nothing within reach.

        Args:
            depth_m: depth along the optical axis [H,W] m, 0 or NaN unknown.
            K: its intrinsics [3,3] px.
            width: it is resized to, px.
            cell: size of a voxel, m; larger where the scene is too large for memory.
            max_depth_m: what is farther away attracts nothing.
            ignore: [H,W] true where the image is to be ignored.
            seed: of the search for planes.
        """
        import cv2
        from scipy import ndimage

        depth = np.nan_to_num(np.asarray(depth_m, np.float32), posinf=0.0, neginf=0.0)
        if ignore is not None:
            depth = np.where(ignore, np.float32(0.0), depth)
        h0, w0 = depth.shape
        width = min(width, w0)
        height = max(1, round(h0 * width / w0))
        nearest_pixel = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        depth = np.asarray(nearest_pixel, np.float32)
        K = np.array([[width / w0], [height / h0], [1.0]]) * np.asarray(K, np.float64)
        points = back_project(depth, K)
        # Where depth jumps, sensors interpolate: such pixels lie on no surface.
        smooth = np.abs(depth - cv2.medianBlur(depth, 5)) < 0.03 * depth
        valid = (depth > 0) & smooth
        normals = surface_normals(points, valid)
        weight = plane_weight(points, normals, valid, np.random.default_rng(seed))
        near = valid & (depth < max_depth_m) & (np.abs(normals).sum(-1) > 0)
        if int(near.sum()) < 50:
            return None
        x = points[near]
        low, high = x.min(0) - 0.15, x.max(0) + 0.15
        cell = max(cell, float(np.prod(high - low) / MAX_VOXELS) ** (1 / 3))
        size = np.ceil((high - low) / cell).astype(int)
        voxel = np.floor((x - low) / cell).astype(int)
        flat = (voxel[:, 2] * size[1] + voxel[:, 1]) * size[0] + voxel[:, 0]
        used, owner = np.unique(flat, return_inverse=True)
        rows = np.concatenate([x, normals[near], weight[near][:, None]], 1)
        count = np.bincount(owner)
        samples = np.zeros((len(used), 8), np.float32)
        for k in range(7):
            samples[:, k] = np.bincount(owner, rows[:, k]) / count
        length = np.linalg.norm(samples[:, 3:6], axis=1, keepdims=True)
        samples[:, 3:6] /= np.maximum(length, 1e-6)
        empty = np.ones(int(size.prod()), bool)
        empty[used] = False
        label = np.full(empty.shape, -1, np.int32)
        label[used] = np.arange(len(used))
        shape = tuple(size[::-1])
        at = ndimage.distance_transform_edt(
            empty.reshape(shape), return_distances=False, return_indices=True
        )
        nearest = np.ascontiguousarray(label.reshape(shape)[tuple(np.asarray(at))])
        return cls(
            K,
            np.ascontiguousarray(depth, np.float32),
            weight,
            nearest,
            samples,
            low.astype(np.float32),
            cell,
        )


def back_project(depth: FloatImage, K: NDArray[np.float64]) -> FloatImage:
    """Return the points of a depth image [H,W,3] m, camera frame."""
    h, w = depth.shape
    u, v = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    return np.stack([x * depth, y * depth, depth], -1).astype(np.float32)


def surface_normals(points: FloatImage, valid: NDArray[np.bool_], radius: int = 2) -> FloatImage:
    """Return unit normals toward the camera [H,W,3], 0 where unknown, of smoothed points."""
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)
    share = np.asarray(cv2.blur(valid.astype(np.float32), size))
    total = np.asarray(cv2.blur(points * valid[..., None], size))
    mean = total / np.maximum(share, 1e-6)[..., None]
    du, dv = np.zeros_like(mean), np.zeros_like(mean)
    du[:, radius:-radius] = mean[:, 2 * radius :] - mean[:, : -2 * radius]
    dv[radius:-radius] = mean[2 * radius :] - mean[: -2 * radius]
    normal = np.cross(dv, du)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.where((length > 1e-12) & valid[..., None], normal / np.maximum(length, 1e-12), 0)
    normal[(normal * points).sum(-1) > 0] *= -1
    return normal.astype(np.float32)


def plane_weight(
    points: FloatImage,
    normals: FloatImage,
    valid: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    planes: int = 5,
    min_share: float = 0.04,
    trials: int = 150,
) -> FloatImage:
    """Return the weight of every pixel [H,W]: PLANE_WEIGHT on the largest planes, 1 elsewhere.

    Planes are found one after the other by random samples of three points (RANSAC), as long as one
    holds `min_share` of the pixels. Their thickness grows with the square of the depth, as the
    noise of stereo cameras does; points whose normal is another are no part of them: an arm
    stretched out before the camera is as flat as a table, but round.
    """
    weight = np.ones(valid.shape, np.float32)
    left, total = valid.copy(), int(valid.sum())
    unknown = ~normals.any(-1)
    flat, flat_normals = points.reshape(-1, 3), normals.reshape(-1, 3)
    for _ in range(planes):
        index = np.flatnonzero(left)
        if len(index) < max(min_share * total, 50):
            break
        chosen = rng.choice(index, 3000)
        some, facing = flat[chosen], flat_normals[chosen]
        reach = 0.008 + 0.003 * some[:, 2] ** 2
        corner = some[rng.integers(0, len(some), (trials, 3))]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        normal /= np.maximum(length, 1e-9)
        offset = (normal * corner[:, 0]).sum(1)
        on = np.abs(normal @ some.T - offset[:, None]) < reach
        on &= np.abs(normal @ facing.T) > PLANE_COSINE
        count = np.where(length[:, 0] > 1e-4, on.sum(1), 0)
        members = some[on[int(count.argmax())]]
        if len(members) < 3:
            break
        centre = members.mean(0)
        axis = np.linalg.svd(members - centre, full_matrices=False)[2][2]
        distance = np.abs((points - centre) @ axis)
        plane = left & (distance < 0.012 + 0.004 * points[..., 2] ** 2)
        plane &= (np.abs(normals @ axis) > PLANE_COSINE) | unknown
        if plane.sum() < min_share * total:
            break
        weight[plane] = PLANE_WEIGHT
        left &= ~plane
    return weight
