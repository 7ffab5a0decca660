"""The colours a camera sees of Gaussians: albedo, light and harmonics of the view direction."""

from typing import Any

import torch
from torch import Tensor

from drrobot_ros.splats import harmonics, lighting


class _Bounded(torch.autograd.Function):
    """Clamp to 0..1 that still lets gradients lead back into the range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        outward = ((x > 1) & (gradient < 0)) | ((x < 0) & (gradient > 0))
        return gradient.masked_fill(outward, 0)


def seen_colors(
    colors: Tensor,
    sh: Tensor | None,
    light: Tensor | None,
    normals: Tensor,
    views: Tensor,
    turn: Tensor,
) -> Tensor:
    """Return view-dependent colours [..., N, 3], 0 to 1.

    Args:
        colors: [N, 3] albedo.
        sh: [N, 8, 3] harmonics of degrees 1 and 2 of the view direction in link axes, or None.
        light: [lighting.SIZE], or None for the albedo itself.
        normals: [..., N, 3] unit, base frame.
        views: [..., N, 3] unit, from the camera to the Gaussians, base frame.
        turn: [..., N, 3, 3] rotations from link to base axes.

    Gradients flow to everything.
    """
    seen = colors
    if light is not None:
        multiply, add = lighting.shade(light, normals, views)
        seen = colors * multiply + add
    if sh is not None:
        local = (turn * views[..., :, None]).sum(dim=-2)  # turn^T view
        seen = seen + harmonics.evaluate(sh, local)
    bounded: Tensor = _Bounded.apply(seen)
    return bounded
