"""Residuals, robust weights, normal equations and statistics; `robot_residuals.cpp` is the twin.

Residuals of colour and silhouette are linear in the channels; with a blur they and their
derivatives are blurred before they are weighed (`blurred_rows.cpp`).
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from drrobot_ros.estimation.device.jacobian import Channels
from drrobot_ros.estimation.device.packet import Numbers
from drrobot_ros.estimation.device.planes import Planes

SOLID = 0.7
# Values of `Statistics`, up to the sums of the fit.
STATISTICS = (
    "cost",
    "color_cost",
    "mask_cost",
    "depth_cost",
    "color_count",
    "mask_count",
    "depth_count",
    "inside",
    "inside_error",
    "intersection",
    "union",
    "depth_inliers",
)
FIT = 15  # 3 channels of 5 sums


class Size(NamedTuple):
    """Of the image, and of the blur of colour and silhouette residuals."""

    width: int
    height: int
    blur_radius: int
    blur_passes: int


class _Part(NamedTuple):
    """Residuals [H*W,r] of one kind and their derivatives [H*W,r,p]."""

    residual: Tensor
    rows: Tensor | None


def normal_sums(
    image: Tensor,
    jacobian: Tensor | None,
    channels: Channels,
    planes: Planes,
    n: Numbers,
    size: Size,
) -> Tensor:
    """Return the statistics, then g [p] and H [p,p] if there is a Jacobian, as one float64 array.

    Args:
        image: channels [H*W,c].
        jacobian: their derivatives [H*W,c,p], or None.
        channels: which they are.
        planes: what was observed.
        n: noise, robust limit, gain and bias.
        size: of the image and the blur.
    """
    told = {name: image.new_zeros((), dtype=torch.float64) for name in STATISTICS}
    fit = image.new_zeros(FIT, dtype=torch.float64)
    alpha = image[:, channels.alpha]
    told["inside"] = _sum(planes.weight * alpha)
    parts: list[_Part] = []
    if planes.color is not None:
        part, fit = _color(image, jacobian, channels, planes, n, told)
        part = _weighed(_blurred(part, size), 1.0 / n.color_sigma, n.robust, told, "color_cost")
        parts.append(part)
    if planes.mask is not None:
        part = _mask(alpha, jacobian, channels, planes, told)
        part = _weighed(_blurred(part, size), 1.0 / n.mask_sigma, n.robust, told, "mask_cost")
        parts.append(part)
    if planes.depth is not None:
        parts.append(_depth(image, jacobian, channels, planes, n, told))
    told["cost"] = told["color_cost"] + told["mask_cost"] + told["depth_cost"]
    out = [torch.stack([told[name] for name in STATISTICS]), fit]
    if jacobian is not None:
        p = jacobian.shape[-1]
        out += _sums([part for part in parts if part.rows is not None], p, image)
    return torch.cat(out)


def _sum(values: Tensor) -> Tensor:
    return values.sum(dtype=torch.float64)


def _color(
    image: Tensor,
    jacobian: Tensor | None,
    channels: Channels,
    planes: Planes,
    n: Numbers,
    told: dict[str, Tensor],
) -> tuple[_Part, Tensor]:
    color, weight, behind = planes.color, planes.color_weight, planes.background
    assert color is not None and weight is not None and behind is not None
    rgb, alpha = image[:, :3], image[:, channels.alpha, None]
    counts = (weight > 0)[:, None]
    own = n.gain * rgb + n.bias * alpha
    residual = torch.where(counts, weight[:, None] * (own + (1.0 - alpha) * behind - color), 0.0)
    rows = None
    if jacobian is not None:
        of_color = torch.where(counts, weight[:, None] * n.gain, 0.0)
        of_alpha = torch.where(counts, weight[:, None] * (n.bias - behind), 0.0)
        rows = of_color[:, :, None] * jacobian[:, :3]
        rows = rows + of_alpha[:, :, None] * jacobian[:, channels.alpha, None]
    told["color_count"] = told["color_count"] + len(image)
    valid = planes.weight > 0
    off = (own - alpha * color).abs().sum(-1) * (1.0 / 3.0) * planes.weight
    off = torch.where(valid, off, 0.0)
    told["inside_error"] = _sum(off)
    return _Part(residual, rows), _fit(rgb, alpha[:, 0], off, planes, n)


def _fit(rgb: Tensor, alpha: Tensor, off: Tensor, planes: Planes, n: Numbers) -> Tensor:
    """Return the sums from which gain and bias are fitted [15]."""
    assert planes.color is not None
    solid = (alpha >= SOLID) & (planes.weight > 0)
    inverse = 1.0 / alpha.clamp(min=SOLID)
    e = off * inverse / planes.weight / n.color_sigma
    # Cauchy: wrong pixels must not set the light.
    f = torch.where(solid, planes.weight / (1.0 + e * e), 0.0)[:, None]
    x = rgb * inverse[:, None]
    y = torch.where(solid[:, None], planes.color, 0.0)
    sums = [f.expand_as(x), f * x, f * y, f * x * x, f * x * y]
    return torch.stack(sums, -1).sum(0, dtype=torch.float64).reshape(-1)


def _mask(
    alpha: Tensor,
    jacobian: Tensor | None,
    channels: Channels,
    planes: Planes,
    told: dict[str, Tensor],
) -> _Part:
    mask, weight = planes.mask, planes.mask_weight
    assert mask is not None and weight is not None
    valid = planes.weight > 0
    told["mask_count"] = told["mask_count"] + len(alpha)
    both, either = torch.minimum(alpha, mask), torch.maximum(alpha, mask)
    told["intersection"] = _sum(torch.where(valid, planes.weight * both, 0.0))
    told["union"] = _sum(torch.where(valid, planes.weight * either, 0.0))
    counts = weight > 0
    residual = torch.where(counts, weight * (alpha - mask), 0.0)[:, None]
    rows = None
    if jacobian is not None:
        of_alpha = torch.where(counts, weight, 0.0)
        rows = of_alpha[:, None, None] * jacobian[:, channels.alpha, None]
    return _Part(residual, rows)


def _depth(
    image: Tensor,
    jacobian: Tensor | None,
    channels: Channels,
    planes: Planes,
    n: Numbers,
    told: dict[str, Tensor],
) -> _Part:
    """Depth where the robot covers a pixel well, with Geman and McClure's weight."""
    seen = planes.depth
    assert seen is not None
    alpha = image[:, channels.alpha]
    counts = (seen > 0) & torch.isfinite(seen) & (alpha >= SOLID) & (planes.weight > 0)
    inverse = 1.0 / alpha.clamp(min=SOLID)
    z = image[:, -1] * inverse
    e = torch.where(counts, (z - seen) / n.depth_sigma, 0.0)
    s2 = (2.0 * n.robust).square()
    d = s2 + e * e
    told["depth_cost"] = _sum(0.5 * s2 * e * e / d)
    told["depth_count"] = _sum(counts)
    told["depth_inliers"] = _sum(counts & (e.abs() < 2.0))
    rows = None
    if jacobian is not None:
        scale = torch.where(counts, (s2 / n.depth_sigma) / d, 0.0) * inverse
        rows = jacobian[:, -1] - z[:, None] * jacobian[:, channels.alpha]
        rows = (scale[:, None] * rows)[:, None]
    return _Part((e * (s2 / d))[:, None], rows)


def _blurred(part: _Part, size: Size) -> _Part:
    if size.blur_radius <= 0 or size.blur_passes <= 0:
        return part
    rows = part.rows
    if rows is not None:
        rows = _box_blur(rows.flatten(1), size).reshape(rows.shape)
    return _Part(_box_blur(part.residual, size), rows)


def _box_blur(values: Tensor, size: Size) -> Tensor:
    """Blur images [H*W,k]; ends repeat."""
    r = size.blur_radius
    x = values.T.reshape(1, -1, size.height, size.width)
    for _ in range(size.blur_passes):
        x = functional.avg_pool2d(
            functional.pad(x, (r, r, r, r), mode="replicate"), 2 * r + 1, stride=1
        )
    return x.flatten(2)[0].T


def _weighed(
    part: _Part, inverse_sigma: Tensor, robust: Tensor, told: dict[str, Tensor], cost: str
) -> _Part:
    """Weigh residuals by Huber's weight of their length."""
    e = part.residual.square().sum(-1).sqrt() * inverse_sigma
    inlier = e <= robust
    told[cost] = _sum(torch.where(inlier, 0.5 * e * e, robust * (e - 0.5 * robust)))
    root = inverse_sigma * torch.sqrt(robust / torch.maximum(e, robust))
    rows = None if part.rows is None else part.rows * root[:, None, None]
    return _Part(part.residual * root[:, None], rows)


def _sums(parts: list[_Part], p: int, like: Tensor) -> list[Tensor]:
    """Return g [p] and H [p*p]; in float64, which no setting lets a GPU round."""
    g, H = (like.new_zeros(shape, dtype=torch.float64) for shape in (p, (p, p)))
    for part in parts:
        assert part.rows is not None
        rows = part.rows.reshape(-1, p).double()
        g = g + rows.T @ part.residual.reshape(-1).double()
        H = H + rows.T @ rows
    return [g, H.reshape(-1)]
