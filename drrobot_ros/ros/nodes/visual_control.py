"""The node ``visual_control``: from a sentence, a picture, tracks or a video to a safe motion."""

import sys
from typing import Any

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.ros import control_messages as messages
from drrobot_ros.ros.arm_node import ArmNode, ControlLibrary, Robot
from drrobot_ros.ros.camera_inputs import is_rectified
from drrobot_ros.ros.control_run import ControlRun, News
from drrobot_ros.ros.control_settings import VisualControlSettings
from drrobot_ros.ros.goal_server import GoalServer
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.rate_limit import RateLimit
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.timers import steady_timer

WATCH_PERIOD_S = 0.02
Result = OptimizeJointTarget.Result
_FAULTS = (Result.REFUSED, Result.UNSAFE, Result.STOPPED, Result.FAILED)
STAGES = ("optimizing", "checking", "executing", "stopping")


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
        self.rectified = is_rectified(self, "image", self.settings.config.image_rectified)
        self._plan = Parameters(self, PlanConfig, "plan.")
        self._planner: Any = None
        self._rates = RateLimit(), RateLimit()
        self._stage = 0
        self._goals: GoalServer[ControlRun] = GoalServer(
            self,
            OptimizeJointTarget,
            "optimize_joint_target",
            diagnostics=self.diagnostics,
            begin=self._begin,
            start=lambda run: self.worker.run(run.work),
            refused=lambda why: Result(outcome=Result.REFUSED, message=why),
            cancel=ControlRun.cancel,
            preempts=lambda request: request.preempt,
            rejection="another is being worked on; cancel it, or set preempt",
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

    def _begin(self, goal: Any) -> ControlRun:
        robot = self.ready_robot()
        return ControlRun(
            goal.request,
            robot=robot,
            planner=self._planner,
            config=self._plan.config,
            eye=self.eye,
            offsets=lambda: self.known_offsets(robot),
            tell=self._tell,
            now_s=self.clock.look,
        )

    def _watch(self) -> None:
        """End the goal when its work is done; tell how the arm gets on."""
        run = self._goals.work
        if run is None:
            return
        run.watch()
        outcome = run.outcome
        if outcome is None:
            return
        names, width = self.ready_robot().joints.names, self.settings.config.preview_width
        result = messages.result_of(outcome, names, width)
        self._goals.end(
            result, outcome.message, success=result.success, fault=outcome.code in _FAULTS
        )

    def _tell(self, news: News) -> None:
        """Publish feedback; from any thread."""
        settings = self.settings.config
        self._stage = news.stage
        feedback, preview = self._rates
        if not feedback.due(settings.feedback_rate_hz):
            return
        width = settings.preview_width if preview.due(settings.preview_rate_hz) else 0
        run, robot = self._goals.work, self.robot
        if run is None or robot is None:
            return
        error = robot.executor.following_error
        names = robot.joints.names
        self._goals.tell(messages.feedback_of(news, names, run.elapsed_s, error, width))

    def state(self) -> tuple[str, dict[str, str]]:
        """See :class:`ArmNode`."""
        run = self._goals.work
        if run is None:
            return "idle", {}
        return STAGES[self._stage], {"elapsed_s": f"{run.elapsed_s:.1f}"}

    def destroy_node(self) -> None:
        """End the goal, stop the arm, then end the node."""
        self._goals.stop("the node ends")
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(VisualControl, args)


if __name__ == "__main__":
    sys.exit(main())
