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

    Attributes:
        ellipse: [N,6] centre mx, my (px), kx, A, F, lo.
        box: [N,4] int64 first column and row, width and height of the pixels a splat may reach; all
            0 if it is not drawn.
        center: [N,3] camera frame, m.
        inv_z: [N].
        M: [N,3,3] half-axes in the camera frame, m.
        f: [N,2] the projection's Jacobian: x and y by themselves,
        g: [N,2] and by z.
        U: [N,2,3] half-axes on the image, px.
        cov: [N,5] xx, yy, xy without eps2d, determinant without and with it.
    """

    ellipse: Tensor
    box: Tensor
    center: Tensor
    inv_z: Tensor
    M: Tensor
    f: Tensor
    g: Tensor
    U: Tensor
    cov: Tensor


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
    z = center[:, 2]
    M = (packet.rotation[splats.link][:, :, :, None] * splats.shape[:, None]).sum(2)
    inv_z = 1.0 / z.clamp(min=NEAR)
    focal, middle = torch.stack([n.fx, n.fy]), torch.stack([n.cx, n.cy])
    extent = torch.stack([width / n.fx, height / n.fy])
    slope = center[:, :2] * inv_z[:, None]
    # gsplat bounds the slopes of the projection outside the image; so do we.
    low, margin = -middle / focal, 0.15 * extent
    f = focal * inv_z[:, None]
    g = -torch.minimum(torch.maximum(slope, low - margin), extent + low + margin) * f
    U = f[:, :, None] * M[:, :2] + g[:, :, None] * M[:, 2:]
    diagonal, xy = U.square().sum(-1), (U[:, 0] * U[:, 1]).sum(-1)
    # |U0 x U1|^2 is the determinant without the cancellation of xx yy - xy^2.
    det0 = torch.linalg.cross(U[:, 0], U[:, 1]).square().sum(-1)
    wide = diagonal + n.eps2d
    det = det0 + n.eps2d * (diagonal.sum(-1) + n.eps2d)
    opacity = splats.opacity * torch.sqrt(det0 / det)
    lo = torch.log2(opacity)
    at = focal * slope + middle
    reach = torch.sqrt((2.0 / LOG2E) * (lo - MIN_U)[:, None] * wide)
    drawn = facing & (z > NEAR) & torch.isfinite(z) & (det > 0) & torch.isfinite(det)
    drawn &= (opacity >= 1.0 / 255.0) & torch.isfinite(opacity)
    yy = wide[:, 1]
    ellipse = [*at.unbind(-1), xy / yy, (0.5 * LOG2E) * yy / det, (0.5 * LOG2E) / yy, lo]
    return Projection(
        torch.stack(ellipse, -1),
        _box(at, reach, drawn, width, height),
        center,
        inv_z,
        M,
        f,
        g,
        U,
        torch.cat([diagonal, xy[:, None], det0[:, None], det[:, None]], -1),
    )


def _box(at: Tensor, reach: Tensor, drawn: Tensor, width: int, height: int) -> Tensor:
    """Return the first pixels whose centres may be inside, and how many there are."""
    ends = torch.cat([at - reach + 0.49, at + reach + 0.51], -1)
    ends = torch.where(drawn[:, None], ends, 0.0).clamp(min=0)
    x, y = ends[:, ::2].clamp(max=width), ends[:, 1::2].clamp(max=height)
    first_x, last_x = x.long().unbind(-1)
    first_y, last_y = y.long().unbind(-1)
    box = torch.stack([first_x, first_y, last_x - first_x, last_y - first_y], -1)
    return torch.where((box[:, 2:] > 0).all(-1, keepdim=True), box, 0)


def tangents(splats: LinkSplats, packet: Packet, on: Projection) -> tuple[Tensor, Tensor]:
    """Return the derivatives of log alpha and depth in the parameters.

    Returns:
        Coefficients [N,6,p] of 1, dx, dy, dx^2, dx dy, dy^2 in d(log alpha), and d(depth) [N,p].
    """
    d, dM = _motions(on.center - packet.center[splats.link], on.M)
    dz = d[..., 2]  # [N,6]
    scale = -(dz * on.inv_z[:, None])[..., None]  # d(1/z) / (1/z)
    f, g, across = on.f[:, None], on.g[:, None], d[..., :2]
    shift = f * (across + on.center[:, None, :2] * scale)  # of the centre on the image
    dg = 2.0 * g * scale - f * on.inv_z[:, None, None] * across
    dU = _rows(f * scale, dg, on.M[:, None]) + _rows(f, g, dM)  # [N,6,2,3]
    U = on.U[:, None]
    d_diagonal = 2.0 * (U * dU).sum(-1)
    dxy = (U.flip(2) * dU).sum((-2, -1))
    diagonal, xy = on.cov[:, None, :2], on.cov[:, 2:3]
    det0, inv_det = on.cov[:, 3:4], 1.0 / on.cov[:, 4:]
    wide = diagonal + packet.numbers.eps2d
    ddet0 = (d_diagonal * diagonal.flip(-1)).sum(-1) - 2.0 * xy * dxy
    dlog = ((d_diagonal * wide.flip(-1)).sum(-1) - 2.0 * xy * dxy) * inv_det
    inverse = wide.flip(-1) * inv_det[..., None]  # diagonal of the inverse covariance
    B = -xy * inv_det
    first = inverse * shift + B[..., None] * shift.flip(-1)
    square = 0.5 * (inverse * dlog[..., None] - d_diagonal.flip(-1) * inv_det[..., None])
    D = torch.stack(
        [
            0.5 * (ddet0 / det0.clamp(min=1e-20) - dlog),
            *first.unbind(-1),
            square[..., 0],
            dxy * inv_det + B * dlog,
            square[..., 1],
            dz,
        ],
        -1,
    )
    D = torch.where(on.box[:, 2, None, None] > 0, D, 0.0)  # [N,6,7]
    X = packet.twists[splats.link]  # [N,6,p]
    E = D[:, 0, :, None] * X[:, :1]
    for t in range(1, 6):
        E = torch.addcmul(E, D[:, t, :, None], X[:, t, None])
    return E[:, :6], E[:, 6]


def _rows(f: Tensor, g: Tensor, axes: Tensor) -> Tensor:
    """Return half-axes [...,3,3] on the image [...,2,3] by a projection's f and g [...,2]."""
    return f[..., None] * axes[..., :2, :] + g[..., None] * axes[..., 2:, :]


def _motions(r: Tensor, M: Tensor) -> tuple[Tensor, Tensor]:
    """Return how centres [N,6,3] and half-axes [N,6,3,3] move with the six unit twists."""
    shift = torch.eye(3, dtype=r.dtype, device=r.device).expand(len(r), 3, 3)
    turned = _turned(M)
    return torch.cat([shift, _turned(r)], 1), torch.cat([torch.zeros_like(turned), turned], 1)


def _turned(rows: Tensor) -> Tensor:
    """Return e x rows [N,3,3,...] of vectors [N,3,...] for the three unit vectors e."""
    zero = torch.zeros_like(rows[:, 0])
    a, b, c = rows.unbind(1)
    parts = [zero, -c, b, c, zero, -a, -b, a, zero]
    return torch.stack(parts, 1).unflatten(1, (3, 3))
