"""Terms of the joints alone: limits, rest, smoothness, a hand's pose, room to move."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.robot import RobotModel


class JointLimits:
    """Grows quadratically within a margin of the position limits.

    Args:
        lower: [nq] rad or m, -inf where there is none.
        upper: [nq].
        margin: width of the margin inside the limits.
    """

    name = "joint limits"

    def __init__(
        self, lower: NDArray[np.float64], upper: NDArray[np.float64], margin: float = 0.05
    ) -> None:
        self._lower = torch.as_tensor(lower, dtype=torch.float64) + margin
        self._upper = torch.as_tensor(upper, dtype=torch.float64) - margin

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared intrusions, summed over joints [B]."""
        q = candidate.q
        over = torch.relu(q - self._upper.to(q)) + torch.relu(self._lower.to(q) - q)
        return over.square().sum(-1)


class StayNear:
    """Squared distance from a configuration: of what does not matter, move little.

    Args:
        q: [nq], or one per time step [B,nq].
        scale: per joint [nq]; 1 for all if None.
    """

    name = "stay near"

    def __init__(self, q: NDArray[np.float64], scale: NDArray[np.float64] | None = None) -> None:
        self._q = torch.as_tensor(np.asarray(q), dtype=torch.float64)
        self._scale = torch.as_tensor(1.0 if scale is None else scale, dtype=torch.float64)

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared distances [B]."""
        q = candidate.q
        return ((q - self._q.to(q)) * self._scale.to(q)).square().sum(-1)


class Smoothness:
    """Squared accelerations of a motion whose time steps are the candidate's batch.

    Args:
        dt_s: between time steps.
    """

    name = "smoothness"

    def __init__(self, dt_s: float) -> None:
        if not dt_s > 0:
            raise InputError(f"dt_s must be positive, got {dt_s}")
        self._dt_s = dt_s

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared accelerations [B]; 0 for the first and last time step."""
        q = candidate.q
        if len(q) < 3:
            return q.new_zeros(len(q))
        a = (q[2:] - 2 * q[1:-1] + q[:-2]) / self._dt_s**2
        return torch.nn.functional.pad(a.square().sum(-1), (1, 1))


class EndEffectorPose:
    """Squared distance of a link from a pose, in units of what is tolerated.

    Args:
        model: the robot.
        link: its name.
        T_base_link: wanted pose [4,4].
        position_sigma_m: tolerated distance.
        rotation_sigma_rad: tolerated angle; inf leaves the orientation free.

    Raises:
        InputError: an unknown link, or a pose that is not finite.
    """

    name = "end effector pose"

    def __init__(
        self,
        model: RobotModel,
        link: str,
        T_base_link: NDArray[np.float64],
        position_sigma_m: float = 0.01,
        rotation_sigma_rad: float = 0.05,
    ) -> None:
        self._row = model.link_index(link)
        T = np.asarray(T_base_link, np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise InputError(f"the pose of {link!r} must be a finite 4x4 matrix")
        if not (position_sigma_m > 0 and rotation_sigma_rad > 0):
            raise InputError("tolerances must be positive")
        self._goal = torch.from_numpy(T)
        self._position, self._rotation = position_sigma_m, rotation_sigma_rad

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the squared distances [B]."""
        T = candidate.T_base_link[:, self._row]
        goal = self._goal.to(T)
        away = (T[:, :3, 3] - goal[:3, 3]) / self._position
        cost = away.square().sum(-1)
        if np.isfinite(self._rotation):
            turned = so3.log(goal[:3, :3].mT @ T[:, :3, :3]) / self._rotation
            cost = cost + turned.square().sum(-1)
        return cost


class Manipulability:
    """Grows towards singular configurations: minus the logarithm of Yoshikawa's measure.

    Source: T. Yoshikawa, "Manipulability of Robotic Mechanisms", 1985.

    Args:
        model: the robot.
        link: whose motion counts.
    """

    name = "manipulability"

    def __init__(self, model: RobotModel, link: str) -> None:
        self._link = link
        model.link_index(link)

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return -log sqrt(det(J J^T)), bounded far into a singularity [B]."""
        J = candidate.model.jacobian(candidate.q, self._link)
        small, large = sorted(J.shape[-2:])
        square = J @ J.mT if J.shape[-2] == small else J.mT @ J
        eye = torch.eye(small, dtype=J.dtype)
        del large
        return -0.5 * torch.logdet(square + 1e-6 * eye)
