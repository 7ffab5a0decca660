"""Couplings of scalar joints in a compiled MuJoCo model: which joints follow which.

A joint equality whose polynomial is linear makes one joint a function of another:
``a - a_ref = c0 + c1 (b - b_ref)``. It is followed exactly; the joint that comes first stays
independent, so that a gripper's first finger leads. Polynomials of higher order, tendon, weld and
connect equalities are left to the simulator: their joints all stay independent.
"""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Coupling:
    """Position of a joint as ``multiplier * leader + offset``, in MuJoCo's qpos."""

    leader: int
    multiplier: float
    offset: float


def couplings_of(m: Any, *, first_follows: bool = False) -> dict[int, Coupling]:
    """Return the coupling of every joint id that follows another; leaders are independent.

    Args:
        m: compiled MuJoCo model.
        first_follows: true if an equality's first joint is always the one that follows, as in
            models made from URDF, where ``<mimic>`` says which.
    """
    import mujoco

    scalar = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    followers: dict[int, Coupling] = {}
    for e in range(m.neq):
        first, second = int(m.eq_obj1id[e]), int(m.eq_obj2id[e])
        if int(m.eq_type[e]) != int(mujoco.mjtEq.mjEQ_JOINT) or second < 0 or not m.eq_active0[e]:
            continue
        constant, slope, *higher = m.eq_data[e][:5]
        if np.any(higher) or not {int(m.jnt_type[first]), int(m.jnt_type[second])} <= {*scalar}:
            continue
        ref_a, ref_b = m.qpos0[m.jnt_qposadr[first]], m.qpos0[m.jnt_qposadr[second]]
        offset = ref_a + constant - slope * ref_b
        follower, coupling = first, Coupling(second, float(slope), float(offset))
        if first < second and slope != 0 and not first_follows:
            follower, coupling = second, Coupling(first, 1 / float(slope), -float(offset / slope))
        _add(followers, follower, coupling)
    return followers


def _add(followers: dict[int, Coupling], follower: int, coupling: Coupling) -> None:
    """Add a coupling and keep every leader independent; what would contradict is left out."""
    upper = followers.get(coupling.leader)
    if upper is not None:
        multiplier = coupling.multiplier * upper.multiplier
        offset = coupling.multiplier * upper.offset + coupling.offset
        coupling = Coupling(upper.leader, multiplier, offset)
    if follower in followers or coupling.leader == follower:
        return
    followers[follower] = coupling
    for joint, lower in list(followers.items()):
        if lower.leader == follower:
            multiplier = lower.multiplier * coupling.multiplier
            offset = lower.multiplier * coupling.offset + lower.offset
            followers[joint] = Coupling(coupling.leader, multiplier, offset)
