"""The most probable ellipsoid of each object, all objects at once.

Points are Student-t around the side of the surface that the camera sees, half axes are log-normal,
the ellipsoid stands on its support, and its outline fits the mask's bounds (the dual conic of
Hartley and Zisserman, 2004, section 8.3). Fitted is the convex hull of what is seen: an ellipsoid
has no inside that is seen and no notch. After Arriaga et al. 2026 (arXiv 2602.05029), whose
likelihood is Laplacian and whose objects are fitted one by one.
"""

import dataclasses
import math

import torch
from torch import Tensor

from drrobot_ros.scene.evidence import Evidence, outside_px
from drrobot_ros.scene.levenberg import minimized

_REST_M = 0.002
_MODEL_M = 0.006  # how far things that are no ellipsoids are off from theirs
_BOUND_PX = 2.5
_TILT = 0.25
_OUTSIDE_PX = 4.0
_MIN_AXIS_M, _MAX_AXIS_M = 0.004, 0.4


@dataclasses.dataclass(frozen=True, eq=False)
class Ellipsoids:
    """N ellipsoids in the plane's frame.

    Attributes:
        centers: [N, 3] m.
        axes: half axes [N, 3] m.
        rotations: [N, 3, 3].
        cost: negative log posterior [N], up to a constant.
    """

    centers: Tensor
    axes: Tensor
    rotations: Tensor
    cost: Tensor


def fit_ellipsoids(evidence: Evidence, axis_m: float, spread: float, steps: int = 40) -> Ellipsoids:
    """Return the ellipsoid of each object.

    Args:
        evidence: of N objects, of their convex hulls.
        axis_m: median of the half axes' prior, m.
        spread: standard deviation of their logarithm.
        steps: of Levenberg-Marquardt.
    """
    start, turn = _start(evidence)
    per = evidence.points.shape[1]
    # Neighbouring pixels are wrong together: they count as fewer.
    scale = (per / 150.0) ** 0.5
    prior = torch.log(torch.tensor(axis_m, dtype=torch.float64))
    tolerance = torch.sqrt(evidence.noise_m**2 + _MODEL_M**2)[:, None]
    eye = evidence.T_plane_camera[:3, 3]
    unit = directions()
    size = (evidence.bounds_px[:, 2:] - evidence.bounds_px[:, :2]).repeat(1, 2)
    loose_px = _OUTSIDE_PX + 0.03 * size.mean(1, keepdim=True)

    def residuals(x: Tensor) -> Tensor:
        center, axes = x[:, :3], x[:, 3:6].exp()
        R = turn @ turned(x[:, 6:9])
        distance, normal = signed_distance(evidence.points, center, axes, R)
        view = torch.nn.functional.normalize(evidence.points - eye, dim=-1)
        # A point cannot lie on the side that is turned away.
        away = torch.relu((normal * view).sum(-1)) * axes.mean(-1, keepdim=True)
        near = torch.sqrt(distance**2 + away**2 + 1e-12) / tolerance / scale
        half = torch.sqrt(((R * axes[:, None]) ** 2).sum(-1))
        rest = (center[:, 2] - half[:, 2] - evidence.floor_m) / _REST_M
        bounds = outline_bounds(center, axes, R, evidence)
        sigma = _BOUND_PX + 0.02 * size
        edge = evidence.bounds_known * (bounds - evidence.bounds_px) / sigma
        surface = center[:, None] + (unit * axes[:, None]) @ R.transpose(1, 2)
        outside = outside_px(surface, evidence) / loose_px
        axis_prior = (x[:, 3:6] - prior) / spread
        tilt = x[:, 6:8] / _TILT
        terms = [near, rest[:, None], edge.clamp(-40, 40), outside, axis_prior, tilt]
        return torch.cat(terms, dim=1)

    x, cost = minimized(residuals, start, per, steps=steps)
    R = turn @ turned(x[:, 6:9])
    return Ellipsoids(x[:, :3], x[:, 3:6].exp().clamp(_MIN_AXIS_M, _MAX_AXIS_M), R, cost)


def turned(w: Tensor) -> Tensor:
    """Return the rotations [N, 3, 3] of small vectors [N, 3]: quaternions (1, w / 2), normalised.

    The exponential map to first order, and a rotation for every w: all that an optimiser needs.
    """
    x, y, z = (0.5 * w).unbind(1)
    n = 1 + x * x + y * y + z * z
    rows = [
        1 + x * x - y * y - z * z,
        2 * (x * y - z),
        2 * (x * z + y),
        2 * (x * y + z),
        1 - x * x + y * y - z * z,
        2 * (y * z - x),
        2 * (x * z - y),
        2 * (y * z + x),
        1 - x * x - y * y + z * z,
    ]
    return (torch.stack(rows, dim=1) / n[:, None]).reshape(-1, 3, 3)


def directions(count: int = 48) -> Tensor:
    """Return unit vectors [count, 3] spread evenly: a Fibonacci lattice."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * i / count, i * (math.pi * (1 + 5**0.5))
    flat = torch.sqrt(1 - z**2)
    return torch.stack([flat * angle.cos(), flat * angle.sin(), z], dim=1)


def signed_distance(
    points: Tensor, centers: Tensor, axes: Tensor, rotations: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the distance to the surface [N, P] m, positive outside, and outward normals [N, P, 3].

    First order (Taubin, 1991): exact on the surface.
    """
    local = (points - centers[:, None]) @ rotations
    unit = local / axes[:, None]
    gauge = torch.sqrt((unit**2).sum(-1) + 1e-12)
    slope = unit / axes[:, None]
    length = torch.sqrt((slope**2).sum(-1) + 1e-12)
    normal = (slope / length[..., None]) @ rotations.transpose(1, 2)
    return gauge * (gauge - 1) / length, normal


def outline_bounds(center: Tensor, axes: Tensor, R: Tensor, evidence: Evidence) -> Tensor:
    """Return x1 y1 x2 y2 [N, 4] px of the ellipsoids on the image."""
    T = evidence.T_plane_camera
    turn = T[:3, :3].T
    place = (center - T[:3, 3]) @ turn.T
    shape = turn @ (R * (axes**2)[:, None]) @ R.transpose(1, 2) @ turn.T
    K = torch.as_tensor(evidence.camera.K.copy(), dtype=torch.float64)
    # Dual quadric of the ellipsoid, then the dual conic of its outline: K [I 0] Q* [I 0]' K'.
    conic = K @ (place[:, :, None] * place[:, None] - shape) @ K.T
    bottom = conic[:, 2, 2].clamp(min=1e-9)
    bounds = []
    for k in (0, 1):
        middle = conic[:, k, 2] / bottom
        reach = torch.sqrt((middle**2 - conic[:, k, k] / bottom).clamp(min=1e-6))
        bounds.append((middle - reach, middle + reach))
    (x1, x2), (y1, y2) = bounds
    return torch.stack([x1, y1, x2, y2], dim=1)


def _start(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Return parameters [N, 9] and rotations [N, 3, 3] to start from: upright, along the points."""
    points = evidence.points
    flat = points[..., :2]
    middle = flat.median(1).values
    spread = flat - middle[:, None]
    _, vectors = torch.linalg.eigh(spread.transpose(1, 2) @ spread)
    along = vectors[:, :, 1]
    turn = torch.zeros(len(points), 3, 3, dtype=points.dtype)
    turn[:, :2, 0] = along
    turn[:, 0, 1], turn[:, 1, 1] = -along[:, 1], along[:, 0]
    turn[:, 2, 2] = 1.0
    local = torch.einsum("npi,nij->npj", points, turn)
    low, high = torch.quantile(local, 0.03, dim=1), torch.quantile(local, 0.97, dim=1)
    top = high[:, 2]
    half = (0.5 * (high - low)).clamp(0.008, 0.2)
    half[:, 2] = (0.5 * (top - evidence.floor_m)).clamp(0.005, 0.2)
    center = torch.einsum("nij,nj->ni", turn, 0.5 * (low + high))
    center[:, 2] = evidence.floor_m + half[:, 2]
    # What is seen is the near side: the middle lies behind it.
    view = center[:, :2] - evidence.T_plane_camera[:2, 3]
    view = torch.nn.functional.normalize(view, dim=1)
    center[:, :2] += 0.25 * half[:, :2].min(1, keepdim=True).values * view
    zero = torch.zeros(len(points), 3, dtype=points.dtype)
    return torch.cat([center, half.log(), zero], dim=1), turn
