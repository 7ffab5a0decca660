"""Forward kinematics and analytic Jacobians of a `KinematicTree`, in batched torch.

One fused expression gives every revolute and prismatic transform; the products down the tree are
made by pointer jumping, so a chain of depth d costs log2(d) batched products instead of d.
"""

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import se3, so3
from drrobot_ros.robot.jacobian import Columns
from drrobot_ros.robot.tree import JointType, KinematicTree


class _Constants:
    """The tree as tensors of one dtype on one device."""

    def __init__(self, tree: KinematicTree, dtype: torch.dtype, device: torch.device) -> None:
        def real(array: np.ndarray) -> Tensor:
            return torch.tensor(array, dtype=dtype, device=device)

        def index(array: np.ndarray) -> Tensor:
            return torch.tensor(array, dtype=torch.int64, device=device)

        kind = tree.joint_type
        prismatic = kind == JointType.PRISMATIC
        scalar = prismatic | (kind == JointType.REVOLUTE)
        # Rows that are not scalar read q[0] times zero: cheaper than to gather and scatter.
        self.q_index = index(np.where(scalar, tree.q_index, 0))
        self.multiplier = real(np.where(scalar, tree.mimic_multiplier, 0.0))
        self.offset = real(np.where(scalar, tree.mimic_offset, 0.0))
        self.prismatic = torch.tensor(prismatic, device=device) if prismatic.any() else None
        self.rest = real(tree.T_parent_joint @ tree.T_joint_link)
        first, second = _scalar_motions(tree)
        self.first, self.second = real(first), real(second)
        self.has_scalar = bool(scalar.any())

        self.quaternion_rows = [
            (JointType(int(kind[i])), int(tree.q_index[i]))
            for i in np.flatnonzero((kind == JointType.BALL) | (kind == JointType.FLOATING))
        ]
        rows = np.flatnonzero((kind == JointType.BALL) | (kind == JointType.FLOATING))
        self.quaternion_index = index(rows)
        self.before = real(tree.T_parent_joint[rows])
        self.after = real(tree.T_joint_link[rows])
        self.jumps = [index(jump) for jump in _jumps(tree.parent)]

        columns = Columns.of(tree)
        self.column_row = index(columns.row)
        self.column_linear = torch.tensor(columns.linear[:, None], device=device)
        self.column_axis = real(columns.axis)
        self.column_anchor = real(columns.anchor)
        self.column_moves = real(columns.moves)
        self.column_to_v = real(columns.to_v)


def _scalar_motions(tree: KinematicTree) -> tuple[np.ndarray, np.ndarray]:
    """Return what sin(angle) or the travel, and what 1 - cos(angle), add to the rest transforms."""
    motion = np.zeros((2, len(tree), 4, 4))
    x, y, z = tree.axis.T
    o = np.zeros_like(x)
    skew = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(-1, 3, 3)
    revolute = tree.joint_type == JointType.REVOLUTE
    prismatic = tree.joint_type == JointType.PRISMATIC
    motion[0, revolute, :3, :3] = skew[revolute]
    motion[1, revolute, :3, :3] = (skew @ skew)[revolute]
    motion[0, prismatic, :3, 3] = tree.axis[prismatic]
    first, second = tree.T_parent_joint @ motion @ tree.T_joint_link
    return first, second


def _jumps(parent: np.ndarray) -> list[np.ndarray]:
    """Return, for every round of pointer jumping, the row that each row multiplies from."""
    jump = np.maximum(parent, 0)
    rounds = []
    while jump.any():
        rounds.append(jump)
        jump = jump[jump]
    return rounds


class Kinematics:
    """Computes transforms and Jacobians of one tree; constants are kept per dtype and device."""

    def __init__(self, tree: KinematicTree, nq: int, nv: int) -> None:
        self.tree = tree
        self.nq = nq
        self.nv = nv
        self._constants: dict[tuple[torch.dtype, torch.device], _Constants] = {}

    def _constants_for(self, q: Tensor) -> _Constants:
        key = (q.dtype, q.device)
        if key not in self._constants:
            self._constants[key] = _Constants(self.tree, q.dtype, q.device)
        return self._constants[key]

    def check(self, q: Tensor) -> Tensor:
        """Return q as a floating-point tensor [..., nq].

        Raises:
            InputError: q has another size.
        """
        if not isinstance(q, Tensor):
            q = torch.as_tensor(np.asarray(q, dtype=np.float64))
        if q.ndim == 0 or q.shape[-1] != self.nq:
            raise InputError(f"q must be [..., {self.nq}], got {list(q.shape)}")
        return q if q.is_floating_point() else q.to(torch.get_default_dtype())

    def forward(self, q: Tensor) -> Tensor:
        """Return T_base_link [..., L, 4, 4]; gradients reach q."""
        q = self.check(q)
        c = self._constants_for(q)
        T = self._local(q, c)
        for jump in c.jumps:
            T = T.index_select(-3, jump) @ T
        return T

    def _local(self, q: Tensor, c: _Constants) -> Tensor:
        """Return T_parent_link [..., L, 4, 4]."""
        if c.has_scalar:
            angle = torch.addcmul(c.offset, q.index_select(-1, c.q_index), c.multiplier)
            first = angle.sin()
            if c.prismatic is not None:
                first = torch.where(c.prismatic, angle, first)
            T = torch.addcmul(c.rest, first[..., None, None], c.first)
            T = torch.addcmul(T, (1 - angle.cos())[..., None, None], c.second)
        else:
            T = c.rest.expand(*q.shape[:-1], *c.rest.shape)
        if c.quaternion_rows:
            motion = torch.stack([_quaternion_motion(q, k, i) for k, i in c.quaternion_rows], -3)
            T = T.index_copy(-3, c.quaternion_index, c.before @ motion @ c.after)
        return T

    def jacobian(self, q: Tensor, rows: list[int], point: Tensor | None = None) -> Tensor:
        """Return [..., n, 6, nv] for n tree rows, at `point` [..., 3] in link coordinates (m).

        Linear rows first; base frame. Gradients reach q and point.
        """
        q = self.check(q)
        c = self._constants_for(q)
        T = self.forward(q)
        index = torch.tensor(rows, device=q.device)
        target = T.index_select(-3, index)
        origin = target[..., :3, 3]
        if point is not None:
            point = torch.as_tensor(point, dtype=q.dtype, device=q.device)
            origin = origin + (target[..., :3, :3] @ point[..., None, :, None]).squeeze(-1)
        frame = T.index_select(-3, c.column_row)
        R = frame[..., :3, :3]
        axis = (R @ c.column_axis[..., None]).squeeze(-1)
        anchor = (R @ c.column_anchor[..., None]).squeeze(-1) + frame[..., :3, 3]
        axis = axis[..., None, :, :]
        arm = origin[..., :, None, :] - anchor[..., None, :, :]
        axis = axis.expand(torch.broadcast_shapes(axis.shape, arm.shape))
        linear = torch.where(c.column_linear, axis, torch.linalg.cross(axis, arm))
        angular = torch.where(c.column_linear, torch.zeros_like(axis), axis)
        both = torch.cat([linear, angular], dim=-1) * c.column_moves[index][..., None]
        return both.mT @ c.column_to_v


def _quaternion_motion(q: Tensor, kind: JointType, start: int) -> Tensor:
    """Return the motion [..., 4, 4] of a ball or floating joint; q need not hold unit numbers."""
    if kind == JointType.FLOATING:
        R = so3.quat_to_matrix(q[..., start + 3 : start + 7])
        return se3.compose(R, q[..., start : start + 3])
    R = so3.quat_to_matrix(q[..., start : start + 4])
    return se3.compose(R, torch.zeros_like(q[..., start : start + 3]))
