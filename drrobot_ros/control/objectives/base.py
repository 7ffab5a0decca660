"""The signature of an objective, and sums of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.errors import InputError


class Objective(Protocol):
    """A cost of joint positions, lower is better, differentiable.

    Called with a candidate of B joint positions it returns B costs [B]: of independent poses, or
    each time step's share of a motion's cost.
    """

    @property
    def name(self) -> str:
        """For messages and curves."""
        ...

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the costs [B]."""
        ...


@dataclasses.dataclass(frozen=True)
class Term:
    """An objective and how much it counts."""

    objective: Objective
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise InputError(f"weight of {self.objective.name!r} must be finite: {self.weight}")


@dataclasses.dataclass(frozen=True)
class WeightedSum:
    """Objectives that are minimised together.

    Raises:
        InputError: no terms, or two of one name.
    """

    terms: Sequence[Term]

    def __post_init__(self) -> None:
        names = [t.objective.name for t in self.terms]
        if not names:
            raise InputError("there is no objective")
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise InputError(f"two objectives are named {sorted(twice)}; names tell them apart")

    def evaluate(self, candidate: Candidate) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total costs [B] and, without gradients, each weighted term [B]."""
        total = torch.zeros(len(candidate.q), dtype=candidate.q.dtype)
        parts: dict[str, Tensor] = {}
        for term in self.terms:
            if term.weight == 0:
                continue
            cost = term.weight * term.objective(candidate).to(total)
            total = total + cost
            parts[term.objective.name] = cost.detach()
        return total, parts
