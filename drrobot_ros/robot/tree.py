"""The kinematic tree: constant arrays, one row per link, that every computation starts from.

A row hangs from its parent's frame by ``T_parent_joint``, moves, and ends at ``T_joint_link``:

    T_base_link[i] = T_base_link[parent[i]] @ T_parent_joint[i] @ motion(i, q) @ T_joint_link[i]

Row 0 is the base: fixed, parent -1, T_parent_joint the identity. Parents come before children.
"""

import dataclasses
import enum

import numpy as np

from drrobot_ros.errors import ModelError


class JointType(enum.IntEnum):
    """How a link moves against its parent; a continuous joint is REVOLUTE without limits."""

    FIXED = 0
    REVOLUTE = 1
    PRISMATIC = 2
    BALL = 3
    FLOATING = 4


#: Numbers in q, and in v, of one joint of each type.
Q_SIZE = {
    JointType.FIXED: 0,
    JointType.REVOLUTE: 1,
    JointType.PRISMATIC: 1,
    JointType.BALL: 4,
    JointType.FLOATING: 7,
}
V_SIZE = {
    JointType.FIXED: 0,
    JointType.REVOLUTE: 1,
    JointType.PRISMATIC: 1,
    JointType.BALL: 3,
    JointType.FLOATING: 6,
}


@dataclasses.dataclass(frozen=True, eq=False)
class KinematicTree:
    """Geometry and inertia of a robot; L rows (links), all arrays read-only.

    A body with several MuJoCo joints is several rows: massless ones named ``<body>/<joint>`` and
    the body itself last.

    Attributes:
        link_names: L names, unique.
        parent: [L] int32, row of the parent, -1 for row 0.
        joint_type: [L] int32, values of `JointType`.
        T_parent_joint: [L, 4, 4] from joint coordinates to parent link coordinates, at rest.
        axis: [L, 3] unit, in joint coordinates; zero for joints that have none.
        T_joint_link: [L, 4, 4] from link coordinates to moved joint coordinates (URDF: identity).
        q_index: [L] int32, first number of the joint in q, -1 for fixed ones. Rows that share a
            q_index are coupled (URDF mimic, linear MJCF joint equalities).
        v_index: [L] int32, the same in v.
        mimic_multiplier: [L], with `mimic_offset` the angle (rad) or travel (m) of a revolute or
            prismatic row: ``multiplier * q[q_index] + offset``.
        mimic_offset: [L], also carries the reference of MJCF joints (``-ref``).
        mass: [L] kg.
        com: [L, 3] centre of mass in link coordinates, m.
        inertia: [L, 3, 3] about the centre of mass, in link axes, kg m^2.
        armature: [L] rotor inertia seen at the joint, kg m^2 or kg.
        damping: [L] viscous, N m s/rad or N s/m.
        frictionloss: [L] dry, N m or N.
        joint_names: name of the joint of every row, empty for fixed rows.
    """

    link_names: tuple[str, ...]
    parent: np.ndarray
    joint_type: np.ndarray
    T_parent_joint: np.ndarray
    axis: np.ndarray
    T_joint_link: np.ndarray
    q_index: np.ndarray
    v_index: np.ndarray
    mimic_multiplier: np.ndarray
    mimic_offset: np.ndarray
    mass: np.ndarray
    com: np.ndarray
    inertia: np.ndarray
    armature: np.ndarray
    damping: np.ndarray
    frictionloss: np.ndarray
    joint_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.link_names)
        if len(set(self.link_names)) != n:
            twice = sorted({x for x in self.link_names if self.link_names.count(x) > 1})
            raise ModelError(f"link names must be unique; more than once: {', '.join(twice)}")
        for name, (dtype, shape) in _ARRAYS.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            if array.shape != (n, *shape):
                raise ModelError(f"{name} must be {(n, *shape)}, got {array.shape}")
            if not np.isfinite(array).all():
                raise ModelError(f"{name} is not finite")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if n == 0 or self.parent[0] != -1 or (self.parent[1:] < 0).any():
            raise ModelError("row 0, and only row 0, must be the base (parent -1)")
        if (self.parent >= np.arange(n)).any():
            raise ModelError("parents must come before children")

    def __len__(self) -> int:
        return len(self.link_names)

    def ancestors(self) -> np.ndarray:
        """Return [L, L] bool: [i, j] is true where row j moves row i (j = i included)."""
        mask = np.eye(len(self), dtype=bool)
        for i in range(1, len(self)):
            mask[i] |= mask[self.parent[i]]
        return mask


_INT = np.int32
_FLOAT = np.float64
_ARRAYS: dict[str, tuple[type, tuple[int, ...]]] = {
    "parent": (_INT, ()),
    "joint_type": (_INT, ()),
    "T_parent_joint": (_FLOAT, (4, 4)),
    "axis": (_FLOAT, (3,)),
    "T_joint_link": (_FLOAT, (4, 4)),
    "q_index": (_INT, ()),
    "v_index": (_INT, ()),
    "mimic_multiplier": (_FLOAT, ()),
    "mimic_offset": (_FLOAT, ()),
    "mass": (_FLOAT, ()),
    "com": (_FLOAT, (3,)),
    "inertia": (_FLOAT, (3, 3)),
    "armature": (_FLOAT, ()),
    "damping": (_FLOAT, ()),
    "frictionloss": (_FLOAT, ()),
}


def number_of_velocities(tree: KinematicTree) -> int:
    """Return nv, the size of the velocities of the tree's independent joints."""
    sizes = [V_SIZE[JointType(int(kind))] for kind in tree.joint_type]
    moving = tree.v_index >= 0
    return int(max((tree.v_index + sizes)[moving], default=0))
