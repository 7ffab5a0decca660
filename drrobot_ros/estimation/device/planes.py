"""Observed images on the device: sent once for each target."""

import weakref
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.estimation.normal_equations import ImageTarget


class Planes(NamedTuple):
    """Images of one target [H*W], colours [H*W,3]; None: no such residual.

    Attributes:
        weight: 0 where a pixel is to be ignored.
        color: observed colour.
        color_weight: trust in it times weight.
        background: what is behind the robot.
        mask: observed silhouette.
        mask_weight: trust in it times weight.
        depth: observed depth, m.
    """

    weight: Tensor
    color: Tensor | None = None
    color_weight: Tensor | None = None
    background: Tensor | None = None
    mask: Tensor | None = None
    mask_weight: Tensor | None = None
    depth: Tensor | None = None


def planes_of(target: ImageTarget, device: torch.device) -> Planes:
    """Send a target's images to a device."""
    pixels = target.width * target.height

    def sent(plane: np.ndarray | None, *last: int) -> Tensor | None:
        if plane is None:
            return None
        flat = torch.from_numpy(np.ascontiguousarray(plane, np.float32).reshape(pixels, *last))
        return flat.to(device)

    weight = sent(target.weight)
    if weight is None:
        weight = torch.ones(pixels, device=device)

    def weighed(trust: np.ndarray | None) -> Tensor:
        plane = sent(trust)
        return weight.clone() if plane is None else weight * plane

    color, mask = sent(target.color, 3), sent(target.mask)
    background = sent(target.background, 3)
    return Planes(
        weight,
        color,
        None if color is None else weighed(target.color_weight),
        None if color is None else (color.clone() if background is None else background),
        mask,
        None if mask is None else weighed(target.mask_weight),
        sent(target.depth),
    )


class PlaneStore:
    """Planes of the targets that are alive."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._held: dict[int, tuple[weakref.ref[ImageTarget], Planes]] = {}

    def of(self, target: ImageTarget) -> Planes:
        """Return the planes of a target, sent when it is seen first."""
        key = id(target)
        held = self._held.get(key)
        if held is not None and held[0]() is target:
            return held[1]
        planes = planes_of(target, self._device)
        store = self._held

        def forget(gone: weakref.ref[ImageTarget]) -> None:
            if key in store and store[key][0] is gone:
                del store[key]

        store[key] = (weakref.ref(target, forget), planes)
        return planes

    def holds(self, target: ImageTarget) -> bool:
        """Whether a target's planes were sent."""
        held = self._held.get(id(target))
        return held is not None and held[0]() is target
