"""Images of the robot and their derivatives in the parameters; `robot_jacobian.hpp` is the twin.

    dO = sum_i (w_i c_i - alpha_i / (1 - alpha_i) rest_i) d(log alpha_i) + w_i dc_i

with `rest_i` what lies behind splat i, summed from the pixel's back to it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from drrobot_ros.estimation.device.pairs import Pairs, kept, starts_of, summed


class Channels(NamedTuple):
    """Which images are wanted, in this order: red, green, blue; alpha always; depth."""

    color: bool
    depth: bool

    @property
    def alpha(self) -> int:
        """Index of alpha."""
        return 3 if self.color else 0

    @property
    def count(self) -> int:
        """Number of channels."""
        return self.alpha + 1 + self.depth


class Images(NamedTuple):
    """Premultiplied channels [H*W,c] and what was left out of them for their derivatives."""

    value: Tensor
    running: Tensor  # sums over pairs [P + 1, c]
    table: Tensor  # channels of the splats [N,c]


def images_of(pairs: Pairs, color: Tensor, depth: Tensor, channels: Channels) -> Images:
    """Composite colours [N,3] and depths [N] of the splats."""
    parts = [color] if channels.color else []
    parts.append(torch.ones_like(depth)[:, None])
    if channels.depth:
        parts.append(depth[:, None])
    table = torch.cat(parts, 1)
    running = summed(pairs.weight[:, None] * table[pairs.splat])
    value = running[pairs.starts[1:]] - running[pairs.starts[:-1]]
    return Images(value.to(table.dtype), running, table)


def jacobian_of(
    pairs: Pairs,
    images: Images,
    moments: Tensor,
    depth_slopes: Tensor,
    channels: Channels,
    cutoff: Tensor,
    capacity: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivatives of the channels.

    Args:
        pairs: of the image.
        images: composited from them.
        moments: derivatives of log alpha [N,6,p], see `tangents`.
        depth_slopes: derivatives of depth [N,p].
        channels: as composited.
        cutoff: pairs that weigh less have no derivative.
        capacity: most pairs with a derivative; None: all.

    Returns:
        Jacobian images [H*W,c,p], how many pairs have a derivative, and which splats [N] do.
    """
    pixels, p = len(pairs.starts) - 1, moments.shape[-1]
    ends = pairs.starts[1:][pairs.pixel.clamp(max=pixels - 1)]
    wanted = pairs.drawn & (pairs.weight > cutoff)
    index, valid, count = kept(wanted, capacity)
    splat = pairs.splat[index]
    lists = torch.stack([pairs.alpha, pairs.weight, pairs.dx, pairs.dy], -1)
    alpha, weight, dx, dy = lists[index].unbind(-1)
    rest = (images.running[ends[index]] - images.running[index + 1]).to(alpha.dtype)
    own = weight[:, None] * images.table[splat]
    kappa = own - (alpha / (1.0 - alpha))[:, None] * rest
    kappa = torch.where(pairs.moves[index][:, None], kappa, 0.0)
    slope = moments[splat, 0]
    for m, factor in enumerate((dx, dy, dx * dx, dx * dy, dy * dy), 1):
        slope = torch.addcmul(slope, factor[:, None], moments[splat, m])
    rows = kappa[:, :, None] * slope[:, None, :]
    if channels.depth:
        rows[:, -1] += weight[:, None] * depth_slopes[splat]
    pixel = torch.where(valid, pairs.pixel[index], pixels)
    lengths = starts_of(pixel, pixels).diff()
    total = _segments(rows.flatten(1), lengths, pixel)
    seen = torch.zeros(len(moments) + 1, dtype=torch.bool, device=splat.device)
    seen = seen.index_fill(0, torch.where(valid, splat, len(moments)), True)[:-1]
    return total.view(pixels, channels.count, p), count, seen


def _segments(rows: Tensor, lengths: Tensor, pixel: Tensor) -> Tensor:
    """Return the sums of rows [n,k] by pixel [pixels,k]."""
    if rows.device.type != "cpu" and len(rows):  # in their order: the same every time
        return torch.segment_reduce(rows, "sum", lengths=lengths, unsafe=True)
    out = rows.new_zeros(len(lengths) + 1, rows.shape[1])
    return out.index_add_(0, pixel, rows)[:-1]
