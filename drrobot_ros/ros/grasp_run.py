"""One goal of the action GraspObject, from a scene to a lifted object."""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory

from drrobot_msgs.action import GraspObject
from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.timing import move_to
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import DrRobotError, InputError
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.motion import Phase, with_gripper
from drrobot_ros.grasping.planner import GraspPlan, GraspRefusedError, plan_grasp
from drrobot_ros.grasping.scene import GraspScene
from drrobot_ros.ros.arm_executor import ArmExecutor
from drrobot_ros.ros.gripper_interface import GripperInterface

Vector = NDArray[np.float64]
Result, Feedback = GraspObject.Result, GraspObject.Feedback

_HELD_M = 0.002  # a gripper that stops so far before where it was sent has something in its way
_SQUEEZE_M = 0.002  # how far a gripper that is moved by positions is told to go into an object


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended.

    Attributes:
        code: a constant of the action's result.
        message: for people.
        reason: word for what failed, see the action.
        plan: what was found; None: nothing.
        trajectories: as sent, or as they would have been.
        phases: of each.
    """

    code: int
    message: str
    reason: str = ""
    plan: GraspPlan | None = None
    trajectories: tuple[JointTrajectory, ...] = ()
    phases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class GraspTask:
    """What a run needs.

    Attributes:
        gripper: of the robot.
        scene: returns the newest scene; raises InputError where there is none to act on.
        executor: (scene, object) -> what moves the arm among them.
        hand: what moves the gripper; None: the arm's controller does.
        start: returns where the arm is, true positions [nq].
        offsets: returns encoder minus true position [nq].
        prefix: that the controller puts before the joints' names.
        config: settings of grasps.
        safety: limits of motions.
    """

    gripper: Gripper
    scene: Callable[[], GraspScene]
    executor: Callable[[GraspScene, str], ArmExecutor]
    hand: GripperInterface | None
    start: Callable[[bool], Vector]
    offsets: Callable[[], Vector]
    prefix: str
    config: GraspConfig
    safety: SafetyConfig


class _CancelledError(DrRobotError):
    """The goal was cancelled."""


class _StoppedError(DrRobotError):
    """The arm was stopped."""


class GraspRun:
    """Plans, checks and has arm and gripper move; `work` runs in a worker's thread.

    Args:
        request: the action's goal.
        task: what it needs.
        tell: called with stage, phase and percent, from any thread.
    """

    def __init__(self, request: Any, task: GraspTask, tell: Callable[[int, str, float], None]):
        self.request, self._task, self._tell = request, task, tell
        self._begun_s = time.monotonic()
        self._cancelled = ""
        self._executor: ArmExecutor | None = None
        self.outcome: Outcome | None = None
        self._plan: GraspPlan | None = None
        self._sent: list[tuple[str, JointTrajectory]] = []

    @property
    def elapsed_s(self) -> float:
        """Time since the goal was accepted."""
        return time.monotonic() - self._begun_s

    def cancel(self, reason: str) -> None:
        """Have it end soon; an arm in motion is stopped at once."""
        self._cancelled = self._cancelled or reason
        executor = self._executor
        if executor is not None:
            self._tell(Feedback.STOPPING, "stop", 0.0)
            executor.stop(self._cancelled)

    def work(self) -> None:
        """Do all of it; what comes of it is in `outcome`."""
        try:
            code, message, reason = self._work()
        except _CancelledError as error:
            code, message, reason = Result.CANCELED, str(error), ""
        except _StoppedError as error:
            code, message, reason = Result.STOPPED, str(error), "arm"
        except GraspRefusedError as error:
            code, message, reason = Result.REFUSED, str(error), error.kind
        except DrRobotError as error:
            moved = bool(self._sent) and self.request.execute
            code = Result.STOPPED if moved else Result.REFUSED
            message, reason = str(error), "arm" if moved else "scene"
        except Exception as error:  # the goal ends with it, the node does not
            moved = bool(self._sent) and self.request.execute
            code = Result.STOPPED if moved else Result.REFUSED
            message, reason = f"{type(error).__name__}: {error}", "scene"
        phases = tuple(name for name, _ in self._sent)
        trajectories = tuple(t for _, t in self._sent)
        self.outcome = Outcome(code, message, reason, self._plan, trajectories, phases)

    # -- in the worker's thread --------------------------------------------------------------------

    def _work(self) -> tuple[int, str, str]:
        task, asked = self._task, self.request
        for name, value in (("lift", asked.lift), ("force", asked.force)):
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be 0 or more, got {value}")
        config = dataclasses.replace(
            task.config,
            lift_m=asked.lift or task.config.lift_m,
            force_n=asked.force or task.config.force_n,
        )
        scene = task.scene()
        self._plan = plan = self._planned(scene, task.start(bool(asked.execute)), config)
        executor = task.executor(scene, plan.target)
        if not asked.execute:
            for phase in plan.phases:
                if phase.motion is not None:
                    self._sent.append((phase.name, executor.message(phase.motion)))
            return Result.PLANNED, f"a dry run: {plan.target!r} could be grasped", ""
        executor.check_ready()
        self._executor = executor
        self._check()
        return self._executed(plan, executor)

    def _check(self) -> None:
        if self._cancelled:
            raise _CancelledError(self._cancelled)

    def _planned(self, scene: GraspScene, q_now: Vector, config: GraspConfig) -> GraspPlan:
        def watch(stage: str, part: float) -> None:
            self._check()
            self._tell(Feedback.PLANNING, stage, 100.0 * part)

        task, wanted = self._task, self.request.object
        names = [wanted] if wanted else [o.name for o in scene.objects]
        if not names:
            raise GraspRefusedError("scene", "there is no object in the scene")
        best: GraspPlan | None = None
        refused: list[GraspRefusedError] = []
        for name in names:
            try:
                plan = plan_grasp(task.gripper, scene, name, q_now, config, task.safety, watch)
            except GraspRefusedError as error:
                refused.append(error)
                continue
            if best is None or _worth(plan) > _worth(best):
                best = plan
        if best is None:
            raise refused[0]
        return best

    def _executed(self, plan: GraspPlan, executor: ArmExecutor) -> tuple[int, str, str]:
        gap = float("nan")
        for k, phase in enumerate(plan.phases):
            self._check()
            self._tell(Feedback.EXECUTING, phase.name, 100.0 * k / len(plan.phases))
            if phase.name == "close" or (k == 0 and phase.motion is not None):
                gap = self._grip(phase, plan, executor)
            tells = self._task.hand is not None
            if phase.name == "close" and tells and gap < phase.gap_m + _HELD_M:
                return Result.MISSED, "the gripper closed on nothing", "arm"
            if phase.motion is not None:
                self._move(phase.name, phase.motion, executor)
        text = f"{plan.target!r} is lifted"
        if self._task.hand is None:
            text += "; the gripper does not tell whether it holds it"
        return Result.LIFTED, text, ""

    def _grip(self, phase: Phase, plan: GraspPlan, executor: ArmExecutor) -> float:
        """Move the gripper to the opening of a phase; return the opening it came to."""
        task = self._task
        if task.hand is not None:
            return task.hand.move(phase.gap_m, phase.force_n, lambda: bool(self._cancelled))
        gap = phase.gap_m
        if phase.force_n > 0:
            gap = max(plan.width_m - _SQUEEZE_M, task.gripper.min_gap_m)
        if not {task.prefix + name for name in task.gripper.joints} <= set(executor.names):
            raise InputError(
                "the arm's controller does not move the gripper; set gripper_interface to command"
            )
        q = executor.encoders() - task.offsets()
        limits = with_gripper(MotionLimits.of(task.gripper.model, task.safety), task.gripper)
        start = np.clip(q, limits.lower, limits.upper)
        motion = move_to(limits, start, task.gripper.set(start, gap), task.safety.rate_hz)
        self._move(f"{phase.name}, gripper", motion, executor, gripper_moves=True)
        return task.gripper.gap_of(executor.encoders() - task.offsets())

    def _move(
        self, name: str, path: Trajectory, executor: ArmExecutor, *, gripper_moves: bool = False
    ) -> None:
        """Have the arm follow a planned motion; block until it is at rest."""
        done, ended = threading.Event(), []

        def finished(reason: str) -> None:
            ended.append(reason)
            done.set()

        offsets = self._task.offsets()
        motion = executor.begin(offsets, finished)
        try:
            now_s, begin_s = executor.lead()
            here = motion.at(now_s)[0] - offsets
            told, _ = motion.along(self._from(path, here, gripper_moves), begin_s)
            _, begin_s = executor.lead()
            self._sent.append((name, executor.message(told)))
            if not self._cancelled and not executor.follow(told, begin_s):
                raise InputError("the motion could not be begun in time; try again")
        except BaseException:
            executor.release()
            raise
        if self._cancelled:
            executor.stop(self._cancelled)
        done.wait(path.duration_s + 30.0)
        if not ended:
            executor.stop("the arm did not come to rest")
            raise _StoppedError("the arm did not come to rest")
        if ended[0] and ended[0] == self._cancelled:
            raise _CancelledError(ended[0])
        if ended[0]:
            raise _StoppedError(f"the arm was stopped: {ended[0]}")

    def _from(self, path: Trajectory, here: Vector, gripper_moves: bool) -> Trajectory:
        """Return a motion in which what is not meant to move stays where it is."""
        q, v, a = path.q.copy(), path.v.copy(), path.a.copy()
        model = self._task.gripper.model
        grip = [model.joint_q_index(n) for n in self._task.gripper.joints]
        still = [k for k in range(model.nq) if (k in grip) != gripper_moves]
        q[:, still] = here[still]
        v[:, still] = a[:, still] = 0.0
        return Trajectory(path.times_s, q, v, a)


def _worth(plan: GraspPlan) -> float:
    return plan.score * (plan.trial.score if plan.trial is not None else 1.0)
