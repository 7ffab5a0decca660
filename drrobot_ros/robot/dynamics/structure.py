"""What never changes of a tree: which rows move what, and where their numbers lie."""

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.robot.tree import V_SIZE, JointType, KinematicTree, number_of_velocities


class Structure:
    """Index and mask tensors of one tree on one device, for the loop-free formulation.

    A *column* is one single motion: one for a revolute or prismatic row, three for a ball (about
    x, y, z of the moved joint frame), six for a floating one (along x, y, z of the frame before the
    motion, then about x, y, z of the moved one): D in all, in the order of the rows.

    Attributes:
        mover: [D] the row that each column moves.
        carrier: [D] the row in which the column's axis is constant.
        linear: [D, 1] bool, a translation.
        axis: [D] which axis of the joint frame.
        moves, moves_t: [L, D] one where the column moves the row, and its transpose.
        lower: [D, D] one at [d, k] where k moves the mover of d.
        strict: [D, D] the same less its pairs that hold both ways.
        to_v: [D, nv] one at the velocity that drives the column (without multipliers).
        v_of_column: [D] the same as an index.
        plain: columns are the velocities, in order and unscaled.
    """

    def __init__(self, tree: KinematicTree, dtype: torch.dtype, device: torch.device) -> None:
        mover, carrier, linear, axis, v_index, shifts = [], [], [], [], [], []
        for i in range(len(tree)):
            kind = JointType(int(tree.joint_type[i]))
            for k in range(V_SIZE[kind]):
                shift = kind == JointType.FLOATING and k < 3
                if shift:
                    shifts.append(len(mover))
                mover.append(i)
                carrier.append(int(tree.parent[i]) if shift else i)
                linear.append(shift or kind == JointType.PRISMATIC)
                axis.append(2 if V_SIZE[kind] == 1 else k % 3)
                v_index.append(int(tree.v_index[i]) + k)
        self.count = len(mover)
        self.nv = number_of_velocities(tree)
        moves = tree.ancestors()[:, mover].astype(np.float64)
        lower = moves[mover] if mover else np.zeros((0, 0))
        to_v = np.zeros((self.count, self.nv))
        to_v[np.arange(self.count), v_index] = 1.0

        def real(array: object) -> Tensor:
            return torch.tensor(np.asarray(array, dtype=np.float64), dtype=dtype, device=device)

        def index(values: object) -> Tensor:
            return torch.tensor(
                np.asarray(values, dtype=np.int64), dtype=torch.int64, device=device
            )

        self.mover, self.carrier = index(mover), index(carrier)
        self.axis = index(axis)
        self.shifts = index(shifts) if shifts else None
        self.v_of_column = index(v_index)
        self.linear = torch.tensor(linear, dtype=torch.bool, device=device)[:, None]
        self.moves = real(moves)
        self.moves_t = real(moves.T.copy())
        self.lower = real(lower)
        self.strict = real(lower * (1 - lower.T))
        self.to_v = real(to_v)
        multiplier = tree.mimic_multiplier[mover]
        self.plain = v_index == list(range(self.nv)) and not bool(np.any(multiplier != 1))
        self._set_kinematics(tree, real, index)

    def _set_kinematics(self, tree: KinematicTree, real, index) -> None:
        kind = tree.joint_type
        revolute = kind == JointType.REVOLUTE
        prismatic = kind == JointType.PRISMATIC
        scalar = revolute | prismatic
        # Rows that are not scalar read q[0] times zero: cheaper than to gather and scatter.
        self.q_index = index(np.where(scalar, tree.q_index, 0))
        self.scalar = real(scalar)
        self.has_scalar = bool(scalar.any())
        self.prismatic = real(prismatic).bool() if prismatic.any() else None
        n = len(tree)
        cosine, first = np.zeros((n, 4, 4)), np.zeros((n, 4, 4))
        cosine[revolute] = np.diag([1.0, 1.0, 0.0, 0.0])
        first[revolute, 1, 0], first[revolute, 0, 1] = 1.0, -1.0
        first[prismatic, 2, 3] = 1.0
        self.by_cosine, self.by_first = real(cosine), real(first)
        self.at_rest = real(np.eye(4) - cosine)
        rows = np.flatnonzero((kind == JointType.BALL) | (kind == JointType.FLOATING))
        self.quaternion_rows = [(JointType(int(kind[i])), int(tree.q_index[i])) for i in rows]
        self.quaternion_index = index(rows)
        self.jumps = [index(jump) for jump in _jumps(tree.parent)]
        floating = np.flatnonzero(kind == JointType.FLOATING)
        # Spatial vectors are taken about this row's origin: far from the base, float32 needs it.
        self.reference_row = int(floating[0]) if len(floating) else 0


def _jumps(parent: np.ndarray) -> list[np.ndarray]:
    """Return, for every round of pointer jumping, the row that each row multiplies from."""
    jump = np.maximum(parent, 0)
    rounds = []
    while jump.any():
        rounds.append(jump)
        jump = jump[jump]
    return rounds
