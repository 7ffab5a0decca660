"""The action FollowJointTrajectory, and the JointTrajectory topic, of a simulated arm."""

from typing import Any

import numpy as np
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse
from rclpy.node import Node
from rclpy.task import Future
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from drrobot_ros.errors import InputError
from drrobot_ros.ros.conversions import stamp_to_s
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm
from drrobot_ros.ros.trajectories import Trajectory, UnknownJointError, read_trajectory

Result = FollowJointTrajectory.Result
FEEDBACK_PERIOD_S = 0.05


class TrajectoryInterface:
    """Lets an arm follow what comes on ``~/joint_trajectory`` and ``~/follow_joint_trajectory``.

    A goal that cannot be followed ends at once with the reason; a new one ends the one before.

    Args:
        node: whose interface it is.
        arm: what moves.
        names: its joints.
        limits: lower and upper [nq].
        diagnostics: is told of trajectories that cannot be followed.
    """

    def __init__(
        self,
        node: Node,
        arm: Arm,
        names: JointNames,
        limits: Any,
        diagnostics: Diagnostics,
    ) -> None:
        self._node, self._arm, self._names = node, arm, names
        self._limits, self._diagnostics = limits, diagnostics
        self._goal: tuple[Any, Trajectory, float, Future] | None = None
        node.create_subscription(JointTrajectory, "~/joint_trajectory", self._topic, 10)
        node.create_timer(FEEDBACK_PERIOD_S, self._watch)
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            "~/follow_joint_trajectory",
            execute_callback=self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9

    def _start(self, message: JointTrajectory) -> tuple[Trajectory, float]:
        now = self._now_s()
        begin_s = stamp_to_s(message.header.stamp) or now
        # One that begins later is joined smoothly from the motion that goes on until then.
        wait_s = max(begin_s - now, 0.0)
        state = self._arm.state(now)
        trajectory = read_trajectory(message, self._names, state, self._limits, wait_s)
        begin_s = min(begin_s, now)
        if begin_s + trajectory.duration_s < now:
            raise InputError(
                f"the trajectory ended {now - begin_s - trajectory.duration_s:.3f} s ago"
            )
        self._end("replaced by a newer trajectory")
        self._arm.follow(trajectory, begin_s)
        return trajectory, begin_s

    def _topic(self, message: JointTrajectory) -> None:
        if not message.points:  # as controllers have it: stop
            self._end("stopped")
            self._arm.stop(self._now_s())
            return
        try:
            self._start(message)
        except InputError as error:
            self._diagnostics.fault("joint_trajectory", str(error))
            return
        self._diagnostics.good("joint_trajectory")

    async def _execute(self, goal: Any) -> Any:
        try:
            trajectory, begin_s = self._start(goal.request.trajectory)
        except InputError as error:
            unknown = isinstance(error, UnknownJointError)
            code = Result.INVALID_JOINTS if unknown else Result.INVALID_GOAL
            self._diagnostics.fault("follow_joint_trajectory", str(error))
            goal.abort()
            return Result(error_code=code, error_string=str(error))
        self._diagnostics.good("follow_joint_trajectory")
        done = Future()
        self._goal = (goal, trajectory, begin_s, done)
        return await done

    def _end(self, reason: str) -> None:
        """End the goal that is being followed, if any, before its time."""
        if self._goal is None:
            return
        goal, _, _, done = self._goal
        self._goal = None
        if goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        done.set_result(Result(error_code=Result.INVALID_GOAL, error_string=reason))

    def _watch(self) -> None:
        if self._goal is None:
            return
        goal, trajectory, begin_s, done = self._goal
        now = self._now_s()
        if goal.is_cancel_requested:
            self._arm.stop(now)
            self._end("canceled")
            return
        goal.publish_feedback(self._feedback(trajectory.at(now - begin_s), now))
        if now - begin_s >= trajectory.duration_s:
            self._goal = None
            goal.succeed()
            done.set_result(Result(error_code=Result.SUCCESSFUL))

    def _feedback(self, desired: Any, now: float) -> Any:
        actual = self._arm.at(now)
        feedback = FollowJointTrajectory.Feedback(joint_names=list(self._names.index))
        feedback.header.stamp = self._node.get_clock().now().to_msg()
        feedback.desired = JointTrajectoryPoint(positions=self._names.positions(desired))
        feedback.actual = JointTrajectoryPoint(positions=self._names.positions(actual))
        error = np.asarray(desired) - actual
        feedback.error = JointTrajectoryPoint(positions=self._names.positions(error))
        return feedback
