"""Which splat counts in which pixel, front to back: lists over pairs instead of loops over tiles.

With a capacity every array has a size that does not depend on the values in it, as a CUDA graph
needs: what does not fit is left out, and the counts tell.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from drrobot_ros.estimation.device.projection import MIN_U, Projection

MAX_ALPHA = 0.999
MIN_TRANSMITTANCE = 1e-4


class Capacity(NamedTuple):
    """Room for pixels in the splats' boxes, pairs inside the splats, and pairs with a tangent."""

    boxes: int
    pairs: int
    tangents: int


class Pairs(NamedTuple):
    """Pairs [P] sorted by pixel, front to back within a pixel.

    Attributes:
        pixel: y * width + x; width * height in what is left of the capacity.
        splat: index.
        dx: pixel centre minus the splat's, px.
        dy: the same.
        alpha: of the splat in the pixel; 0 in what is left of the capacity.
        moves: alpha is not at its bound.
        drawn: the pixel was not yet closed.
        weight: alpha times transmittance; 0 where not drawn.
        starts: first pair of each pixel [pixels + 1].
        counts: how many pixels in boxes and pairs there were [2].
    """

    pixel: Tensor
    splat: Tensor
    dx: Tensor
    dy: Tensor
    alpha: Tensor
    moves: Tensor
    drawn: Tensor
    weight: Tensor
    starts: Tensor
    counts: Tensor


def pairs_of(on: Projection, width: int, height: int, capacity: Capacity | None) -> Pairs:
    """Return the pairs of an image; with a capacity no more than that."""
    device, pixels = on.box.device, width * height
    order = torch.argsort(on.center[:, 2], stable=True)
    area = (on.box[:, 2] * on.box[:, 3])[order]
    ends = area.cumsum(0)
    total = ends[-1]
    k = torch.arange(int(total) if capacity is None else capacity.boxes, device=device)
    slot = torch.searchsorted(ends, k, right=True).clamp(max=len(order) - 1)
    splat = order[slot]
    local = k - (ends - area)[slot]
    x0, y0, wide, _ = on.box[splat].unbind(-1)
    row = local // wide.clamp(min=1)
    x, y = x0 + local - row * wide, y0 + row
    mx, my, kx, A, F, lo = on.ellipse[splat].unbind(-1)
    dx, dy = x + 0.5 - mx, y + 0.5 - my
    p = dx - kx * dy
    u = lo - p * (A * p) - dy * (F * dy)
    inside = (u >= MIN_U) & (k < total)

    index, valid, count = kept(inside, None if capacity is None else capacity.pairs)
    pixel = torch.where(valid, (y * width + x)[index], pixels)
    pixel, by_pixel = torch.sort(pixel, stable=True)
    index, valid = index[by_pixel], valid[by_pixel]
    dx, dy, u = torch.stack([dx, dy, u], -1)[index].unbind(-1)
    full = torch.where(valid, torch.exp2(u), 0.0)
    alpha = full.clamp(max=MAX_ALPHA)
    starts = starts_of(pixel, pixels)
    logs = torch.log1p(-alpha.double())
    passed = summed(logs)
    first = passed[starts[pixel.clamp(max=pixels - 1)]]
    before = torch.exp(passed[:-1] - first)
    drawn = valid & (before * (1.0 - alpha.double()) > MIN_TRANSMITTANCE)
    weight = torch.where(drawn, alpha * before, 0.0).to(alpha.dtype)
    return Pairs(
        pixel,
        splat[index],
        dx,
        dy,
        alpha,
        full <= MAX_ALPHA,
        drawn,
        weight,
        starts,
        torch.stack([total, count]),
    )


def kept(mask: Tensor, capacity: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return where a mask is true, in order.

    Returns:
        Indices [n], which of them mean anything [n], and how many there are; n is that number, or
        the capacity.
    """
    count = mask.sum()
    if capacity is None:
        index = mask.nonzero()[:, 0]
        return index, torch.ones_like(index, dtype=torch.bool), count
    place = torch.where(mask, mask.cumsum(0) - 1, capacity).clamp(max=capacity)
    index = torch.zeros(capacity + 1, dtype=torch.int64, device=mask.device)
    index = index.scatter(0, place, torch.arange(len(mask), device=mask.device))[:-1]
    return index, torch.arange(capacity, device=mask.device) < count, count


def starts_of(pixel: Tensor, pixels: int) -> Tensor:
    """Return the first pair of each pixel [pixels + 1] in a sorted list."""
    return torch.searchsorted(pixel, torch.arange(pixels + 1, device=pixel.device))


def summed(values: Tensor) -> Tensor:
    """Return the sums of the first 0, 1, ... values, in float64: over many pixels they grow."""
    zero = values.new_zeros((1, *values.shape[1:]), dtype=torch.float64)
    return torch.cat([zero, values.cumsum(0, dtype=torch.float64)])
