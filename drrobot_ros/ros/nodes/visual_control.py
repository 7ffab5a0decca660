"""The node ``visual_control``: from a sentence, a picture, tracks or a video to a safe motion."""

import dataclasses
import sys
import threading
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.errors import InputError
from drrobot_ros.ros import control_messages as messages
from drrobot_ros.ros.arm_node import ArmNode, ControlLibrary, Robot
from drrobot_ros.ros.control_run import ControlRun, News, Outcome
from drrobot_ros.ros.control_settings import VisualControlSettings
from drrobot_ros.ros.diagnostics import WARN
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.rate_limit import RateLimit
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.timers import steady_timer

WATCH_PERIOD_S = 0.02
Result = OptimizeJointTarget.Result
STAGES = ("optimizing", "checking", "executing", "stopping")


@dataclasses.dataclass
class _Active:
    """The goal that is being worked on: the action's handle, the run, what ends the action."""

    goal: Any
    run: ControlRun
    done: Future
    preempted: bool = False


class VisualControl(ArmNode):
    """Optimises joint targets through the renderer and has the arm go there, if asked to.

    Subscribes: joint_states, camera_info, pose_estimator/status, pose_estimator/camera_pose;
    robot_description unless the parameter robot is set.
    Action: ~/optimize_joint_target, one goal at a time.
    Client of the arm's controller: an action FollowJointTrajectory, or a topic JointTrajectory.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid, or the controller is not known.
    """

    def __init__(self, library: ControlLibrary | None = None, **kwargs: Any) -> None:
        super().__init__("visual_control", VisualControlSettings, library, **kwargs)
        self._plan = Parameters(self, PlanConfig, "plan.")
        self._planner: Any = None
        self._active: _Active | None = None
        self._waiting = False
        self._rates = RateLimit(), RateLimit()
        self._tell_lock = threading.Lock()
        self._stage = 0
        self._server = ActionServer(
            self,
            OptimizeJointTarget,
            "~/optimize_joint_target",
            execute_callback=self._execute,
            goal_callback=self._may_start,
            cancel_callback=self._cancel,
        )
        steady_timer(self, WATCH_PERIOD_S, self._watch)
        warn_of_unknown(self)

    def loaded(self, robot: Robot) -> None:
        """See :class:`ArmNode`."""
        text_model = self.settings.config.text_model
        self._planner = self.library.planner(robot.model, robot.gaussians, robot.gate, text_model)

    def uses_estimate(self) -> bool:
        """See :class:`ArmNode`."""
        wanted = self.settings.config.estimate
        heard = self.robot is not None and self.robot.estimate.is_there
        return wanted == "yes" or (wanted == "auto" and heard)

    # -- the action ------------------------------------------------------------------------------

    def _may_start(self, request: Any) -> GoalResponse:
        if self._waiting or (self._active is not None and not request.preempt):
            text = "a goal was rejected: another is being worked on; cancel it, or set preempt"
            self.diagnostics.fault("optimize_joint_target", text, WARN)
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _cancel(self, goal: Any) -> CancelResponse:
        active = self._active
        if active is not None and active.goal.goal_id == goal.goal_id:
            active.run.cancel("canceled")  # here and now: the arm is not to wait for a timer
        return CancelResponse.ACCEPT

    async def _execute(self, goal: Any) -> Any:
        if self._active is not None:
            self._waiting = True
            self._active.preempted = True
            self._active.run.cancel("preempted by another goal")
            await self._active.done
            self._waiting = False
        try:
            robot = self.ready_robot()
        except InputError as error:
            return self._end(goal, Outcome(Result.REFUSED, str(error)))
        work = ControlRun(
            goal.request,
            robot=robot,
            planner=self._planner,
            config=self._plan.config,
            eye=self.eye,
            offsets=lambda: self.known_offsets(robot),
            tell=self._tell,
            now_s=self.clock.look,
        )
        self._active = _Active(goal, work, Future())
        self.worker.run(work.work)
        return await self._active.done

    def _watch(self) -> None:
        """End the goal when its work is done; tell how the arm gets on."""
        active = self._active
        if active is None:
            return
        active.run.watch()
        outcome = active.run.outcome
        if outcome is None:
            return
        with self._tell_lock:
            self._active = None
        active.done.set_result(self._end(active.goal, outcome))

    def _end(self, goal: Any, outcome: Outcome) -> Any:
        """End an action; return its result."""
        robot = self.robot
        if robot is None:
            result = Result(outcome=outcome.code, message=outcome.message)
        else:
            width = self.settings.config.preview_width
            result = messages.result_of(outcome, robot.joints.names, width)
        if outcome.code in (Result.REFUSED, Result.UNSAFE, Result.STOPPED, Result.FAILED):
            self.diagnostics.fault("optimize_joint_target", outcome.message)
        else:
            self.diagnostics.good("optimize_joint_target")
            self.get_logger().info(outcome.message)
        if result.success:
            goal.succeed()
        elif goal.is_cancel_requested:
            goal.canceled()
        else:
            goal.abort()
        return result

    def _tell(self, news: News) -> None:
        """Publish feedback; from any thread."""
        settings = self.settings.config
        self._stage = news.stage
        feedback, preview = self._rates
        if not feedback.due(settings.feedback_rate_hz):
            return
        width = settings.preview_width if preview.due(settings.preview_rate_hz) else 0
        active, robot = self._active, self.robot
        if active is None or robot is None:
            return
        error = robot.executor.following_error
        elapsed_s = active.run.elapsed_s
        message = messages.feedback_of(news, robot.joints.names, elapsed_s, error, width)
        with self._tell_lock:
            if self._active is active and active.goal.is_active:
                active.goal.publish_feedback(message)

    def state(self) -> tuple[str, dict[str, str]]:
        """See :class:`ArmNode`."""
        active = self._active
        if active is None:
            return "idle", {}
        return STAGES[self._stage], {"elapsed_s": f"{active.run.elapsed_s:.1f}"}

    def destroy_node(self) -> None:
        """End the goal, stop the arm, then end the node."""
        if self._active is not None:
            self._active.run.cancel("the node ends")
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(VisualControl, args)


if __name__ == "__main__":
    sys.exit(main())
