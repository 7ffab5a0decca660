"""How far an object is to be believed, and why not farther."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.scene.parts import Parts
from drrobot_ros.scene.types import Floats

_FEW_PX = 150
_GOOD_M, _BAD_M = 0.006, 0.02  # depth residual
_GOOD_IOU, _BAD_IOU = 0.8, 0.45


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """What is thought of one object."""

    confidence: float
    warnings: tuple[str, ...]
    visible_fraction: float
    depth_residual_m: float
    iou: float


def judge(parts: Parts, depth_m: Floats, owner: NDArray[np.int64]) -> list[Judged]:
    """Return the verdict on each object.

    Args:
        parts: of the scene.
        depth_m: drawn [H, W].
        owner: object drawn at each pixel [H, W].
    """
    return [_one(parts, i, depth_m, owner) for i in range(len(parts.names))]


def _one(parts: Parts, i: int, drawn_m: Floats, owner: NDArray[np.int64]) -> Judged:
    mask, drawn = parts.masks[i], owner == i
    known = parts.depth_m > 0
    both = mask & drawn & known
    count = int((mask & known).sum())
    residual = float(np.median(np.abs(drawn_m - parts.depth_m)[both])) if both.any() else np.inf
    either = (mask | drawn).sum()
    iou = float((mask & drawn).sum() / either) if either else 0.0
    part = count / max(int(mask.sum()), 1)
    x1, y1, x2, y2 = parts.boxes[i].astype(int)
    inside = int((mask[y1:y2, x1:x2]).sum())
    filled = inside / max((x2 - x1) * (y2 - y1), 1)
    covered = 1 - float(parts.evidence.bounds_known[i].mean())
    warnings = []
    factors = [
        _between(residual, _BAD_M, _GOOD_M),
        _between(iou, _BAD_IOU, _GOOD_IOU),
        _between(part, 0.1, 0.5),
        _between(count, 40, 2 * _FEW_PX),
    ]
    if residual > 0.5 * (_GOOD_M + _BAD_M):
        warnings.append(f"drawn and measured depth differ by {1e3 * residual:.0f} mm")
    if iou < 0.6:
        warnings.append(f"drawn outline and mask overlap by {iou:.0%} only")
    if part < 0.4:
        warnings.append(f"{part:.0%} of its pixels have depth: transparent, shiny or too near?")
    if count < _FEW_PX:
        warnings.append(f"only {count} pixels with depth")
    if filled < 0.15:
        factors.append(_between(filled, 0.02, 0.15))
        warnings.append(f"its mask fills {filled:.0%} of its box: nothing stands there?")
    if covered >= 0.5:
        factors.append(0.7)
        warnings.append("half of its outline is covered or outside the image")
    span = parts.meshes[i].vertices
    if parts.kinds[i] == ("contradicted",):
        factors.append(0.1)
        warnings.append("mask, depth and shape contradict each other")
    size = float(np.ptp(span, axis=0).max())
    if size > 0.5:
        factors.append(0.3)
        warnings.append(f"implausibly large: {size:.2f} m")
    top = float(span[:, 2].max())
    if top < 0.008:
        factors.append(0.4)
        warnings.append("hardly stands out of the plane")
    confidence = float(np.prod(factors))
    if not np.isfinite(residual):
        residual = float("inf")
    return Judged(confidence, tuple(warnings), part, residual, iou)


def _between(value: float, bad: float, good: float) -> float:
    return float(np.clip((value - bad) / (good - bad), 0, 1))
