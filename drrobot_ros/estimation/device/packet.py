"""What changes from one evaluation to the next, in one small array: one transfer each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.estimation.device.motion import LinkMotion
from drrobot_ros.estimation.normal_equations import ImageTarget


class Numbers(NamedTuple):
    """Numbers of a target as tensors without dimensions, `gain` and `bias` as [3]."""

    fx: Tensor
    fy: Tensor
    cx: Tensor
    cy: Tensor
    eps2d: Tensor
    inset_px: Tensor
    cull: Tensor
    color_sigma: Tensor
    mask_sigma: Tensor
    depth_sigma: Tensor
    robust: Tensor
    cutoff: Tensor
    gain: Tensor
    bias: Tensor


class Packet(NamedTuple):
    """Links in the camera frame, as `LinkMotion`, and the target's numbers."""

    rotation: Tensor
    translation: Tensor
    center: Tensor
    twists: Tensor
    numbers: Numbers


_SINGLE = len(Numbers._fields) - 2


def pack(motion: LinkMotion, target: ImageTarget, cutoff: float) -> NDArray[np.float32]:
    """Return everything as one array."""
    K = target.K
    singles = [K[0, 0], K[1, 1], K[0, 2], K[1, 2], target.eps2d, target.inset_px, target.cull]
    singles += [target.color_sigma, target.mask_sigma, target.depth_sigma, target.robust, cutoff]
    numbers = np.array([*singles, *target.gain, *target.bias])
    return np.concatenate([numbers, *(part.ravel() for part in motion)]).astype(np.float32)


def unpack(flat: Tensor, links: int) -> Packet:
    """Return the parts of a packed array as views of it."""
    rest = flat[_SINGLE:]
    numbers = Numbers._make([*flat[:_SINGLE].unbind(), rest[:3], rest[3:6]])
    rest = rest[6:]
    rotation, translation = rest[: 9 * links], rest[9 * links : 12 * links]
    center, twists = rest[12 * links : 15 * links], rest[15 * links :]
    return Packet(
        rotation.view(links, 3, 3),
        translation.view(links, 3),
        center.view(links, 3),
        twists.view(links, 6, -1) if len(twists) else twists.view(links, 6, 0),
        numbers,
    )
