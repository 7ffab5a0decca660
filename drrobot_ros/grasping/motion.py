"""From a hand pose to a safe motion: reach, straight approach, close, straight lift.

Every motion passes the `SafetyGate`. On the way to the pregrasp pose the target is an obstacle like
the others; on the straight lines, where the fingers go round it, it is left out, and the hand has
been checked against it before.
"""

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
from drrobot_ros.control.timing import follow_path, move_to
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.scene import GraspObject, GraspScene
from drrobot_ros.robot.ik import inverse_kinematics

Floats = NDArray[np.float64]

_STEP_M = 0.01  # between waypoints of a straight line
_JUMP_RAD = 0.35  # no joint turns farther between two of them
_RAISED_M = 0.12  # how far above the pregrasp pose a way round begins


@dataclasses.dataclass(frozen=True, eq=False)
class Phase:
    """One step of a grasp.

    Attributes:
        name: reach, approach, close or lift.
        motion: of all joints, from rest to rest; None: only the gripper moves.
        gap_m: distance between the pads that the gripper is told before the motion begins.
        force_n: with which it presses; 0: it is only moved.
    """

    name: str
    motion: Trajectory | None
    gap_m: float
    force_n: float = 0.0


def safety_gate(
    gripper: Gripper, scene: GraspScene, without: str, safety: SafetyConfig
) -> SafetyGate:
    """Return the gate for a robot among the scene's solids, one of them left out.

    The gripper's joints may go to their very ends, which the margin would forbid.
    """
    gate = SafetyGate(gripper.model, safety, scene.obstacles(without))
    gate.limits = with_gripper(gate.limits, gripper)
    return gate


def with_gripper(limits: MotionLimits, gripper: Gripper) -> MotionLimits:
    """Return limits with the gripper's joints free to their ends."""
    lower, upper = limits.lower.copy(), limits.upper.copy()
    for name in gripper.joints:
        k = gripper.model.joint_q_index(name)
        lower[k], upper[k] = gripper.model.lower[k], gripper.model.upper[k]
    return dataclasses.replace(limits, lower=lower, upper=upper)


class MotionPlanner:
    """Plans the motions of grasps of one object.

    Args:
        gripper: of the robot.
        scene: what stands around.
        target: what is grasped.
        config: see `GraspConfig`.
        safety: limits of every motion.
    """

    def __init__(
        self,
        gripper: Gripper,
        scene: GraspScene,
        target: GraspObject,
        config: GraspConfig,
        safety: SafetyConfig,
    ) -> None:
        self._gripper, self._scene, self._config, self._safety = gripper, scene, config, safety
        near = dataclasses.replace(
            safety, collision_margin_m=min(config.near_margin_m, safety.collision_margin_m)
        )
        self.far = safety_gate(gripper, scene, "", safety)
        self.near = safety_gate(gripper, scene, target.name, near)

    def is_free(self, q: Floats) -> bool:
        """Tell whether a configuration [nq] is within limits and touches nothing but the target."""
        limits = self.near.limits
        within = (q >= limits.lower - 1e-9).all() and (q <= limits.upper + 1e-9).all()
        return bool(within and self.near.checker.nearest(q).spare_m > 0)

    def has_way(self, T_base_tool: Floats, q: Floats) -> NDArray[np.bool_]:
        """Tell for grasps whether the ends of the straight lines are within reach and free.

        Args:
            T_base_tool: [n, 4, 4] when the gripper closes.
            q: [n, nq] that reach them.
        """
        if not len(q):
            return np.zeros(0, bool)
        config, model = self._config, self._gripper.model
        good = np.ones(len(q), bool)
        ways = (-T_base_tool[:, :3, 2] * config.approach_m, self._scene.normal * config.lift_m)
        for k, way in enumerate(ways):
            T = T_base_tool @ np.linalg.inv(self._gripper.T_palm_tool)
            T[:, :3, 3] += way
            found = inverse_kinematics(
                model, self._gripper.palm, T, q_start=q, starts=1, iterations=30,
                position_tolerance_m=1e-3, rotation_tolerance_rad=1e-2,
            )  # fmt: skip
            ends, limits = found.q.numpy(), self.far.limits
            good &= found.success.numpy()
            good &= ((ends >= limits.lower) & (ends <= limits.upper)).all(1)
            if k == 0:
                for i in np.flatnonzero(good):
                    good[i] = self.far.checker.nearest(ends[i]).spare_m > 0
        return good

    def plan(
        self, T_base_tool: Floats, gap_m: float, width_m: float, q_grasp: Floats, q_now: Floats
    ) -> tuple[Phase, ...]:
        """Return the steps of one grasp.

        Args:
            T_base_tool: [4, 4] when the gripper closes.
            gap_m: its opening on the way in.
            width_m: of what it closes on.
            q_grasp: [nq] that reaches the pose.
            q_now: [nq] where the robot is, at rest.

        Raises:
            UnsafeMotionError: the gate refuses; with the reason.
            InputError: the straight lines cannot be followed.
        """
        config, gripper = self._config, self._gripper
        back = -T_base_tool[:3, 2] * config.approach_m
        way_in = self._straight(T_base_tool, back, q_grasp)[::-1]
        way_up = self._straight(T_base_tool, self._scene.normal * config.lift_m, q_grasp)
        open_in, shut_up = gripper.set(way_in, gap_m), gripper.set(way_up, width_m)
        start = gripper.set(q_now, gap_m)
        reach = self._reach(start, open_in[0], T_base_tool, back)
        approach = self._line(open_in)
        lift = self._line(shut_up)
        self.near.check(approach, open_in[0])
        self.near.check(lift, shut_up[0])
        squeeze = max(width_m - 0.02, gripper.min_gap_m)
        return (
            *(Phase("reach", motion, gap_m) for motion in reach),
            Phase("approach", approach, gap_m),
            Phase("close", None, squeeze, config.force_n),
            Phase("lift", lift, squeeze, config.force_n),
        )

    def _straight(self, T_base_tool: Floats, way: Floats, q_start: Floats) -> Floats:
        """Return configurations [n, nq] along a straight line that starts at a pose."""
        length = float(np.linalg.norm(way))
        n = max(int(np.ceil(length / _STEP_M)), 2) + 1
        T = np.tile(T_base_tool @ np.linalg.inv(self._gripper.T_palm_tool), (n, 1, 1))
        T[:, :3, 3] += np.linspace(0, 1, n)[:, None] * way
        model = self._gripper.model
        found = inverse_kinematics(
            model, self._gripper.palm, T[1:], q_start=q_start, starts=1, iterations=60,
            position_tolerance_m=1e-3, rotation_tolerance_rad=1e-2,
        )  # fmt: skip
        q = np.concatenate([q_start[None], found.q.numpy()])
        lost = np.flatnonzero(~found.success.numpy())
        if len(lost):
            at = length * (lost[0] + 1) / (n - 1)
            raise InputError(f"the straight line leaves the arm's reach after {at * 1e3:.0f} mm")
        jump = np.abs(np.diff(q, axis=0)).max()
        if jump > _JUMP_RAD:
            raise InputError(f"along the straight line a joint would jump by {jump:.2f} rad")
        return q

    def _line(self, q: Floats) -> Trajectory:
        times = np.arange(len(q), dtype=np.float64) * (_STEP_M / self._config.speed)
        times = np.asarray(times, np.float64)
        return follow_path(self.near.limits, q, times, self._safety.rate_hz)

    def _reach(
        self, start: Floats, goal: Floats, T_base_tool: Floats, back: Floats
    ) -> list[Trajectory]:
        """Return motions to the pregrasp pose, straight in joint space or by a way round."""
        try:
            return self._moves([start, goal])
        except UnsafeMotionError as error:
            first = error
        T = T_base_tool @ np.linalg.inv(self._gripper.T_palm_tool)
        T[:3, 3] += back + self._scene.normal * _RAISED_M
        model = self._gripper.model
        above = inverse_kinematics(
            model, self._gripper.palm, T, q_start=goal, starts=4,
            position_tolerance_m=1e-2, rotation_tolerance_rad=0.1,
        )  # fmt: skip
        home = self._gripper.set(model.home().numpy(), self._gripper.gap_of(goal))
        limits = self.far.limits
        vias = [above.q.numpy()] if bool(above.success) else []
        for via in [[v] for v in vias] + [[home]] + [[home, v] for v in vias]:
            stops = [np.clip(v, limits.lower, limits.upper) for v in via]
            try:
                return self._moves([start, *stops, goal])
            except InputError:
                continue
        raise first

    def _moves(self, stops: list[Floats]) -> list[Trajectory]:
        motions = []
        for a, stop in itertools.pairwise(stops):
            b = stop.copy()
            for name in self._gripper.joints:  # the gripper keeps what it was told
                k = self._gripper.model.joint_q_index(name)
                b[k] = a[k]
            motion = move_to(self.far.limits, a, b, self._safety.rate_hz)
            self.far.check(motion, a)
            motions.append(motion)
        return motions
