"""Parametrizations of learned numbers: plain modules whose ``forward()`` returns the value.

Any `torch.nn.Module` that takes no argument and returns a tensor of the right shape will do, a
network too. These keep a value where it can be: positive, bounded, a rotation, a body's inertia.
"""

import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import se3

Inertial = tuple[Tensor, Tensor, Tensor]


def _start(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).detach().clone()


class Free(nn.Module):
    """The value itself, unconstrained."""

    def __init__(self, start: Tensor | float) -> None:
        super().__init__()
        self.value = nn.Parameter(_start(start))

    def forward(self) -> Tensor:
        """Return the value."""
        return self.value


class Positive(nn.Module):
    """A positive number, learned as its logarithm: steps are relative.

    Args:
        start: first value; one of zero starts at `floor`, because zero could never be left.
        floor: smallest first value.
    """

    def __init__(self, start: Tensor | float, floor: float = 1e-4) -> None:
        super().__init__()
        start = _start(start)
        if bool((start < 0).any()) or not bool(torch.isfinite(start).all()):
            raise InputError(f"a positive value cannot start at {start.tolist()}")
        self.log_value = nn.Parameter(start.clamp_min(floor).log())

    def forward(self) -> Tensor:
        """Return the value."""
        return self.log_value.exp()


class Bounded(nn.Module):
    """A value between bounds, by a sigmoid.

    Raises:
        InputError: the start is not strictly between them.
    """

    def __init__(self, start: Tensor | float, lower: float, upper: float) -> None:
        super().__init__()
        start = _start(start)
        if not bool(((start > lower) & (start < upper)).all()):
            raise InputError(f"the start {start.tolist()} is not between {lower:g} and {upper:g}")
        self.lower, self.upper = lower, upper
        self.logit = nn.Parameter(torch.logit((start - lower) / (upper - lower)))

    def forward(self) -> Tensor:
        """Return the value."""
        return self.lower + (self.upper - self.lower) * torch.sigmoid(self.logit)


class Frame(nn.Module):
    """A rigid transform: the start, moved by a learned twist [6] (m, rad) in its own frame.

    Raises:
        InputError: the start is not [4, 4].
    """

    start: Tensor

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        start = _start(start)
        if start.shape != (4, 4):
            raise InputError(f"a frame must be [4, 4], got {list(start.shape)}")
        self.register_buffer("start", start)
        self.twist = nn.Parameter(torch.zeros(6, dtype=torch.float64))

    def forward(self) -> Tensor:
        """Return T [4, 4]."""
        return self.start @ se3.exp(self.twist)


def _cholesky(S: Tensor, what: str) -> Tensor:
    factor, info = torch.linalg.cholesky_ex(S)
    if int(info) != 0:
        eigenvalues = ", ".join(f"{x:.3g}" for x in torch.linalg.eigvalsh(S).tolist())
        raise InputError(
            f"{what} is not that of a body with volume: the eigenvalues of its matrix of second "
            f"moments are ({eigenvalues}), all must be positive; pass a parametrization with a "
            "start that is, such as LogCholesky.of_box(mass, size)"
        )
    return factor


class _Triangle(nn.Module):
    """A lower triangular matrix with a positive diagonal."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        n = factor.shape[0]
        self.log_diagonal = nn.Parameter(factor.diagonal().log())
        self.below = nn.Parameter(factor[tuple(torch.tril_indices(n, n, -1))])
        self.n = n

    def forward(self) -> Tensor:
        L = torch.diag_embed(self.log_diagonal.exp())
        rows, columns = torch.tril_indices(self.n, self.n, -1)
        return L.index_put((rows, columns), self.below)


class RotationalInertia(nn.Module):
    """An inertia [3, 3] about the centre of mass, of a body with mass everywhere positive.

    Learned as the Cholesky factor of the second moments ``trace(I)/2 - I``, so that the principal
    moments are positive and keep the triangle inequality.

    Raises:
        InputError: the start is not such an inertia.
    """

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        start = _start(start)
        eye = torch.eye(3, dtype=torch.float64)
        self.factor = _Triangle(_cholesky(start.trace() / 2 * eye - start, "the inertia"))

    def forward(self) -> Tensor:
        """Return the inertia, kg m^2."""
        L = self.factor()
        S = L @ L.mT
        return S.diagonal().sum() * torch.eye(3, dtype=S.dtype, device=S.device) - S


class LogCholesky(nn.Module):
    """All ten inertial numbers of a body: any parameters give a physical one, and none is left out.

    Learned as the Cholesky factor of the 4x4 pseudo-inertia, its diagonal as logarithms.
    Source: Rucker and Wensing, "Smooth parameterization of rigid-body inertia", 2022; Wensing, Kim
    and Slotine, "Linear matrix inequalities for physically consistent inertial parameters", 2018.

    Raises:
        InputError: the start is not physical.
    """

    def __init__(self, mass: Tensor | float, com: Tensor, inertia: Tensor) -> None:
        super().__init__()
        mass, com, inertia = _start(mass), _start(com), _start(inertia)
        eye = torch.eye(3, dtype=torch.float64)
        second = inertia.trace() / 2 * eye - inertia + mass * torch.outer(com, com)
        J = torch.zeros(4, 4, dtype=torch.float64)
        J[:3, :3], J[:3, 3], J[3, :3], J[3, 3] = second, mass * com, mass * com, mass
        self.factor = _Triangle(_cholesky(J, "the inertia"))

    @classmethod
    def of_box(
        cls, mass: float, size: tuple[float, float, float], com: Tensor | None = None
    ) -> "LogCholesky":
        """Return that of an even box: mass in kg, edges in m, centre in link coordinates."""
        if not mass > 0 or not min(size) > 0:
            raise InputError(f"a box needs a positive mass and size, got {mass!r}, {size!r}")
        x, y, z = (mass / 12 * edge * edge for edge in size)
        inertia = torch.diag(torch.tensor([y + z, x + z, x + y], dtype=torch.float64))
        return cls(mass, torch.zeros(3) if com is None else com, inertia)

    def forward(self) -> Inertial:
        """Return mass [], com [3] and inertia [3, 3] about it."""
        L = self.factor()
        J = L @ L.mT
        mass = J[3, 3]
        com = J[:3, 3] / mass
        S = J[:3, :3] - mass * torch.outer(com, com)
        trace = S.diagonal().sum()
        return mass, com, trace * torch.eye(3, dtype=J.dtype, device=J.device) - S
