"""Shapes turned on a lathe: bottles, cups, vases; upright, their profile fitted to the evidence."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.scene.evidence import Evidence, outside_px
from drrobot_ros.scene.levenberg import minimized
from drrobot_ros.scene.superquadrics import Superquadrics

KNOTS = 12
_SIDES = 16
_BOUND_PX = 2.0
_OUTSIDE_PX = 2.5
_BEND_M = 0.006  # of the profile, from one knot to the next


@dataclasses.dataclass(frozen=True, eq=False)
class TurnedShapes:
    """N surfaces of revolution in the plane's frame, axis upright, float64.

    Attributes:
        centers: [N, 2] of the axis, m.
        radii: [N, K] at equal steps from bottom to top, m.
        bottom: [N] m.
        top: [N] m.
        cost: negative log posterior [N].
    """

    centers: Tensor
    radii: Tensor
    bottom: Tensor
    top: Tensor
    cost: Tensor

    def distance(self, points: Tensor) -> Tensor:
        """Return the distance of points [N, P, 3] to the surfaces, + outside, m."""
        side = _side_distance(points, self.centers, self.radii, self.bottom, self.top)
        z = points[..., 2]
        return torch.maximum(torch.maximum(side, z - self.top[:, None]), self.bottom[:, None] - z)


def fit_turned_shapes(
    evidence: Evidence, found: Superquadrics, axis_m: float, spread: float
) -> TurnedShapes:
    """Return the most probable surface of revolution of each object.

    Args:
        evidence: of N objects.
        found: superquadrics of the same, to start from.
        axis_m: median of the radii's prior, m.
        spread: standard deviation of their logarithm.
    """
    per = evidence.points.shape[1]
    scale = (per / 150.0) ** 0.5
    tolerance = torch.sqrt(evidence.noise_m**2 + 0.0012**2)[:, None]
    size = (evidence.bounds_px[:, 2:] - evidence.bounds_px[:, :2]).repeat(1, 2)
    angle = torch.arange(_SIDES, dtype=torch.float64) * (2 * np.pi / _SIDES)
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    T, bottom = evidence.T_plane_camera, evidence.floor_m
    prior = float(np.log(axis_m))

    def residuals(x: Tensor) -> Tensor:
        center, top, radii = _unpacked(x, bottom)
        side = _side_distance(evidence.points, center, radii, bottom, top)
        above = evidence.points[..., 2] - top[:, None]
        near = torch.maximum(side, above) / tolerance / scale
        height = bottom[:, None] + _steps() * (top - bottom)[:, None]
        flat = center[:, None, None] + radii[:, :, None, None] * ring
        surface = torch.cat([flat, height[:, :, None, None].expand(-1, -1, _SIDES, 1)], -1)
        surface = surface.flatten(1, 2)
        pixels = evidence.camera.project((surface - T[:3, 3]) @ T[:3, :3])
        bounds = torch.cat([pixels.amin(1), pixels.amax(1)], dim=1)
        edge = evidence.bounds_known * (bounds - evidence.bounds_px) / (_BOUND_PX + 0.01 * size)
        outside = outside_px(surface, evidence) / _OUTSIDE_PX * (40.0 / KNOTS / _SIDES) ** 0.5
        bend = (radii[:, 2:] - 2 * radii[:, 1:-1] + radii[:, :-2]) / _BEND_M
        # Knots are many for one shape: together they count as three half axes.
        size_prior = (x[:, 3:] - prior) / spread * (3.0 / KNOTS) ** 0.5
        return torch.cat([near, edge.clamp(-40, 40), outside, bend, size_prior], dim=1)

    radius = found.axes.sort(dim=1).values[:, :1].clamp(0.008, 0.12)
    points = evidence.points
    top = torch.quantile(points[..., 2], 0.98, dim=1)
    height = (top - bottom).clamp(min=0.012).log()
    start = torch.cat(
        [found.centers[:, :2], height[:, None], radius.log().expand(-1, KNOTS)], dim=1
    )
    x, cost = minimized(residuals, start, per, steps=40)
    center, top, radii = _unpacked(x, bottom)
    return TurnedShapes(center, radii, bottom, top, cost)


def _unpacked(x: Tensor, bottom: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x[:, :2], bottom + x[:, 2].clamp(-6, 0).exp(), x[:, 3:].clamp(-6.5, -1.2).exp()


def _steps() -> Tensor:
    return torch.linspace(0, 1, KNOTS, dtype=torch.float64)


def _side_distance(
    points: Tensor, centers: Tensor, radii: Tensor, bottom: Tensor, top: Tensor
) -> Tensor:
    height = (top - bottom)[:, None]
    place = ((points[..., 2] - bottom[:, None]) / height).clamp(0, 1 - 1e-6) * (KNOTS - 1)
    k = place.detach().long()
    part = place - k
    low, high = torch.gather(radii, 1, k), torch.gather(radii, 1, k + 1)
    slope = (high - low) * (KNOTS - 1) / height
    flat = points[..., :2] - centers[:, None]
    away = torch.sqrt((flat**2).sum(-1) + 1e-12)
    return (away - low - part * (high - low)) / torch.sqrt(1 + slope**2)
