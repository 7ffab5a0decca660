"""Carrying out a planned grasp in a simulated world with physics."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.planner import GraspPlan

if TYPE_CHECKING:
    from drrobot_ros.simulation.physics import PhysicsWorld

Floats = NDArray[np.float64]

_CLOSE_S, _HOLD_S = 0.6, 1.0
_SWAY_RAD, _SWAY_HZ = 0.05, 2.0
_LIFTED_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class GraspOutcome:
    """What became of a grasp.

    Attributes:
        lifted_m: how much higher the object is at the end.
        held: lifted by most of the height, off the ground and between both fingers.
        why: what went wrong; empty if nothing.
        slip_m: of the object in the hand, from closing to the end.
    """

    lifted_m: float
    held: bool
    why: str
    slip_m: float


def run_in_world(
    world: "PhysicsWorld",
    gripper: Gripper,
    plan: GraspPlan,
    *,
    normal: Floats | None = None,
    lift_m: float = 0.12,
    shake: bool = True,
    each: Callable[[str, float], None] | None = None,
) -> GraspOutcome:
    """Let the arm of a world carry out a plan, hold the object, and sway it.

    Args:
        world: with the whole robot, whose solid `plan.target` is grasped.
        gripper: of the robot.
        plan: its reach begins where the robot is.
        normal: [3] up; None: z of the base.
        lift_m: as planned.
        shake: sway the object when it is lifted.
        each: told the phase and the time before every step, e.g. to draw.
    """
    run = _Run(world, gripper, plan, each or (lambda *_: None))
    up = np.array([0.0, 0.0, 1.0]) if normal is None else normal
    before = world.solid_pose(plan.target)
    T_closed = None
    for phase in plan.phases:
        run.grip(phase.name, phase.gap_m)
        if phase.motion is not None:
            run.follow(phase.name, phase.motion)
        if phase.name == "close":
            T_closed = run.in_tool()
    reached = float((world.solid_pose(plan.target)[:3, 3] - before[:3, 3]) @ up)
    run.hold(shake)
    lifted = float((world.solid_pose(plan.target)[:3, 3] - before[:3, 3]) @ up)
    touching = world.touched_by(plan.target)
    between = all(touching & set(side) for side in gripper.sides)
    free = not touching - set(gripper.hand)
    held = lifted > _LIFTED_SHARE * lift_m and between and free
    why = ""
    if not held:
        why = "dropped" if reached > _LIFTED_SHARE * lift_m else "not lifted"
    slip = 0.0
    if T_closed is not None:
        slip = float(np.linalg.norm((np.linalg.inv(T_closed) @ run.in_tool())[:3, 3]))
    return GraspOutcome(lifted, held, why, slip)


class _Run:
    def __init__(
        self,
        world: "PhysicsWorld",
        gripper: Gripper,
        plan: GraspPlan,
        each: Callable[[str, float], None],
    ) -> None:
        self.world, self.gripper, self.plan, self.each = world, gripper, plan, each
        self.q = world.q()
        self.gap = gripper.gap_of(self.q)

    def _tell(self, name: str, q: Floats) -> None:
        self.q = self.gripper.set(q, self.gap)
        self.world.target(self.q)
        self.each(name, self.world.time_s)

    def grip(self, name: str, gap_m: float) -> None:
        """Move the gripper to an opening, and wait."""
        start = self.gap
        if abs(start - gap_m) < 1e-6:
            return

        def move(t: float) -> None:
            self.gap = start + (gap_m - start) * min(1.5 * t / _CLOSE_S, 1.0)
            self._tell(name, self.q)

        self.world.step(_CLOSE_S, move)
        self.gap = gap_m

    def follow(self, name: str, motion: Trajectory) -> None:
        """Follow a motion of the arm; the gripper keeps what it was told."""
        # The motors are given where the arm shall be shortly, which is how far they lag behind.
        ahead = 0.05
        self.world.step(
            motion.duration_s + 0.15, lambda t: self._tell(name, motion.at(t + ahead)[0])
        )

    def hold(self, shake: bool) -> None:
        """Wait with the object lifted, and sway it by the joints far out and at the base."""
        q = self.q.copy()
        arm = [self.gripper.model.joint_q_index(n) for n in self.gripper.arm_joints]

        def sway(t: float) -> None:
            goal, swing = q.copy(), _SWAY_RAD * np.sin(2 * np.pi * _SWAY_HZ * t)
            if shake and t < 1.0:
                goal[arm[0]] += swing
                goal[arm[-2]] += swing
            self._tell("hold", goal)

        self.world.step(_HOLD_S + (1.0 if shake else 0.0), sway)

    def in_tool(self) -> Floats:
        """Return the object's pose in the tool frame."""
        T_tool = self.world.link_pose(self.gripper.palm) @ self.gripper.T_palm_tool
        return np.linalg.inv(T_tool) @ self.world.solid_pose(self.plan.target)
