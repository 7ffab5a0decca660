"""How well a rendered robot agrees with the true one."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from drrobot_ros.training.losses import ssim as _ssim


def psnr(a: Tensor, b: Tensor) -> float:
    """Return the peak signal-to-noise ratio of images [H, W, 3] of 0 to 1, dB; all pixels count."""
    return _decibel(float((a.clamp(0, 1) - b).square().mean()))


def psnr_inside(a: Tensor, b: Tensor, mask: Tensor) -> float:
    """Return the ratio over the pixels of a mask [H, W] only, dB; nan where it is empty."""
    if not bool(mask.any()):
        return math.nan
    return _decibel(float((a.clamp(0, 1) - b)[mask.bool()].square().mean()))


def ssim(a: Tensor, b: Tensor) -> float:
    """Return the mean structural similarity of images [H, W, 3] of 0 to 1 (Wang et al. 2004)."""
    return float(_ssim(a.clamp(0, 1), b))


def iou(alpha: Tensor, mask: Tensor) -> float:
    """Return the intersection over the union of alpha [H, W] above 0.5 and a mask; 1 if empty."""
    a, b = alpha > 0.5, mask > 0.5
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def chamfer(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the mean of both mean distances to the nearest point of the other cloud, m.

    Args:
        a: [N, 3] points, m.
        b: [M, 3] points, m.
    """
    there = KDTree(b).query(a)[0].mean()
    back = KDTree(a).query(b)[0].mean()
    return float(0.5 * (there + back))


def _decibel(mse: float) -> float:
    return math.inf if mse <= 0 else -10 * math.log10(mse)


def mean(values: list[float]) -> float:
    """Return the mean of the numbers that are finite; nan if none is."""
    finite = torch.tensor([v for v in values if math.isfinite(v)], dtype=torch.float64)
    return float(finite.mean()) if len(finite) else math.nan
