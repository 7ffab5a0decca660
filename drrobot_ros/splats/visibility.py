"""Which parts of a robot's surface can be seen from outside, and which side of them.

CAD meshes carry inner walls, screws, motors and faces wound the wrong way. Here the robot is
looked at from many directions, in many configurations, through a depth image each time; what no
look meets is inside, and the side that is met is the outer one.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.robot.model import RobotModel
from drrobot_ros.splats.surface import Floats, Ints, SurfacePoints, TriangleSoup

_MAX_PIXELS = 640  # of the longer side of a depth image
_PIXEL_M = 0.0025
_EDGE_PX = 6.0  # triangles are cut to this size, so that their boxes hold few pixels
_SLACK_M = 0.0005
_GRAZING = 0.15  # cosine below which a look does not tell the sides apart
_WRONG_SIDE = 0.25  # of the looks at the right side


def outward_points(
    model: RobotModel,
    soup: TriangleSoup,
    points: SurfacePoints,
    rng: np.random.Generator,
    *,
    looks: int = 48,
    votes: int = 2,
) -> SurfacePoints:
    """Return the points that can be seen from outside, with normals that point there.

    A sheet seen from both sides gives two points with opposite normals.

    Args:
        model: gives the configurations.
        soup: everything that can be in the way.
        points: on the surface of `soup`.
        rng: chooses directions and configurations.
        looks: number of depth images.
        votes: looks that must meet a point.
    """
    directions = _sphere(looks, rng)
    q = model.random_configuration(looks, int(rng.integers(2**31)))
    T_links = model.forward_kinematics(q).numpy()
    pixel = _pixel_size(T_links, soup)
    fine = soup.subdivided(_EDGE_PX * pixel)
    fine = fine.select(np.argsort(fine.link, kind="stable"))
    points = points.select(np.argsort(points.link, kind="stable"))
    front, back = np.zeros(len(points), np.int32), np.zeros(len(points), np.int32)
    for direction, T in zip(directions, T_links, strict=True):
        view = _View(direction, T, fine, pixel)
        seen, cosine = view.sees(points)
        front += seen & (cosine > 0)
        back += seen & (cosine < 0)
    # Beside an edge a few looks seem to meet the wrong side too.
    kept = points.select((front >= votes) & (front > _WRONG_SIDE * back))
    flipped = points.select((back >= votes) & (back > _WRONG_SIDE * front))
    return SurfacePoints(
        np.concatenate([kept.position, flipped.position]),
        np.concatenate([kept.normal, -flipped.normal]),
        np.concatenate([kept.link, flipped.link]),
        np.concatenate([kept.rgba, flipped.rgba]),
        points.area,
    )


def _sphere(n: int, rng: np.random.Generator) -> Floats:
    """Return n directions [n, 3] spread evenly over the sphere, turned at random."""
    i = np.arange(n) + 0.5
    z = 1 - 2 * i / n
    turn = np.pi * (1 + 5**0.5) * i
    r = np.sqrt(1 - z * z)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=1) @ rotation.T


def _pixel_size(T_links: Floats, soup: TriangleSoup) -> float:
    """Return a pixel size in m at which depth images stay small."""
    corners = soup.corners.reshape(-1, 3)
    link = np.repeat(soup.link, 3)
    size = 0.0
    for row in np.unique(link):
        own = corners[link == row]
        centre = own.mean(axis=0)
        size = max(size, float(np.linalg.norm(own - centre, axis=1).max()))
    reach = T_links[:, np.unique(link), :3, 3]
    spread = float(np.ptp(reach, axis=1).max()) + 2 * size
    return max(_PIXEL_M, spread / _MAX_PIXELS) if spread < 10 else spread / _MAX_PIXELS


class _View:
    """A depth image along one direction, in one configuration."""

    def __init__(self, direction: Floats, T_links: Floats, soup: TriangleSoup, pixel: float):
        axis = np.eye(3)[np.argmin(np.abs(direction))]
        x = np.cross(direction, axis)
        x /= np.linalg.norm(x)
        frame = np.stack([x, np.cross(direction, x), -direction])  # the eye is at +direction
        self.R = np.asarray(frame @ T_links[:, :3, :3], dtype=np.float64)
        self.t = np.asarray(T_links[:, :3, 3] @ frame.T, dtype=np.float64)
        self.pixel = pixel
        corners = self._transform(soup.link, soup.corners)
        low = corners.min(axis=(0, 2)) - 1
        self.t -= low * pixel
        corners -= low[:, None]
        self.width, self.height = (int(v) + 2 for v in corners.max(axis=(0, 2))[:2])
        self.depth = _depth_image(corners, self.width, self.height)
        self.slack = max(_SLACK_M / pixel, 0.1)

    def sees(self, points: SurfacePoints) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which points [D] nothing is in front of, and the cosines to their normals.

        Points on surfaces that the view grazes do not count as seen.
        """
        x, y, z = self._transform(points.link, points.position[:, None])[0]
        nx, ny, nz = self._turn(points.link, points.normal[:, None])[0]
        clear = np.abs(nz) > _GRAZING
        column, row = x.astype(np.int32), y.astype(np.int32)
        # The depth of the point's own plane at the centre of the pixel, not at the point.
        half = np.float32(0.5)
        rise = nx * (column + half - x) + ny * (row + half - y)
        z -= (rise / np.where(clear, nz, np.float32(1))).astype(np.float32)
        nearest = self.depth.ravel()[row * np.int32(self.width) + column]
        return clear & (z <= nearest + np.float32(self.slack)), -nz

    def _transform(self, link: Ints, points: Floats) -> NDArray[np.float32]:
        """Return points [F, K, 3] of links as [K, 3, F] in px, z growing away from the eye."""
        return self._turn(link, points, 1 / self.pixel, self.t / self.pixel)

    def _turn(
        self, link: Ints, vectors: Floats, scale: float = 1.0, shift: Floats | None = None
    ) -> NDArray[np.float32]:
        """Return vectors [F, K, 3] of links as [K, 3, F] along the axes of the image."""
        result = np.empty((vectors.shape[1], 3, len(link)), np.float32)
        # Equal links stand together.
        limits = np.flatnonzero(np.diff(link, prepend=-1, append=-1))
        for start, end in itertools.pairwise(limits):
            row = link[start]
            own = vectors[start:end].transpose(1, 2, 0).astype(np.float32)
            result[:, :, start:end] = (self.R[row] * scale).astype(np.float32) @ own
            if shift is not None:
                result[:, :, start:end] += shift[row].astype(np.float32)[:, None]
        return result


def _depth_image(corners: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Return the nearest depth [height, width] of triangles [3, 3, F] in px, inf where empty."""
    a, b, c = corners
    low = np.minimum(np.minimum(a, b), c)
    high = np.maximum(np.maximum(a, b), c)
    first = np.ceil(low[:2] - 0.5).astype(np.int32)
    size = np.floor(high[:2] - 0.5).astype(np.int32) - first + 1
    u, v = b - a, c - a
    det = u[0] * v[1] - u[1] * v[0]
    hit = np.flatnonzero((size[0] > 0) & (size[1] > 0) & (np.abs(det) > 1e-9))
    a, u, v, first, size, inverse = (
        array[..., hit] for array in (a, u, v, first, size, 1 / np.where(det == 0, 1, det))
    )
    count = size[0] * size[1]
    face = np.repeat(np.arange(len(hit)), count)
    start = np.cumsum(count, dtype=np.int32) - count
    k = np.arange(len(face), dtype=np.int32) - start[face]
    rows_down = k // size[0, face]
    column = first[0, face] + k - rows_down * size[0, face]
    row = first[1, face] + rows_down
    # Barycentric coordinates s, t and the depth are linear in the pixel.
    sx, sy = v[1] * inverse, -v[0] * inverse
    tx, ty = -u[1] * inverse, u[0] * inverse
    dx = column.astype(np.float32) + np.float32(0.5) - a[0, face]
    dy = row.astype(np.float32) + np.float32(0.5) - a[1, face]
    s = sx[face] * dx + sy[face] * dy
    t = tx[face] * dx + ty[face] * dy
    inside = np.flatnonzero((s >= -1e-4) & (t >= -1e-4) & (s + t <= 1.0001))
    face = face[inside]
    z = a[2, face] + s[inside] * u[2, face] + t[inside] * v[2, face]
    pixel = row[inside].astype(np.int64) * width + column[inside]
    depth = np.full(width * height, np.inf, np.float32)
    image = torch.from_numpy(depth)
    image.scatter_reduce_(0, torch.from_numpy(pixel), torch.from_numpy(z), "amin")
    return depth.reshape(height, width)
