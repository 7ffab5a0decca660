"""Look natural: joints of a finger bend together, and what has no reason to move is at ease."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.limbs import Limbs
from drrobot_ros.robot import RobotModel


class NaturalPose:
    """How unlike a natural pose it is: a weak prior for objectives that leave joints undecided.

    Of several limbs: the variance of how far each limb's joints are on their way from rest to
    their farther limit. Of all other joints: the squared distance from rest by half of the range,
    a tenth of it if an arm is among them, whose joints have to go somewhere.

    Args:
        model: the robot.
        rest: [nq] where it is at ease.
    """

    name = "natural pose"

    def __init__(self, model: RobotModel, rest: NDArray[np.float64]) -> None:
        limbs = Limbs.of(model, rest)
        self._rest = torch.from_numpy(limbs.rest)
        self._half = torch.from_numpy(0.5 * (limbs.high - limbs.low).clip(min=1e-6))
        together = [limb[limbs.travel[limb] != 0] for limb in limbs.limbs if limbs.branched]
        self._together = [torch.from_numpy(limb) for limb in together if len(limb) > 1]
        self._travel = torch.from_numpy(np.where(limbs.travel == 0, 1.0, limbs.travel))
        bent = {int(k) for limb in together for k in limb}
        self._single = torch.tensor([k for k in range(model.nq) if k not in bent])
        self._weight = 1.0 if limbs.branched and len(limbs.trunk) < 3 else 0.1

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the costs [B], about 0..1."""
        away = candidate.q - self._rest.to(candidate.q)
        total = away.new_zeros(len(away))
        for limb in self._together:
            share = away[:, limb] / self._travel[limb].to(away)
            total = total + share.var(-1, correction=0) / len(self._together)
        if len(self._single):
            apart = away[:, self._single] / self._half[self._single].to(away)
            total = total + self._weight * apart.square().mean(-1)
        return total
