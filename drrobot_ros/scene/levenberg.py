"""Levenberg-Marquardt for many small robust problems at once."""

from collections.abc import Callable

import torch
from torch import Tensor

Residuals = Callable[[Tensor], Tensor]


def minimized(
    residuals: Residuals,
    start: Tensor,
    robust: int,
    *,
    freedom: float = 4.0,
    steps: int = 30,
) -> tuple[Tensor, Tensor]:
    """Return the parameters [B, P] that minimise each problem's cost, and the costs [B].

    The first ``robust`` residuals are Student-t with so many degrees of freedom, reweighted in
    every step (Lange et al., 1989); the others are Gaussian. Problems are independent rows, so that
    one forward-mode derivative per parameter gives all their Jacobians.

    Args:
        residuals: maps [B, P] to whitened residuals [B, R].
        start: [B, P] float64.
        robust: how many residuals are heavy-tailed.
        freedom: degrees of freedom.
        steps: tried, each taken only where it lowers the cost.
    """
    x = start.clone()
    damping = torch.full((len(x),), 1e-2, dtype=x.dtype)
    value = residuals(x)
    cost = _cost(value, robust, freedom)
    diagonal = torch.arange(x.shape[1])
    for _ in range(steps):
        J = _jacobian(residuals, x)
        weight = torch.ones_like(value)
        weight[:, :robust] = (freedom + 1) / (freedom + value[:, :robust] ** 2)
        H = J.transpose(1, 2) @ (weight[..., None] * J)
        g = (J * (weight * value)[..., None]).sum(1)
        H[:, diagonal, diagonal] += damping[:, None] * (H[:, diagonal, diagonal] + 1e-6)
        step = torch.linalg.solve(H, -g[..., None])[..., 0]
        trial = x + step.clamp(-1.0, 1.0)
        trial_value = residuals(trial)
        trial_cost = _cost(trial_value, robust, freedom)
        better = trial_cost < cost
        gain = torch.where(better, (cost - trial_cost) / (cost.abs() + 1e-9), torch.zeros(()))
        x = torch.where(better[:, None], trial, x)
        value = torch.where(better[:, None], trial_value, value)
        cost = torch.where(better, trial_cost, cost)
        damping = torch.where(better, damping * 0.3, damping * 6.0).clamp(1e-7, 1e7)
        if bool((better & (gain < 1e-4) | (damping > 1e6)).all()):
            break
    return x, cost


def _cost(value: Tensor, robust: int, freedom: float) -> Tensor:
    heavy = (freedom + 1) * torch.log1p(value[:, :robust] ** 2 / freedom)
    cost = 0.5 * (heavy.sum(1) + (value[:, robust:] ** 2).sum(1))
    return torch.nan_to_num(cost, nan=torch.inf)


def _jacobian(residuals: Residuals, x: Tensor) -> Tensor:
    """Return the derivatives [B, R, P]; one parameter of all problems at a time, all at once."""
    count = x.shape[1]
    tangents = torch.eye(count, dtype=x.dtype)[:, None].expand(count, *x.shape)

    def along(tangent: Tensor) -> Tensor:
        return torch.func.jvp(residuals, (x,), (tangent,))[1]

    return torch.nan_to_num(torch.func.vmap(along)(tangents).permute(1, 2, 0))
