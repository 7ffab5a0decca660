"""Limits of the independent joints of a compiled MuJoCo model."""

from typing import Any

import numpy as np

from drrobot_ros.robot.extraction import Extraction
from drrobot_ros.robot.tree import V_SIZE, JointType


def position_limits(m: Any, parts: Extraction) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper [nq]; infinite where a joint has none, as in all quaternions."""
    lower, upper = np.full(parts.nq, -np.inf), np.full(parts.nq, np.inf)
    for joint in parts.joints:
        scalar = joint.type in (JointType.REVOLUTE, JointType.PRISMATIC)
        if scalar and m.jnt_limited[joint.mj_joint]:
            lower[joint.q_index], upper[joint.q_index] = m.jnt_range[joint.mj_joint]
    return lower, upper


def effort_limits(m: Any, parts: Extraction) -> np.ndarray:
    """Return the effort limits [nv] in N m or N, infinite where none is given.

    The smaller of the joint's ``actuatorfrcrange`` and the force range of an actuator on it.
    """
    import mujoco

    limit = np.full(m.njnt, np.inf)
    for j in np.flatnonzero(m.jnt_actfrclimited):
        limit[j] = np.abs(m.jnt_actfrcrange[j]).max()
    for a in np.flatnonzero(m.actuator_forcelimited):
        if m.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_JOINT:
            j = m.actuator_trnid[a, 0]
            force = np.abs(m.actuator_forcerange[a]).max() * np.abs(m.actuator_gear[a]).max()
            limit[j] = min(limit[j], force)
    result = [np.full(V_SIZE[joint.type], limit[joint.mj_joint]) for joint in parts.joints]
    return np.concatenate([*result, np.zeros(0)])
