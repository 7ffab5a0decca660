"""The bodies of a compiled MuJoCo model: their names, their joints, and which one is the base."""

import dataclasses
from typing import Any

import numpy as np

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.tree import JointType

#: A floating joint below the root is these four joints in MuJoCo, which has none there.
FLOATING_PARTS = ("/x", "/y", "/z", "/rotation")


@dataclasses.dataclass
class Motion:
    """One joint of a body, before it has a place in the tree."""

    name: str
    type: JointType
    mj_joint: int  # the first one, if it is made of several
    position: np.ndarray
    axis: np.ndarray


def body_names(m: Any) -> list[str]:
    """Return a name for every body; those without get ``body_<id>``."""
    return [m.body(b).name or ("world" if b == 0 else f"body_{b}") for b in range(m.nbody)]


def default_base(m: Any) -> int:
    """Return the body id of the base if none is asked for.

    The only body attached to the world if it does not move, else the world: models with a floating
    base, with several robots or props, or whose first link already turns are given in the world.
    """
    top = [b for b in range(1, m.nbody) if m.body_parentid[b] == 0]
    return top[0] if len(top) == 1 and m.body_jntnum[top[0]] == 0 else 0


def motions_of(m: Any, body: int, body_name: str) -> list[Motion]:
    """Return the joints of a body in order; the parts of a floating one count as one."""
    import mujoco

    types = {
        int(mujoco.mjtJoint.mjJNT_HINGE): JointType.REVOLUTE,
        int(mujoco.mjtJoint.mjJNT_SLIDE): JointType.PRISMATIC,
        int(mujoco.mjtJoint.mjJNT_BALL): JointType.BALL,
        int(mujoco.mjtJoint.mjJNT_FREE): JointType.FLOATING,
    }
    first, count = int(m.body_jntadr[body]), int(m.body_jntnum[body])
    motions = []
    for k in range(count):
        j = first + k
        name = m.joint(j).name or f"{body_name}_joint" + (str(k) if count > 1 else "")
        axis = m.jnt_axis[j].copy()
        motions.append(Motion(name, types[int(m.jnt_type[j])], j, m.jnt_pos[j].copy(), axis))
    stems = [
        motion.name.removesuffix(part)
        for motion, part in zip(motions, FLOATING_PARTS, strict=False)
        if motion.name.endswith(part)
    ]
    if count == len(FLOATING_PARTS) == len(stems) and len(set(stems)) == 1:
        return [Motion(stems[0], JointType.FLOATING, first, np.zeros(3), np.zeros(3))]
    return motions


def path_to_world(
    m: Any, base: int, names: list[str], motions: dict[int, list[Motion]], links: list[str]
) -> list[int]:
    """Return the bodies from the base up to the root of the tree; none of them moves."""
    top = [b for b in range(1, m.nbody) if m.body_parentid[b] == 0]
    floats = [motion.type for motion in motions[base]] == [JointType.FLOATING]
    if floats and top == [base]:
        motions[base] = []
        return [base]
    path = [base]
    while path[-1] != 0:
        body = path[-1]
        if motions[body]:
            still = [
                name for b, name in enumerate(names) if m.body_weldid[b] == 0 and name in links
            ]
            raise ModelError(
                f"base_link {names[base]!r} moves: joint {motions[body][0].name!r} is between it "
                f"and the world; valid: {', '.join(still)}"
            )
        path.append(int(m.body_parentid[body]))
    # A world that holds nothing but this robot is not a link of it.
    if base != 0 and len(top) == 1:
        path.pop()
    return path
