"""Splats of links on the image and their derivatives; `link_projection.cpp` is the twin.

Elementwise throughout: a GPU may round the products of matrices to ten bits.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from drrobot_ros.estimation.device.packet import Packet

LOG2E = 1 / math.log(2)
MIN_U = -math.log2(255.0)
NEAR = 0.01


class LinkSplats(NamedTuple):
    """A robot's splats in link coordinates, on the device.

    Attributes:
        link: [N] int64.
        mean: [N,3] m.
        shape: [N,3,3] rotation times scales, m.
        normal: [N,3].
        opacity: [N].
        color: [N,3].
        quat: [N,4] wxyz, for `rasterize`.
        scale: [N,3] m, for `rasterize`.
    """

    link: Tensor
    mean: Tensor
    shape: Tensor
    normal: Tensor
    opacity: Tensor
    color: Tensor
    quat: Tensor
    scale: Tensor


class Projection(NamedTuple):
    """Splats on the image: log2(alpha) = lo - (A p^2 + F dy^2), p = dx - kx dy.

    `box` [N,4] int64 holds x0, y0, width and height of the pixels a splat may reach, 0 wide if it
    is not drawn. The rest is what the derivatives need.
    """

    mx: Tensor
    my: Tensor
    A: Tensor
    F: Tensor
    kx: Tensor
    lo: Tensor
    z: Tensor
    box: Tensor
    center: Tensor  # [N,3] camera frame
    inv_z: Tensor
    M: Tensor  # [N,3,3] half-axes in the camera frame
    J: Tensor  # [N,4] the projection's Jacobian: j00, j02, j11, j12
    U: Tensor  # [N,2,3] half-axes on the image
    cov: Tensor  # [N,5] xx, xy, yy without eps2d, det without it, det


def place(splats: LinkSplats, packet: Packet) -> tuple[Tensor, Tensor]:
    """Return centres [N,3] in the camera frame, moved inward, and which [N] may be drawn."""
    n = packet.numbers
    R, t = packet.rotation[splats.link], packet.translation[splats.link]
    center = (R * splats.mean[:, None]).sum(-1) + t
    normal = (R * splats.normal[:, None]).sum(-1)
    away = (normal * center).sum(-1)
    inset = n.inset_px / n.fx * center[:, 2].clamp(min=NEAR)
    center = center - inset[:, None] * normal
    facing = (n.cull >= 1.0) | (away <= n.cull * center.norm(dim=-1))
    return center, facing


def project(splats: LinkSplats, packet: Packet, width: int, height: int) -> Projection:
    """Project every splat to an image of so many pixels."""
    n = packet.numbers
    center, facing = place(splats, packet)
    x, y, z = center.unbind(-1)
    M = (packet.rotation[splats.link][:, :, :, None] * splats.shape[:, None]).sum(2)
    inv_z = 1.0 / z.clamp(min=NEAR)
    # gsplat bounds the slopes of the projection outside the image; so do we.
    sx = _bounded(x * inv_z, n.cx / n.fx, width / n.fx)
    sy = _bounded(y * inv_z, n.cy / n.fy, height / n.fy)
    j00, j11 = n.fx * inv_z, n.fy * inv_z
    j02, j12 = -sx * j00, -sy * j11
    U0 = j00[:, None] * M[:, 0] + j02[:, None] * M[:, 2]
    U1 = j11[:, None] * M[:, 1] + j12[:, None] * M[:, 2]
    xx0, xy, yy0 = (U0 * U0).sum(-1), (U0 * U1).sum(-1), (U1 * U1).sum(-1)
    # |U0 x U1|^2 is the determinant without the cancellation of xx0 yy0 - xy^2.
    det0 = torch.linalg.cross(U0, U1).square().sum(-1)
    xx, yy = xx0 + n.eps2d, yy0 + n.eps2d
    det = det0 + n.eps2d * (xx0 + yy0 + n.eps2d)
    opacity = splats.opacity * torch.sqrt(det0 / det)
    lo = torch.log2(opacity)
    mx, my = n.fx * x * inv_z + n.cx, n.fy * y * inv_z + n.cy
    reach = (2.0 / LOG2E) * (lo - MIN_U)
    rx, ry = torch.sqrt(reach * xx), torch.sqrt(reach * yy)
    drawn = facing & (z > NEAR) & torch.isfinite(z) & (det > 0) & torch.isfinite(det)
    drawn &= (opacity >= 1.0 / 255.0) & torch.isfinite(opacity)
    x0, wide = _extent(mx, rx, width, drawn)
    y0, high = _extent(my, ry, height, drawn)
    box = torch.stack([x0, y0, wide, high], -1)
    box = torch.where(((wide > 0) & (high > 0))[:, None], box, 0)
    return Projection(
        mx,
        my,
        (0.5 * LOG2E) * yy / det,
        (0.5 * LOG2E) / yy,
        xy / yy,
        lo,
        z,
        box,
        center,
        inv_z,
        M,
        torch.stack([j00, j02, j11, j12], -1),
        torch.stack([U0, U1], 1),
        torch.stack([xx0, xy, yy0, det0, det], -1),
    )


def _bounded(slope: Tensor, center: Tensor, extent: Tensor) -> Tensor:
    margin = 0.15 * extent
    return torch.minimum(torch.maximum(slope, -center - margin), extent - center + margin)


def _extent(middle: Tensor, reach: Tensor, size: int, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first pixel whose centre may be inside, and how many there are."""
    first = torch.where(drawn, middle - reach + 0.49, 0.0).clamp(0, size).long()
    last = torch.where(drawn, middle + reach + 0.51, 0.0).clamp(0, size).long()
    return first, (last - first).clamp(min=0)


def tangents(splats: LinkSplats, packet: Packet, on: Projection) -> tuple[Tensor, Tensor]:
    """Return the derivatives of log alpha and depth in the parameters.

    Returns:
        Coefficients [N,6,p] of 1, dx, dy, dx^2, dx dy, dy^2 in d(log alpha), and d(depth) [N,p].
    """
    x, y, _ = on.center.unbind(-1)
    r = on.center - packet.center[splats.link]
    d, dM = _motions(r, on.M)
    dx, dy, dz = d.unbind(-1)  # [N,6]
    j00, j02, j11, j12 = (j[:, None] for j in on.J.unbind(-1))
    xx0, xy, yy0, det0, det = (c[:, None] for c in on.cov.unbind(-1))
    inv_z, inv_det = on.inv_z[:, None], 1.0 / det
    eps2d = packet.numbers.eps2d
    xx, yy = xx0 + eps2d, yy0 + eps2d
    scale = -dz * inv_z  # d(1/z) / (1/z)
    du, dv = j00 * (dx + x[:, None] * scale), j11 * (dy + y[:, None] * scale)
    dj02 = -j00 * inv_z * dx + 2.0 * j02 * scale
    dj12 = -j11 * inv_z * dy + 2.0 * j12 * scale
    M = on.M[:, None]
    d0 = _row(j00 * scale, M[:, :, 0]) + _row(dj02, M[:, :, 2])
    d1 = _row(j11 * scale, M[:, :, 1]) + _row(dj12, M[:, :, 2])
    d0 = d0 + _row(j00, dM[:, :, 0]) + _row(j02, dM[:, :, 2])
    d1 = d1 + _row(j11, dM[:, :, 1]) + _row(j12, dM[:, :, 2])
    U0, U1 = on.U[:, None, 0], on.U[:, None, 1]
    dxx, dyy = 2.0 * (U0 * d0).sum(-1), 2.0 * (U1 * d1).sum(-1)
    dxy = (U0 * d1 + U1 * d0).sum(-1)
    ddet0 = dxx * yy0 + xx0 * dyy - 2.0 * xy * dxy
    dlog = (dxx * yy + xx * dyy - 2.0 * xy * dxy) * inv_det
    A, B, C = yy * inv_det, -xy * inv_det, xx * inv_det
    moments = [
        0.5 * (ddet0 / det0.clamp(min=1e-20) - dlog),
        A * du + B * dv,
        B * du + C * dv,
        -0.5 * (dyy * inv_det - A * dlog),
        dxy * inv_det + B * dlog,
        -0.5 * (dxx * inv_det - C * dlog),
    ]
    drawn = on.box[:, 2, None, None] > 0
    D = torch.where(drawn, torch.stack([*moments, dz], -1), 0.0)  # [N,6,7]
    X = packet.twists[splats.link]  # [N,6,p]
    E = sum((D[:, t, :, None] * X[:, t, None] for t in range(1, 6)), D[:, 0, :, None] * X[:, :1])
    return E[:, :6], E[:, 6]


def _row(factor: Tensor, row: Tensor) -> Tensor:
    return factor[..., None] * row


def _motions(r: Tensor, M: Tensor) -> tuple[Tensor, Tensor]:
    """Return how centres [N,6,3] and half-axes [N,6,3,3] move with the six unit twists."""
    zero = torch.zeros_like(r[:, 0])
    rx, ry, rz = r.unbind(-1)
    turn = torch.stack([zero, -rz, ry, rz, zero, -rx, -ry, rx, zero], -1).view(-1, 3, 3)
    shift = torch.eye(3, dtype=r.dtype, device=r.device).expand(len(r), 3, 3)
    none = torch.zeros_like(M[:, 0])
    a, b, c = M.unbind(1)
    rows = [none, -c, b, c, none, -a, -b, a, none]
    turned = torch.stack(rows, 1).view(-1, 3, 3, 3)
    return torch.cat([shift, turn], 1), torch.cat([torch.zeros_like(turned), turned], 1)
