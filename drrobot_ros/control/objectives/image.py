"""Look like a goal image: colours, silhouette or both."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.errors import InputError


class ImageGoal:
    """Mean squared difference to a goal image, over a pyramid of resolutions.

    Coarse levels see a limb that does not overlap its goal yet; fine ones make it exact.

    Args:
        rgb: goal colours [H,W,3], uint8 or 0..1; None: silhouette only.
        mask: where the robot is in the goal [H,W], bool or 0..1; None: colours only. Colours are
            compared where either robot is, if it is given, else everywhere.
        view: which viewpoint of the candidate shows it.
        levels: resolutions, each half the one before.
        mask_weight: of the silhouette against the colours.

    Raises:
        InputError: neither given, or sizes or values that do not fit.
    """

    name = "image"

    def __init__(
        self,
        rgb: NDArray | None,
        mask: NDArray | None = None,
        view: int = 0,
        levels: int = 5,
        mask_weight: float = 1.0,
    ) -> None:
        if rgb is None and mask is None:
            raise InputError("an image goal needs colours, a mask or both")
        if rgb is not None and (np.ndim(rgb) != 3 or np.shape(rgb)[2] != 3):
            raise InputError(f"rgb must be [H, W, 3], got {list(np.shape(rgb))}")
        if mask is not None and np.ndim(mask) != 2:
            raise InputError(f"mask must be [H, W], got {list(np.shape(mask))}")
        if rgb is not None and mask is not None and np.shape(rgb)[:2] != np.shape(mask):
            raise InputError(f"rgb is {list(np.shape(rgb))}, mask {list(np.shape(mask))}")
        if levels < 1:
            raise InputError(f"levels must be at least 1, got {levels}")
        self._rgb = None if rgb is None else _unit(rgb, "rgb")
        self._mask = None if mask is None else _unit(mask, "mask")
        self._view, self._levels, self._mask_weight = view, levels, mask_weight

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the differences [B].

        Raises:
            InputError: the viewpoint's image has another size than the goal.
        """
        return torch.stack([self._one(candidate, b) for b in range(len(candidate.q))])

    def _one(self, candidate: Candidate, b: int) -> Tensor:
        seen = candidate.render(b, self._view)
        goal = self._rgb if self._rgb is not None else self._mask
        assert goal is not None
        if seen.alpha.shape != goal.shape[:2]:
            raise InputError(
                f"the goal is {list(goal.shape[:2])}, the viewpoint {list(seen.alpha.shape)}"
            )
        planes = []
        if self._rgb is not None:
            difference = seen.rgb - self._rgb
            if self._mask is not None:
                difference = difference * torch.maximum(seen.alpha, self._mask)[..., None]
            planes.append(difference.movedim(-1, 0))
        if self._mask is not None:
            weight = self._mask_weight**0.5
            planes.append(weight * (seen.alpha - self._mask)[None])
        x = torch.cat(planes)[None]
        cost = x.square().mean((0, 2, 3)).sum()
        for _ in range(self._levels - 1):
            if min(x.shape[-2:]) < 4:
                break
            x = torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True)
            cost = cost + x.square().mean((0, 2, 3)).sum()
        return cost


def _unit(image: NDArray, what: str) -> Tensor:
    array = np.asarray(image)
    if array.dtype == np.uint8:
        array = array / np.float32(255)
    array = array.astype(np.float32)
    if not np.isfinite(array).all() or array.min(initial=0) < 0 or array.max(initial=0) > 1:
        raise InputError(f"{what} must be uint8, or finite numbers from 0 to 1")
    return torch.from_numpy(array)
