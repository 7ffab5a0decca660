"""What training minimises: differences of colour, structure, silhouette and depth.

Sources: Kerbl et al. 2023 (L1 and D-SSIM with weights 0.8 and 0.2); Wang et al. 2004 (SSIM).
"""

import dataclasses
from functools import lru_cache

import torch
from torch import Tensor

from drrobot_ros.configuration import setting, validate

_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; each is a mean over the pixels around the robot, or over Gaussians."""

    l1: float = setting(1.0, "absolute differences of colour", minimum=0.0)
    l2: float = setting(0.0, "squared differences of colour", minimum=0.0)
    ssim: float = setting(
        0.0, "1 - SSIM, half of it; a step takes about twice as long", minimum=0.0
    )
    mask: float = setting(0.3, "absolute differences of the silhouette", minimum=0.0)
    depth: float = setting(0.0, "absolute differences of depth, of the distance", minimum=0.0)
    deformation: float = setting(
        0.001, "what poses change, squared, over what they may change", minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self)


def image_loss(
    config: LossConfig,
    rgb: Tensor,
    alpha: Tensor,
    depth: Tensor | None,
    target: Tensor,
    mask: Tensor,
    target_depth: Tensor | None,
) -> Tensor:
    """Return the loss of one view.

    Args:
        config: the weights.
        rgb: rendered [h, w, 3] over the background of the target.
        alpha: rendered [h, w].
        depth: rendered [h, w] m, where its weight is not 0.
        target: [h, w, 3] 0 to 1.
        mask: [h, w] 0 or 1.
        target_depth: [h, w] m.
    """
    error = rgb - target
    loss = rgb.new_zeros(())
    if config.l1:
        loss = loss + config.l1 * error.abs().mean()
    if config.l2:
        loss = loss + config.l2 * error.square().mean()
    if config.ssim:
        loss = loss + config.ssim * 0.5 * (1 - ssim(rgb, target))
    if config.mask:
        loss = loss + config.mask * (alpha - mask).abs().mean()
    if config.depth and depth is not None and target_depth is not None:
        both = mask * (alpha.detach() > 0.5)
        distance = target_depth.clamp(min=1e-3)
        loss = loss + config.depth * (both * (depth - target_depth).abs() / distance).mean()
    return loss


def ssim(a: Tensor, b: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Return the mean structural similarity of two images [h, w, 3], 0 to 1; differentiable."""
    taps = _taps(window, sigma).to(a)
    images = (
        torch.stack([a, b, a * a, b * b, a * b]).permute(0, 3, 1, 2).reshape(-1, 1, *a.shape[:2])
    )
    pad = window // 2
    rows = torch.nn.functional.conv2d(images, taps.view(1, 1, -1, 1), padding=(pad, 0))
    blurred = torch.nn.functional.conv2d(rows, taps.view(1, 1, 1, -1), padding=(0, pad))
    mean_a, mean_b, aa, bb, ab = blurred.reshape(5, 3, *a.shape[:2])
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    top = (2 * mean_a * mean_b + _SSIM_C1) * (2 * cov + _SSIM_C2)
    bottom = (mean_a**2 + mean_b**2 + _SSIM_C1) * (var_a + var_b + _SSIM_C2)
    return (top / bottom).mean()


@lru_cache
def _taps(window: int, sigma: float) -> Tensor:
    x = torch.arange(window, dtype=torch.float32) - window // 2
    taps = torch.exp(-0.5 * (x / sigma) ** 2)
    return taps / taps.sum()
