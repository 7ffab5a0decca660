"""Operations on configurations q [..., nq] and tangent vectors v [..., nv] of a set of joints.

The conventions are MuJoCo's: quaternions are wxyz, the angular part of v is in the moved link's
axes, the linear part of a floating joint in the axes it moves in. Batched and differentiable.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.geometry import so3
from drrobot_ros.robot.extraction import Joint
from drrobot_ros.robot.tree import JointType

#: Range of random positions of joints without limits: rad for revolute, m for the others.
_FREE_ANGLE_RAD = math.pi
_FREE_TRAVEL_M = 1.0


class ConfigurationSpace:
    """The space that q lives in: what the joints are and where their numbers lie."""

    def __init__(self, joints: Sequence[Joint], lower: np.ndarray, upper: np.ndarray) -> None:
        self.joints = tuple(joints)
        self.lower = lower
        self.upper = upper
        self._plain = all(j.q_slice == j.v_slice for j in joints)

    def integrate(self, q: Tensor, v: Tensor) -> Tensor:
        """Return q moved by v for unit time; limits are not looked at."""
        if self._plain:
            return q + v
        batch = torch.broadcast_shapes(q.shape[:-1], v.shape[:-1])
        q, v = q.expand(*batch, q.shape[-1]), v.expand(*batch, v.shape[-1])
        parts = []
        for joint in self.joints:
            here, step = q[..., joint.q_slice], v[..., joint.v_slice]
            if joint.type in (JointType.BALL, JointType.FLOATING):
                turn = so3.quat_multiply(here[..., -4:], so3.quat_exp(step[..., -3:]))
                turn = turn / turn.norm(dim=-1, keepdim=True)
                parts += [here[..., :-4] + step[..., :-3], turn]
            else:
                parts.append(here + step)
        return torch.cat(parts, dim=-1)

    def difference(self, q0: Tensor, q1: Tensor) -> Tensor:
        """Return the v that `integrate` needs from q0 to q1, by the short way round."""
        if self._plain:
            return q1 - q0
        parts = []
        for joint in self.joints:
            a, b = q0[..., joint.q_slice], q1[..., joint.q_slice]
            if joint.type in (JointType.BALL, JointType.FLOATING):
                a_turn = a[..., -4:] / a[..., -4:].norm(dim=-1, keepdim=True)
                b_turn = b[..., -4:] / b[..., -4:].norm(dim=-1, keepdim=True)
                turn = so3.quat_multiply(so3.quat_conjugate(a_turn), b_turn)
                parts += [b[..., :-4] - a[..., :-4], so3.quat_log(turn)]
            else:
                parts.append(b - a)
        return torch.cat(parts, dim=-1)

    def random(self, n: int, seed: int) -> Tensor:
        """Return n configurations [n, nq] float64, uniform within the limits.

        Joints without limits: angles within pi, travel within 1 m, uniform rotations.
        """
        rng = np.random.default_rng(seed)
        columns = np.zeros((n, len(self.lower)))
        for joint in self.joints:
            here = joint.q_slice
            free = _FREE_ANGLE_RAD if joint.type == JointType.REVOLUTE else _FREE_TRAVEL_M
            low = np.where(np.isfinite(self.lower[here]), self.lower[here], -free)
            high = np.where(np.isfinite(self.upper[here]), self.upper[here], free)
            columns[:, here] = rng.uniform(low, np.maximum(low, high), (n, len(low)))
            if joint.type in (JointType.BALL, JointType.FLOATING):
                quat = rng.normal(size=(n, 4))
                columns[:, here.stop - 4 : here.stop] = quat / np.linalg.norm(
                    quat, axis=1, keepdims=True
                )
        return torch.from_numpy(columns)
