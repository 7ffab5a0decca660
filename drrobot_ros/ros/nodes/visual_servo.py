"""The node ``visual_servo``: the arm brought to where the camera is to see it."""

import dataclasses
import math
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_msgs.action import VisualServo as VisualServoAction
from drrobot_msgs.msg import ControlObjective
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import PlanRequest
from drrobot_ros.control.safety import UnsafeMotionError
from drrobot_ros.control.servo import ServoState, VisualServo
from drrobot_ros.control.servo_goal import read_by_tracker
from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.ros.arm_node import ArmNode, ControlLibrary, Robot
from drrobot_ros.ros.camera_inputs import is_rectified
from drrobot_ros.ros.camera_pictures import CameraPictures
from drrobot_ros.ros.camera_reader import CameraReader
from drrobot_ros.ros.control_goals import named_positions, read_objectives
from drrobot_ros.ros.control_settings import VisualServoSettings
from drrobot_ros.ros.diagnostics import WARN
from drrobot_ros.ros.estimate_input import Seen
from drrobot_ros.ros.goal_server import GoalServer
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.picture_match import PictureMatch
from drrobot_ros.ros.rate_limit import RateLimit
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.settings import CameraSettings
from drrobot_ros.ros.timers import steady_timer

Result = VisualServoAction.Result
Vector = NDArray[np.float64]
_LONGEST_S = 0.5  # that a correction may take to be planned and checked
_OUTCOMES = {
    ServoState.REACHED: Result.REACHED,
    ServoState.UNSAFE: Result.UNSAFE,
    ServoState.BLIND: Result.STOPPED,
    ServoState.IMPLAUSIBLE: Result.STOPPED,
}


@dataclasses.dataclass
class _Active:
    """The goal that is being worked on.

    Attributes:
        request: of the action.
        robot: what moves.
        begun_s: when it was accepted, on the steady clock.
        target: wanted positions [nq], once they are known.
        servo: brings the arm there, once it may.
        match: compares the camera's pictures with the goal's; None: the goal is none.
        code: how it is to end, once that is known.
        message: for people.
        cancelled: no motion is to begin any more.
        ended: the arm is at rest for good.
    """

    request: Any
    robot: Robot
    begun_s: float
    target: Vector | None = None
    servo: VisualServo | None = None
    match: PictureMatch | None = None
    code: int | None = None
    message: str = ""
    cancelled: bool = False
    ended: bool = False

    def end(self, code: int, message: str) -> None:
        """Take note of how it ends; the first to say so is right."""
        if self.code is None:
            self.code, self.message = code, message

    @property
    def words(self) -> str:
        """How near it is, and what says so, for people."""
        residual = math.nan if self.servo is None else self.servo.residual
        if self.match is None or (self.match.compared == 0 and not self.match.why):
            return f"seen {residual:.4f} from the goal"
        if self.match.why:
            return f"seen {residual:.4f} from the goal, by estimates alone: {self.match.why}"
        return f"seen {residual:.4f} from the goal, its picture and the camera's compared"


class VisualServoNode(ArmNode):
    """Corrects an arm at the camera's rate until it is seen where it is wanted.

    Subscribes: joint_states, camera_info, pose_estimator/status, pose_estimator/camera_pose; image
    while a goal that is a picture is worked on;
    robot_description unless the parameter robot is set.
    Action: ~/visual_servo, one goal at a time.
    Client of the arm's controller: an action FollowJointTrajectory, or a topic JointTrajectory.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid, or the controller is not known.
    """

    def __init__(self, library: ControlLibrary | None = None, **kwargs: Any) -> None:
        super().__init__("visual_servo", VisualServoSettings, library, **kwargs)
        self.rectified = is_rectified(self, "image", self.settings.config.image_rectified)
        self._plan = Parameters(self, PlanConfig, "plan.")
        self._rate = RateLimit()
        self._pictures = CameraPictures(self)
        self._reader = CameraReader("", CameraSettings, self.diagnostics, rectified=self.rectified)
        self._planner: Any = None
        self._thinking_s = 0.05
        self._steps: LatestWorker[_Active] = LatestWorker(self._step, self._failed, "servo")
        self._goals: GoalServer[_Active] = GoalServer(
            self,
            VisualServoAction,
            "visual_servo",
            diagnostics=self.diagnostics,
            begin=self._accept,
            start=lambda active: self.worker.run(lambda: self._begin(active)),
            refused=lambda why: Result(outcome=Result.REFUSED, message=why),
            cancel=self._cancel,
        )
        steady_timer(self, 1.0 / self.settings.config.command_rate_hz, self._watch)
        warn_of_unknown(self)

    def loaded(self, robot: Robot) -> None:
        """See :class:`ArmNode`."""
        self._planner = None  # made when a picture asks for it

    # -- the action ------------------------------------------------------------------------------

    def _accept(self, goal: Any) -> _Active:
        robot = self.ready_robot()
        request = goal.request
        self._check(request)
        if request.image.width and request.execute and self.settings.config.compare_pictures:
            self._pictures.open()
        return _Active(request, robot, time.monotonic())

    def _cancel(self, active: _Active, why: str) -> None:
        active.cancelled = True
        self._halt(active, Result.CANCELED, why)

    @staticmethod
    def _check(request: Any) -> None:
        if not (math.isfinite(request.timeout_s) and request.timeout_s > 0):
            raise InputError(f"timeout_s must be positive, got {request.timeout_s}")
        if not (math.isfinite(request.tolerance) and request.tolerance >= 0):
            raise InputError(f"tolerance must not be negative, got {request.tolerance}")
        if bool(request.image.width) == bool(request.joint_names):
            raise InputError("the goal must be either an image or joint positions")

    def _halt(self, active: _Active, code: int, message: str) -> None:
        """Have the arm stopped, if it moves, and the goal end."""
        active.end(code, message)
        if active.servo is not None:
            active.robot.executor.stop(message)
        else:
            active.ended = True

    # -- in the worker's thread --------------------------------------------------------------------

    def _begin(self, active: _Active) -> None:
        """Find out what is wanted, and begin."""
        try:
            self._prepare(active)
        except UnsafeMotionError as error:
            self._halt(active, Result.UNSAFE, f"the motion is not safe: {error}")
        except DrRobotError as error:
            self._halt(active, Result.REFUSED, str(error))
        except Exception as error:  # the goal ends with it, the node does not
            self._halt(active, Result.STOPPED, f"{type(error).__name__}: {error}")

    def _prepare(self, active: _Active) -> None:
        request, robot = active.request, active.robot
        executor = robot.executor
        if request.execute:
            executor.check_ready()
        trouble = robot.estimate.problem()
        if trouble:
            raise InputError(trouble)
        offsets = self.known_offsets(robot)
        start = executor.encoders() - offsets
        active.target = target = self._target(request, robot, start, active)
        robot.gate.limits.check_position(target, "the goal")
        if active.cancelled:
            return
        if not request.execute:
            motion = CommandedMotion(robot.gate, start + offsets, offsets)
            seconds = motion.to(target, 0.0).duration_s
            self._halt(
                active, Result.PLANNED, f"a dry run: a first motion of {seconds:.2f} s is safe"
            )
            return
        law = self.law.config
        if request.tolerance:
            law = dataclasses.replace(law, tolerance=request.tolerance)

        def finished(reason: str) -> None:
            active.end(Result.STOPPED, f"the arm was stopped: {reason}")
            active.ended = True

        motion = executor.begin(offsets, finished, keep_on=True)
        servo = VisualServo(motion, target, law, self.clock.look(), active.match is not None)
        servo.observer.offsets = robot.offsets.offsets.copy()
        servo.observer.sigma = robot.offsets.sigma.copy()
        active.servo = servo
        if active.cancelled:
            executor.stop("canceled")

    def _target(self, request: Any, robot: Robot, start: Vector, active: _Active) -> Vector:
        """Return the wanted positions [nq]: as named, or those that a picture shows."""
        names = robot.joints.names
        if request.joint_names:
            return named_positions(list(request.joint_names), list(request.positions), names, start)
        objective = ControlObjective(kind="picture", image=request.image)
        wanted = read_objectives([objective], robot.model, names, start, self.eye)
        if self._planner is None:
            self._planner = self.library.planner(robot.model, robot.gaussians, robot.gate, "")
        plan = self._planner.plan(
            PlanRequest(wanted.goals, start, wanted.views, (), self._plan.config),
            lambda _: not active.cancelled,
        )
        picture, view = wanted.goals[0].rgb, wanted.views[wanted.goals[0].view]
        if request.execute and self.settings.config.compare_pictures:
            active.match = PictureMatch(
                robot.model,
                robot.gaussians,
                picture,
                view.T_base_camera,
                reader=self._reader,
                pictures=self._pictures,
                joints=robot.joints,
                observed=self._observed(robot),
                clock=self.clock,
                patience_s=self.settings.config.picture_patience_s,
            )
        # As the estimator would see it: what it gets wrong in this view, it will again.
        return read_by_tracker(
            robot.model,
            robot.gaussians,
            picture,
            view.camera,
            view.T_base_camera,
            np.asarray(plan.q[-1], np.float64),
        )

    # -- the loop ----------------------------------------------------------------------------------

    def seen(self, robot: Robot, seen: Seen, encoders: Vector) -> None:
        """See :class:`ArmNode`."""
        active = self._goals.work
        if active is None or active.servo is None:
            return
        observed = self._observed(robot)
        stamp_s = self.clock.from_ros_s(seen.stamp_s)
        q = np.where(np.isfinite(seen.q), seen.q, encoders)
        q = np.where(np.isfinite(q), q, robot.executor.motion.at(stamp_s)[0])
        servo = active.servo
        self._steps.run(lambda: servo.see(stamp_s, q, seen.sigma, encoders, observed))
        if active.match is not None:
            active.match.seen = seen.stamp_s, q

    @staticmethod
    def _observed(robot: Robot) -> NDArray[np.bool_]:
        """Return which joints [nq] the controller moves."""
        columns = [robot.joints.names.index[name] for name in robot.executor.names]
        return np.isin(np.arange(robot.model.nq), columns)

    def _step(self, active: _Active) -> None:
        """Correct the arm; in a thread of its own."""
        servo, executor = active.servo, active.robot.executor
        if servo is None or active.code is not None:
            return
        self._match(active, servo)
        now_s, begin_s = executor.lead()
        # What is thought of now is sent when it has been checked, which takes a moment.
        begin_s += self._thinking_s
        motion = servo.step(now_s, begin_s)
        took_s = self.clock.look() - now_s
        if motion is not None:
            self._thinking_s = min(max(0.9 * self._thinking_s, 1.5 * took_s), _LONGEST_S)
        if servo.ended:
            code, words = _OUTCOMES[servo.state], servo.reason
            if servo.state == ServoState.REACHED:
                words = f"reached: {active.words}"
            self._halt(active, code, words)
        elif motion is not None and not executor.follow(motion, begin_s):
            servo.dropped()

    def _match(self, active: _Active, servo: VisualServo) -> None:
        """Compare pictures, where that is wanted."""
        match = active.match
        if match is None:
            return
        before = match.why
        match.serve(servo, active.robot.executor.motion, self.info)
        if match.why != before:
            text = f"{match.why}; going on by estimates alone"
            self.diagnostics.fault("pictures", text, WARN, cause=match.why)

    def _watch(self) -> None:
        """Have the arm corrected; end the goal when the arm is at rest for good."""
        active = self._goals.work
        if active is None:
            return
        if active.ended:
            self._end(active)
            return
        waited_s = time.monotonic() - active.begun_s
        if waited_s > active.request.timeout_s and active.code is None:
            active.cancelled = True
            words = f"not within tolerance in {waited_s:.1f} s: {active.words}"
            self._halt(active, Result.TIMEOUT, words)
            return
        if active.servo is not None and active.code is None:
            self._steps.put(active)
        self._feedback(active)

    def _numbers(self, active: _Active) -> dict[str, Any]:
        names, servo = active.robot.joints.names, active.servo
        out: dict[str, Any] = {"joint_names": list(names.index)}
        if active.target is not None:
            out["target"] = names.positions(active.target)
        if servo is not None:
            out["error"] = names.positions(servo.error)
            out["offsets"] = names.positions(servo.observer.offsets)
            out["corrections"] = servo.corrections
        return out

    def _feedback(self, active: _Active) -> None:
        if not self._rate.due(self.settings.config.feedback_rate_hz):
            return
        servo = active.servo
        message = VisualServoAction.Feedback(
            text="looking" if servo is None else servo.state.value,
            elapsed_s=time.monotonic() - active.begun_s,
            residual=math.nan if servo is None else servo.residual,
            following_error=active.robot.executor.following_error,
            **self._numbers(active),
        )
        self._goals.tell(message)

    def _end(self, active: _Active) -> None:
        self._pictures.close()
        code = Result.STOPPED if active.code is None else active.code
        result = Result(
            outcome=code,
            success=code in (Result.PLANNED, Result.REACHED),
            message=active.message,
            elapsed_s=time.monotonic() - active.begun_s,
            **self._numbers(active),
        )
        self._goals.end(result, active.message, success=result.success)

    def state(self) -> tuple[str, dict[str, str]]:
        """See :class:`ArmNode`."""
        active = self._goals.work
        if active is None or active.servo is None:
            return "idle", {}
        residual = f"{active.servo.residual:.4f}"
        return active.servo.state.value, {"residual": residual}

    def destroy_node(self) -> None:
        """End the goal, stop the arm, end the threads, then the node."""
        self._goals.stop("the node ends")
        self._steps.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(VisualServoNode, args)


if __name__ == "__main__":
    sys.exit(main())
