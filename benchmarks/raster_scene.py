"""The scene of the rasterizer's benchmark: a chain of four cylinders covered with splats."""

import math
from typing import NamedTuple

import torch

LENGTH_M = 0.25
RADIUS_M = 0.05
DISTANCE_M = 1.5
HORIZONTAL_FOV_RAD = math.radians(42.0)


class Scene(NamedTuple):
    """Arguments of ``rasterize``, float32."""

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor
    viewmats: torch.Tensor
    Ks: torch.Tensor
    width: int
    height: int


def cylinder_chain(n: int, width: int, height: int, *, cameras: int = 1, seed: int = 0) -> Scene:
    """Return a zigzag chain of 1 m seen from 1.5 m, its splats 5 mm wide and 1.5 mm thick."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    segment = torch.arange(n) % 4
    tilt = torch.tensor([0.6, -0.5, 0.7, -0.6], dtype=torch.float64)[segment]
    direction = torch.stack([torch.cos(tilt), torch.sin(tilt), torch.zeros(n)], dim=-1)
    ends = torch.tensor([0.6, -0.5, 0.7, -0.6], dtype=torch.float64)
    steps = LENGTH_M * torch.stack([torch.cos(ends), torch.sin(ends), torch.zeros(4)], dim=-1)
    starts = torch.cat([torch.zeros(1, 3), torch.cumsum(steps, dim=0)[:-1]])
    starts = starts - torch.sum(steps, dim=0) / 2
    around = 2 * math.pi * uniform(n)
    side = torch.stack([-direction[:, 1], direction[:, 0], torch.zeros(n)], dim=-1)
    front = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(n, 3)
    normal = torch.cos(around)[:, None] * side + torch.sin(around)[:, None] * front
    means = starts[segment] + LENGTH_M * uniform(n, 1) * direction + RADIUS_M * normal

    # Axes: along the cylinder, around it, outward. The rotation's columns, as a quaternion:
    # first the tilt about z, then `around` about the cylinder.
    half, turn = tilt / 2, (around + math.pi / 2) / 2
    zero = torch.zeros(n, dtype=torch.float64)
    about_z = torch.stack([torch.cos(half), zero, zero, torch.sin(half)], dim=-1)
    about_x = torch.stack([torch.cos(turn), torch.sin(turn), zero, zero], dim=-1)
    quats = _multiply(about_z, about_x)
    spin = math.pi * uniform(n)  # irrelevant to the covariance's shape: two axes are equal
    quats = _multiply(quats, torch.stack([torch.cos(spin), zero, zero, torch.sin(spin)], dim=-1))
    scales = torch.tensor([0.005, 0.005, 0.0015], dtype=torch.float64).expand(n, 3)
    opacities = 0.5 + 0.45 * uniform(n)
    colors = uniform(n, 3)

    focal = 0.5 * width / math.tan(HORIZONTAL_FOV_RAD / 2)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    viewmats = torch.eye(4).repeat(cameras, 1, 1)
    for c in range(cameras):
        angle = 0.4 * (c - (cameras - 1) / 2)
        viewmats[c, 0, 0] = viewmats[c, 2, 2] = math.cos(angle)
        viewmats[c, 0, 2], viewmats[c, 2, 0] = math.sin(angle), -math.sin(angle)
        viewmats[c, 2, 3] = DISTANCE_M
    means, quats, scales, opacities, colors = (
        t.float().contiguous() for t in (means, quats, scales, opacities, colors)
    )
    Ks = K.repeat(cameras, 1, 1)
    return Scene(means, quats, scales, opacities, colors, viewmats, Ks, width, height)


def _multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    w1, x1, y1, z1 = a.unbind(-1)
    w2, x2, y2, z2 = b.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )
