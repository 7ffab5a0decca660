"""One goal of the action OptimizeJointTarget, from its objectives to an arm at rest."""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory

from drrobot_msgs.action import OptimizeJointTarget
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import PlanRequest
from drrobot_ros.control.safety import SafetyReport, UnsafeMotionError
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import DrRobotError, InputError, unknown_name
from drrobot_ros.ros.arm_node import Robot
from drrobot_ros.ros.control_goals import Eye, read_objectives

Vector = NDArray[np.float64]
Result, Feedback = OptimizeJointTarget.Result, OptimizeJointTarget.Feedback


@dataclasses.dataclass(frozen=True, eq=False)
class News:
    """What a run is doing.

    Attributes:
        stage: a constant of the action's feedback.
        text: for people.
        percent: of the stage.
        progress: of the optimiser, if that is it.
        target: joint positions [nq]: the best so far, or where the arm should be now.
    """

    stage: int
    text: str
    percent: float = 0.0
    progress: Any = None
    target: Vector | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended.

    Attributes:
        code: a constant of the action's result.
        message: for people.
        plan: what was found; None: nothing.
        trajectory: as sent, or as it would have been.
        report: of the safety gate.
        offsets: encoder minus true position [nq].
    """

    code: int
    message: str
    plan: Any = None
    trajectory: JointTrajectory | None = None
    report: SafetyReport | None = None
    offsets: Vector | None = None


class ControlRun:
    """Plans, checks and has the arm move; `work` runs in a worker's thread, the rest anywhere.

    Args:
        request: the action's goal.
        robot: what is to move.
        planner: finds joint targets.
        config: settings of planning, which the request may change.
        eye: the camera.
        offsets: returns encoder minus true position [nq].
        tell: called with the news, from any thread.
        now_s: the time on the arm's clock.
    """

    def __init__(
        self,
        request: Any,
        *,
        robot: Robot,
        planner: Any,
        config: PlanConfig,
        eye: Eye,
        offsets: Callable[[], Vector],
        tell: Callable[[News], None],
        now_s: Callable[[], float],
    ) -> None:
        self.request, self._robot, self._planner, self._config = request, robot, planner, config
        self._eye, self._offsets, self._tell, self._now_s = eye, offsets, tell, now_s
        self._begun_s = time.monotonic()
        self._lock = threading.Lock()
        self._cancelled, self._executing = "", False
        self.outcome: Outcome | None = None
        self._motion: CommandedMotion | None = None
        self._span_s = (0.0, 0.0)

    @property
    def elapsed_s(self) -> float:
        """Time since the goal was accepted."""
        return time.monotonic() - self._begun_s

    def cancel(self, reason: str) -> None:
        """Have it end soon; an arm in motion is stopped at once."""
        with self._lock:
            self._cancelled = self._cancelled or reason
            executing = self._executing
        if executing:
            self._robot.executor.stop(self._cancelled)

    def work(self) -> None:
        """Plan, check and begin to execute; what comes of it is in `outcome`, then or later."""
        try:
            outcome = self._work()
        except UnsafeMotionError as error:
            outcome = Outcome(Result.UNSAFE, f"the motion is not safe: {error}", self._plan)
        except DrRobotError as error:
            outcome = Outcome(Result.REFUSED, str(error), self._plan)
        except Exception as error:  # the goal ends with it, the node does not
            text = f"{type(error).__name__}: {error}"
            outcome = Outcome(Result.FAILED, text, self._plan)
        if outcome is not None:
            self.outcome = outcome

    def watch(self) -> None:
        """Tell where the arm is; to be called now and then."""
        motion = self._motion
        if self.outcome is not None or motion is None:
            return
        begin_s, end_s = self._span_s
        now_s = self._now_s()
        percent = 100.0 * min(max((now_s - begin_s) / max(end_s - begin_s, 1e-6), 0.0), 1.0)
        stopping = bool(self._cancelled)
        stage = Feedback.STOPPING if stopping else Feedback.EXECUTING
        text = "the arm is stopped" if stopping else "the arm moves"
        target = motion.at(now_s)[0] - motion.offsets
        self._tell(News(stage, text, percent, target=target))

    # -- in the worker's thread --------------------------------------------------------------------

    _plan: Any = None

    def _work(self) -> Outcome | None:
        request, robot = self.request, self._robot
        if request.execute:
            robot.executor.check_ready()
        offsets = self._offsets()
        start = self._start(offsets)
        self._tell(News(Feedback.OPTIMIZING, "reading the objectives"))
        wanted = read_objectives(
            request.objectives, robot.model, robot.joints.names, start, self._eye
        )
        config = self._configured()
        plan = self._planner.plan(
            PlanRequest(wanted.goals, start, wanted.views, self._free(), config), self._progress
        )
        self._plan = plan
        if self._cancelled:
            return Outcome(Result.CANCELED, self._cancelled, plan)
        if not np.isfinite(plan.q).all():
            return Outcome(Result.FAILED, "no finite joint positions were found")
        self._tell(News(Feedback.CHECKING, "checking the motion", target=plan.q[-1]))
        path = self._planner.trajectory(plan, start)
        if not request.execute:
            return self._dry(plan, path, offsets)
        return self._execute(plan, offsets)

    def _start(self, offsets: Vector) -> Vector:
        """Return where the arm is, as far as the camera told, true positions [nq]."""
        robot = self._robot
        try:
            return robot.executor.encoders() - offsets
        except InputError:
            if self.request.execute:
                raise
        seen = robot.estimate.newest
        home = np.asarray(robot.model.home(), np.float64)
        return home if seen is None else np.where(np.isfinite(seen.q), seen.q, home)

    def _free(self) -> tuple[str, ...]:
        names, prefix = self._robot.joints.names.index, self._robot.joints.names.prefix
        for joint in self.request.joints:
            if joint not in names:
                raise unknown_name("joint", joint, names)
        asked = tuple(self.request.joints) or self._robot.executor.names
        return tuple(name.removeprefix(prefix) for name in asked)

    def _configured(self) -> PlanConfig:
        request, config = self.request, self._config
        if not (np.isfinite(request.budget_s) and request.budget_s >= 0):
            raise InputError(f"budget_s must be finite and not negative, got {request.budget_s}")
        return dataclasses.replace(
            config,
            budget_s=request.budget_s or config.budget_s,
            starts=request.starts or config.starts,
            seed=request.seed or config.seed,
        )

    def _progress(self, progress: Any) -> bool:
        percent = 100.0 * float(progress.fraction)
        news = News(
            Feedback.OPTIMIZING, progress.stage, percent, progress, np.asarray(progress.q)[-1]
        )
        self._tell(news)
        return not self._cancelled

    def _dry(self, plan: Any, path: Trajectory, offsets: Vector) -> Outcome:
        motion = CommandedMotion(self._robot.gate, path.q[0] + offsets, offsets)
        told, report = motion.along(path, 0.0)
        message = self._robot.executor.message(told)
        text = f"a dry run: the motion of {path.duration_s:.2f} s would be safe"
        return Outcome(Result.PLANNED, text, plan, message, report, offsets)

    def _execute(self, plan: Any, offsets: Vector) -> Outcome | None:
        executor = self._robot.executor
        details: dict[str, Any] = {"plan": plan, "offsets": offsets}

        def finished(reason: str) -> None:
            if not reason:
                words = f"the arm is there, after {self._span_s[1] - self._span_s[0]:.2f} s"
                self.outcome = Outcome(Result.EXECUTED, words, **details)
            elif reason == self._cancelled:
                self.outcome = Outcome(Result.CANCELED, reason, **details)
            else:
                words = f"the arm was stopped: {reason}"
                self.outcome = Outcome(Result.STOPPED, words, **details)

        motion = executor.begin(offsets, finished)
        try:
            # Planned from where it is told to be, which is where it will begin.
            now_s, begin_s = executor.lead()
            path = self._planner.trajectory(plan, motion.at(now_s)[0] - offsets)
            told, report = motion.along(path, begin_s)
            details |= {"trajectory": executor.message(told), "report": report}
            with self._lock:
                self._executing = True
                cancelled = self._cancelled
            _, begin_s = executor.lead()
            self._span_s = (begin_s, begin_s + told.duration_s)
            self._motion = motion
            if not cancelled and not executor.follow(told, begin_s):
                raise InputError("the motion could not be begun in time; try again")
            if self._cancelled:
                executor.stop(self._cancelled)
        except BaseException:
            executor.release()
            raise
        return None
