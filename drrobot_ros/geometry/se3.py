"""Rigid transforms as 4x4 matrices, and twists xi = (v, w): linear first, then angular.

Batched, differentiable torch; any leading dimensions, dtype and device.
Source: Sola, Deray, Atchuthan, "A micro Lie theory for state estimation in robotics", appendix D.
"""

import torch
from torch import Tensor

from drrobot_ros.geometry import series, so3


def compose(R: Tensor, p: Tensor) -> Tensor:
    """Return T [..., 4, 4] of rotations R [..., 3, 3] and translations p [..., 3] in m."""
    top = torch.cat([R, p[..., None]], dim=-1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def inverse(T: Tensor) -> Tensor:
    """Return the inverse transforms [..., 4, 4]."""
    Rt = T[..., :3, :3].mT
    return compose(Rt, -(Rt @ T[..., :3, 3:]).squeeze(-1))


def exp(xi: Tensor) -> Tensor:
    """Return T [..., 4, 4] of the twists xi [..., 6] = (v in m, w in rad), for unit time."""
    v, w = xi[..., :3], xi[..., 3:]
    x = (w * w).sum(-1)[..., None, None]
    K = so3.hat(w)
    KK = K @ K
    eye = torch.eye(3, dtype=xi.dtype, device=xi.device)
    R = eye + series.sinc(x) * K + series.versine(x) * KK
    V = eye + series.versine(x) * K + series.cubic(x) * KK
    return compose(R, (V @ v[..., None]).squeeze(-1))


def log(T: Tensor) -> Tensor:
    """Return the twists [..., 6] whose `exp` is T [..., 4, 4]; rotations of at most pi."""
    w = so3.log(T[..., :3, :3])
    x = (w * w).sum(-1)[..., None, None]
    K = so3.hat(w)
    eye = torch.eye(3, dtype=T.dtype, device=T.device)
    V_inverse = eye - K / 2 + series.left_inverse(x) * (K @ K)
    return torch.cat([(V_inverse @ T[..., :3, 3:]).squeeze(-1), w], dim=-1)


def adjoint(T: Tensor) -> Tensor:
    """Return [..., 6, 6]: `adjoint(T_a_b) @ xi_b` is the twist xi_b written in frame a."""
    R = T[..., :3, :3]
    top = torch.cat([R, so3.hat(T[..., :3, 3]) @ R], dim=-1)
    bottom = torch.cat([torch.zeros_like(R), R], dim=-1)
    return torch.cat([top, bottom], dim=-2)
