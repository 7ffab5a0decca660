"""The columns of the Jacobian: which axis each single motion has, and what it moves."""

import dataclasses

import numpy as np

from drrobot_ros.robot.tree import V_SIZE, JointType, KinematicTree


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """D single motions: one for a revolute or prismatic row, 3 for a ball, 6 for a floating one.

    Attributes:
        row: [D] the link in whose frame axis and anchor are constant.
        linear: [D] true for a translation along the axis, false for a rotation about it.
        axis: [D, 3] unit, in coordinates of `row`.
        anchor: [D, 3] a point on the axis in coordinates of `row`, m.
        moves: [L, D] one where the motion moves the link, zero elsewhere.
        to_v: [D, nv] how much of each motion one unit of v makes (couplings included).
    """

    row: np.ndarray
    linear: np.ndarray
    axis: np.ndarray
    anchor: np.ndarray
    moves: np.ndarray
    to_v: np.ndarray

    @classmethod
    def of(cls, tree: KinematicTree) -> "Columns":
        """Return the columns of a tree, in the order of its rows."""
        entries: list[tuple[int, int, bool, np.ndarray, np.ndarray]] = []
        v_index: list[int] = []
        for i in range(len(tree)):
            kind = JointType(int(tree.joint_type[i]))
            motions = _motions(tree, i, kind)
            entries += [(i, *motion) for motion in motions]
            v_index += [int(tree.v_index[i]) + k for k in range(len(motions))]
        mover = np.array([e[0] for e in entries], dtype=np.int64)
        to_v = np.zeros((len(entries), number_of_velocities(tree)))
        to_v[np.arange(len(entries)), v_index] = tree.mimic_multiplier[mover]
        return cls(
            row=np.array([e[1] for e in entries], dtype=np.int64),
            linear=np.array([e[2] for e in entries], dtype=bool),
            axis=np.reshape([e[3] for e in entries], (-1, 3)),
            anchor=np.reshape([e[4] for e in entries], (-1, 3)),
            moves=tree.ancestors()[:, mover].astype(np.float64),
            to_v=to_v,
        )


def _motions(
    tree: KinematicTree, i: int, kind: JointType
) -> list[tuple[int, bool, np.ndarray, np.ndarray]]:
    """Return (row, linear, axis, anchor) of the single motions of tree row i."""
    if kind == JointType.FIXED:
        return []
    R = tree.T_joint_link[i, :3, :3].T
    anchor = -R @ tree.T_joint_link[i, :3, 3]
    if V_SIZE[kind] == 1:
        return [(i, kind == JointType.PRISMATIC, R @ tree.axis[i], anchor)]
    rotations = [(i, False, axis, anchor) for axis in R.T]
    if kind == JointType.BALL:
        return rotations
    # A floating joint moves along the axes of its frame before the motion, like MuJoCo's.
    axes = tree.T_parent_joint[i, :3, :3].T
    return [(int(tree.parent[i]), True, axis, np.zeros(3)) for axis in axes] + rotations


def number_of_velocities(tree: KinematicTree) -> int:
    """Return nv, the size of the velocities of the tree's independent joints."""
    sizes = [V_SIZE[JointType(int(kind))] for kind in tree.joint_type]
    moving = tree.v_index >= 0
    return int(max((tree.v_index + sizes)[moving], default=0))
