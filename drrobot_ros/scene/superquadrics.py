"""Ellipsoids made squarer or rounder: superquadrics that taper, fitted to the same evidence.

A superquadric (Barr, 1981) is an ellipsoid with two exponents: 1 and 1 are the ellipsoid itself,
small ones a box, a small and a large one a can. What it says of the side that nobody sees is the
best guess there is: that the shape goes on as regularly as it began.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.scene.ellipsoids import Ellipsoids, directions, turned
from drrobot_ros.scene.evidence import Evidence, outside_px
from drrobot_ros.scene.levenberg import minimized

_REST_M = 0.002
_BOUND_PX = 2.0
_OUTSIDE_PX = 2.5
_TILT = 0.08
_TAPER = 0.25
_LOW, _HIGH = 0.1, 1.3  # range of the exponents
_KEPT = 3  # starts that are followed to the end
#: Exponents and which way the axis points that the first of them is about: up, along, across.
_STARTS = (
    ("up", 1.0, 1.0, 0.0),
    ("up", 0.25, 1.0, 0.0),
    ("up", 0.25, 0.25, 0.0),
    ("up", 0.25, 0.25, 0.785),
    ("along", 0.25, 1.0, 0.0),
    ("across", 0.25, 1.0, 0.0),
    ("along", 0.3, 0.3, 0.0),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Superquadrics:
    """N superquadrics in the plane's frame, float64.

    Attributes:
        centers: [N, 3] m.
        axes: half axes [N, 3] m.
        rotations: [N, 3, 3].
        exponents: [N, 2]: along the third axis, and around it.
        taper: [N]: how much wider per half axis towards the end of the third axis.
        cost: negative log posterior [N].
    """

    centers: Tensor
    axes: Tensor
    rotations: Tensor
    exponents: Tensor
    taper: Tensor
    cost: Tensor

    def distance(self, points: Tensor) -> Tensor:
        """Return the first-order distance of points [N, P, 3] to the surfaces, + outside, m."""
        local = (points - self.centers[:, None]) @ self.rotations
        return signed_distance(local, self.axes, self.exponents, self.taper)

    def surface(self, unit: Tensor) -> Tensor:
        """Return the surface points [N, M, 3] in directions [M, 3] of the unit sphere."""
        local = surface_points(unit, self.axes, self.exponents, self.taper)
        return self.centers[:, None] + local @ self.rotations.transpose(1, 2)


def ellipsoids_as_superquadrics(found: Ellipsoids) -> Superquadrics:
    """Return ellipsoids with exponents 1."""
    ones = torch.ones(len(found.axes), 2, dtype=torch.float64)
    zero = torch.zeros(len(found.axes), dtype=torch.float64)
    return Superquadrics(found.centers, found.axes, found.rotations, ones, zero, found.cost)


def fit_superquadrics(
    evidence: Evidence, ellipsoids: Ellipsoids, axis_m: float, spread: float
) -> Superquadrics:
    """Return the most probable superquadric of each object, from several starts.

    Args:
        evidence: of N objects.
        ellipsoids: of the same; one of the starts.
        axis_m: median of the half axes' prior, m.
        spread: standard deviation of their logarithm.
    """
    starts, turns = _starts(evidence, ellipsoids)
    many = starts.shape[1]
    count = len(starts)
    x, turn = starts.reshape(-1, 12), turns.reshape(-1, 3, 3)
    wide = evidence.repeated(many)
    x, cost = _minimized(wide, x, turn, axis_m, spread, 8)
    best = cost.reshape(count, many).argsort(1)[:, :_KEPT]
    rows = (torch.arange(count)[:, None] * many + best).reshape(-1)
    x, turn = x[rows], turn[rows]
    x, cost = _minimized(wide.chosen(rows), x, turn, axis_m, spread, 30)
    won = torch.arange(count) * _KEPT + cost.reshape(count, _KEPT).argmin(1)
    c, a, R, e, k = _unpacked(x[won], turn[won])
    return Superquadrics(c, a, R, e, k, cost[won])


def _minimized(
    evidence: Evidence, start: Tensor, turn: Tensor, axis_m: float, spread: float, steps: int
) -> tuple[Tensor, Tensor]:
    per = evidence.points.shape[1]
    scale = (per / 150.0) ** 0.5
    prior = float(np.log(axis_m))
    tolerance = torch.sqrt(evidence.noise_m**2 + 0.0012**2)[:, None]
    unit = _unit_directions()
    size = (evidence.bounds_px[:, 2:] - evidence.bounds_px[:, :2]).repeat(1, 2)
    T = evidence.T_plane_camera

    def residuals(x: Tensor) -> Tensor:
        center, axes, R, exponents, taper = _unpacked(x, turn)
        local = (evidence.points - center[:, None]) @ R
        near = signed_distance(local, axes, exponents, taper) / tolerance / scale
        surface = surface_points(unit, axes, exponents, taper) @ R.transpose(1, 2)
        surface = surface + center[:, None]
        rest = (surface[..., 2].amin(1) - evidence.floor_m) / _REST_M
        pixels = evidence.camera.project((surface - T[:3, 3]) @ T[:3, :3])
        bounds = torch.cat([pixels.amin(1), pixels.amax(1)], dim=1)
        edge = evidence.bounds_known * (bounds - evidence.bounds_px) / (_BOUND_PX + 0.01 * size)
        outside = outside_px(surface, evidence) / _OUTSIDE_PX * (40.0 / len(unit)) ** 0.5
        extra = [(x[:, 3:6] - prior) / spread, x[:, 6:8] / _TILT, taper[:, None] / _TAPER]
        terms = [near, rest[:, None], edge.clamp(-40, 40), outside, *extra]
        return torch.cat(terms, dim=1)

    return minimized(residuals, start, per, steps=steps)


def _unpacked(x: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    exponents = _LOW + (_HIGH - _LOW) * torch.sigmoid(x[:, 9:11])
    axes = x[:, 3:6].clamp(-5.5, -0.9).exp()
    return x[:, :3], axes, turn @ turned(x[:, 6:9]), exponents, 0.8 * torch.tanh(x[:, 11])


def _gauge(local: Tensor, axes: Tensor, exponents: Tensor) -> tuple[Tensor, Tensor]:
    """Return G [N, P], 1 on the surface and homogeneous of degree 1, and its gradient [N, P, 3]."""
    e1, e2 = exponents[:, None, 0], exponents[:, None, 1]
    r = local / axes[:, None]
    size = torch.sqrt(r * r + 1e-10)
    x, y, z = size.unbind(-1)
    a, b = x ** (2 / e2), y ** (2 / e2)
    around = a + b
    ring = around ** (e2 / e1)
    top = z ** (2 / e1)
    whole = ring + top
    G = whole ** (0.5 * e1)
    lean = G / whole
    flat = lean * ring / around
    slope = torch.stack([flat * a / x, flat * b / y, lean * top / z], dim=-1)
    return G, slope * r / size / axes[:, None]


def signed_distance(local: Tensor, axes: Tensor, exponents: Tensor, taper: Tensor) -> Tensor:
    """Return the distance of points [N, P, 3] of its own frame to each surface, + outside, m."""
    wide = (1 + taper[:, None] * local[..., 2] / axes[:, None, 2]).clamp(min=0.1)
    straight = torch.cat([local[..., :2] / wide[..., None], local[..., 2:]], dim=-1)
    G, slope = _gauge(straight, axes, exponents)
    # The gradient in tapered space, to first order.
    along = taper[:, None] / axes[:, None, 2]
    sink = (slope[..., :2] * straight[..., :2]).sum(-1) * along / wide
    gx, gy = (slope[..., :2] / wide[..., None]).unbind(-1)
    gz = slope[..., 2] - sink
    return (G - 1) / torch.sqrt(gx**2 + gy**2 + gz**2 + 1e-9)


def surface_points(unit: Tensor, axes: Tensor, exponents: Tensor, taper: Tensor) -> Tensor:
    """Return the points [N, M, 3] of its own frame in directions [M, 3]."""
    ray = unit * axes[:, None]
    G, _ = _gauge(ray, axes, exponents)
    point = ray / G[..., None]
    wide = 1 + taper[:, None] * point[..., 2] / axes[:, None, 2]
    return torch.cat([point[..., :2] * wide[..., None], point[..., 2:]], dim=-1)


def _unit_directions() -> Tensor:
    """Return directions [74, 3]: evenly spread, and the corners, edges and faces of a cube."""
    grid = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)] * 3)
    grid = grid[grid.abs().sum(1) > 0]
    return torch.cat([directions(48), torch.nn.functional.normalize(grid, dim=1)])


def _starts(evidence: Evidence, ellipsoids: Ellipsoids) -> tuple[Tensor, Tensor]:
    """Return parameters [N, S, 12] and rotations [N, S, 3, 3]."""
    rows, turns = [], []
    for i, points in enumerate(evidence.points.numpy()):
        own, frames = [], []
        yaw = rectangle_yaw(points[:, :2])
        floor = float(evidence.floor_m[i])
        view = points[:, :2].mean(0) - evidence.T_plane_camera[:2, 3].numpy()
        view = view / max(float(np.linalg.norm(view)), 1e-9)
        for kind, e1, e2, more in _STARTS:
            R = _frame(kind, yaw + more)
            local = points @ R
            low, high = np.percentile(local, 2, axis=0), np.percentile(local, 98, axis=0)
            vertical = int(np.abs(R[2]).argmax())
            sign = 1.0 if R[2, vertical] > 0 else -1.0
            low[vertical], high[vertical] = (
                (floor, high[vertical]) if sign > 0 else (low[vertical], -floor)
            )
            half = np.clip(0.5 * (high - low), 0.006, 0.25)
            center = R @ (0.5 * (low + high))
            center[:2] += 0.2 * np.sort(half)[1] * view
            own.append(np.r_[center, np.log(half), np.zeros(3), _logit(e1), _logit(e2), 0.0])
            frames.append(R)
        center, axes = ellipsoids.centers[i].numpy(), ellipsoids.axes[i].numpy()
        own.append(np.r_[center, np.log(axes), np.zeros(3), _logit(0.9), _logit(0.9), 0.0])
        frames.append(ellipsoids.rotations[i].numpy())
        rows.append(own)
        turns.append(frames)
    return torch.tensor(np.array(rows)), torch.tensor(np.array(turns))


def _logit(exponent: float) -> float:
    part = (exponent - _LOW) / (_HIGH - _LOW)
    return float(np.log(part / (1 - part)))


def _frame(kind: str, yaw: float) -> np.ndarray:
    along = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    across, up = np.array([-along[1], along[0], 0.0]), np.array([0, 0, 1.0])
    columns = {
        "up": (along, across, up),
        "along": (across, up, along),
        "across": (up, along, across),
    }[kind]
    return np.stack(columns, axis=1)


def rectangle_yaw(flat: np.ndarray) -> float:
    """Return the direction [rad] of the smallest rectangle around points [P, 2]."""
    import cv2

    (_, _), _, degrees = cv2.minAreaRect((flat * 1e3).astype(np.float32))
    return float(np.deg2rad(degrees))
