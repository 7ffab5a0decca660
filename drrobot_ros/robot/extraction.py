"""What is taken out of a compiled MuJoCo model: joints, the tree, and the way back."""

import dataclasses

import numpy as np

from drrobot_ros.robot.tree import Q_SIZE, V_SIZE, JointType, KinematicTree


@dataclasses.dataclass(frozen=True)
class Joint:
    """One independent joint: its name, type, first numbers in q and v, and (first) MuJoCo id."""

    name: str
    type: JointType
    q_index: int
    v_index: int
    mj_joint: int

    @property
    def q_slice(self) -> slice:
        """The numbers of the joint in q."""
        return slice(self.q_index, self.q_index + Q_SIZE[self.type])

    @property
    def v_slice(self) -> slice:
        """The numbers of the joint in v."""
        return slice(self.v_index, self.v_index + V_SIZE[self.type])


@dataclasses.dataclass(frozen=True, eq=False)
class MjMapping:
    """How our q and v lie in MuJoCo's qpos and qvel: ``qpos = gain * q[source] + offset``.

    Numbers of MuJoCo that do not depend on ours have source -1 and gain 0.
    """

    q_source: np.ndarray
    q_gain: np.ndarray
    q_offset: np.ndarray
    v_source: np.ndarray
    v_gain: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Extraction:
    """A tree with what is needed to get back to the MuJoCo model it came from."""

    tree: KinematicTree
    joints: tuple[Joint, ...]
    nq: int
    nv: int
    row_of_body: dict[int, int]
    mapping: MjMapping
    T_world_base: np.ndarray
