"""Has an arm do what was found safe, watches that it does, and stops it where it does not."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.following import FollowingConfig, FollowingMonitor
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError
from drrobot_ros.ros.arm_interface import ArmInterface
from drrobot_ros.ros.control_settings import ExecutionConfig
from drrobot_ros.ros.controllers import Controller
from drrobot_ros.ros.conversions import ns_to_stamp
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.smooth_clock import SmoothClock

Vector = NDArray[np.float64]

#: How often an arm in motion is looked at, s.
WATCH_S = 0.01
_GONE_S = 0.3  # DDS drops a server for a moment where others come and go; it is gone after so long
_SAME = 0.05  # an arm that is farther from where it was left was moved by somebody, rad or m


class ArmExecutor:
    """The one place from which an arm is told to move; its methods are for any thread.

    Whatever goes wrong ends in one and the same controlled deceleration: a checked trajectory that
    replaces the one under way. An executor works for one user at a time, from `begin` to its end.

    Args:
        interface: to the controller.
        controller: which one.
        joints: the arm's joint states.
        model: the robot.
        gate: checks every motion.
        clock: the node's.
        config: settings.
        following: settings of what counts as not following.
        trouble: asked again and again while the arm moves; says why it must not, or "".

    Raises:
        InputError: the controller is another robot's.
    """

    def __init__(
        self,
        *,
        interface: ArmInterface,
        controller: Controller,
        joints: JointInput,
        model: Any,
        gate: SafetyGate,
        clock: SmoothClock,
        config: ExecutionConfig,
        following: FollowingConfig,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._interface, self._joints, self._gate = interface, joints, gate
        self._clock, self._config, self._trouble = clock, config, trouble
        self.names = controller.order(list(joints.names.index))
        self._columns = [joints.names.index[name] for name in self.names]
        self._others = [i for i in range(model.nq) if i not in self._columns]
        self._neutral = np.asarray(model.neutral(), np.float64)
        self._monitor = FollowingMonitor(model.joint_names, following)
        self._lock = threading.RLock()
        self._motion: CommandedMotion | None = None
        self._lost_touch = False
        self._active, self._stopping = False, ""
        self._finished: Callable[[str], None] | None = None
        self._sent_any = self._keep_on = self._clock_jumped = False
        self._missing_since_s: float | None = None

    # -- where the arm is ------------------------------------------------------------------------

    @property
    def following_error(self) -> float:
        """How far the worst joint is from where it should be; NaN: it does not move."""
        return self._monitor.error if self._active else float("nan")

    @property
    def active(self) -> bool:
        """Whether somebody is being worked for."""
        return self._active

    @property
    def motion(self) -> CommandedMotion:
        """What the arm is told.

        Raises:
            InputError: nothing was begun.
        """
        if self._motion is None:
            raise InputError("nothing was begun")
        return self._motion

    def encoders(self) -> Vector:
        """Return where the encoders say the arm is [nq]; joints nobody reports are neutral.

        Raises:
            InputError: they do not say, or what they say is old.
        """
        now_s = self._clock.ros_s()
        q = self._joints.at(now_s)
        missing = [
            name for name, i in zip(self.names, self._columns, strict=True) if not np.isfinite(q[i])
        ]
        if missing:
            raise InputError(
                f"no joint state of {', '.join(missing)} in the last 0.2 s of this node's clock: "
                "the driver is not running, or its clock is another"
            )
        return np.where(np.isfinite(q), q, self._neutral)

    def check_ready(self) -> None:
        """Raise InputError unless an arm can be told to move."""
        if not self._interface.is_there():
            raise InputError("the controller is not there: nobody takes trajectories")
        self.encoders()
        trouble = self._trouble()
        if trouble:
            raise InputError(trouble)

    # -- telling it ------------------------------------------------------------------------------

    def begin(
        self, offsets: Vector, finished: Callable[[str], None], *, keep_on: bool = False
    ) -> CommandedMotion:
        """Begin to work for somebody.

        Args:
            offsets: encoder minus true position [nq].
            finished: called once, when the arm is at rest for good: with the reason why it was
                stopped, or "" when it did what it was told.
            keep_on: coming to rest is not the end, only `stop` is.

        Raises:
            InputError: somebody is being worked for, or it is not known where the arm is.
        """
        with self._lock:
            if self._active:
                raise InputError("the arm is still moving")
            measured = self.encoders()
            told = None if self._motion is None else self._motion.goal
            # Controllers hold what they were told last, so the next motion starts there.
            held = told is not None and np.abs((told - measured)[self._columns]).max() < _SAME
            q = told if held and told is not None else measured
            q = np.where(np.isin(np.arange(len(q)), self._columns), q, measured)
            self._motion = CommandedMotion(self._gate, q, offsets)
            self._active, self._stopping, self._finished = True, "", finished
            self._sent_any, self._keep_on, self._clock_jumped = False, keep_on, False
            self._missing_since_s = None
            self._monitor.restart(self._clock.look())
            return self._motion

    def lead(self) -> tuple[float, float]:
        """Return the time, and when a motion that is sent now begins, s."""
        now_s = self._clock.look()
        return now_s, now_s + self._config.lead_s

    def follow(self, motion: Trajectory, begin_s: float) -> bool:
        """Have the arm follow a checked motion of `motion`; return whether it does.

        It does not while it is being stopped, where what the motion branches off was replaced, or
        where it should have begun by now.
        """
        with self._lock:
            if not self._active or self._stopping or self._clock.look() > begin_s:
                return False
            try:
                self.motion.take(motion, begin_s)
            except InputError:
                return False
            self._send(motion, begin_s)
            return True

    def stop(self, reason: str) -> None:
        """Have the arm decelerate; the first reason is the one that is told."""
        self._stop(reason, send=True)

    def _stop(self, reason: str, *, send: bool) -> None:
        with self._lock:
            if not self._active or self._stopping:
                return
            now_s, begin_s = self.lead()
            motion = self.motion
            self._stopping = reason or "stopped"
            if motion.is_at_rest(now_s):
                self._end()
                return
            stop = motion.stop(begin_s)
            if self._clock.look() > begin_s:  # a busy machine: it would arrive too late
                begin_s = self._clock.look() + 2 * self._config.lead_s
                stop = motion.stop(begin_s)
            motion.take(stop, begin_s)
            if send:
                # After a jump of the clock stamps mean nothing.
                self._send(stop, begin_s, stamped=not self._clock_jumped)

    def release(self) -> None:
        """Give the arm up without having told it anything; `finished` is not called."""
        with self._lock:
            if not self._sent_any:
                self._active, self._finished = False, None

    def heard(self) -> None:
        """Take note of new joint states."""
        with self._lock:
            if self._active:
                q = self._joints.newest()
                mine = np.full_like(q, np.nan)
                mine[self._columns] = q[self._columns]
                self._monitor.heard(self._clock.look(), mine)

    def watch(self) -> None:
        """Look after the arm; to be called every `WATCH_S`."""
        with self._lock:
            now_s = self._clock.look()
            if not self._active:
                self._clock.take_jump_s()
                return
            motion = self.motion
            self._monitor.told(now_s, motion.at(now_s)[0])
            rest = motion.is_at_rest(now_s)
            if self._stopping:
                if rest:
                    self._end()
                return
            problem = self._problem(now_s)
            if problem:
                self.stop(problem)
            elif self._sent_any and rest and not self._keep_on:
                settled = now_s > motion.end_s + self._config.settle_s
                if settled:
                    self._end()

    def _problem(self, now_s: float) -> str:
        jump_s = self._clock.take_jump_s()
        if jump_s:
            self._clock_jumped = True
            return f"the clock jumped by {jump_s:+.3f} s"
        if self._interface.is_there():
            self._missing_since_s = None
        elif self._missing_since_s is None:
            self._missing_since_s = now_s
        elif now_s - self._missing_since_s > _GONE_S:
            return "the controller is gone"
        return self._monitor.problem(now_s) or self._trouble()

    def _send(self, motion: Trajectory, begin_s: float, *, stamped: bool = True) -> None:
        self._sent_any = True
        stamped = stamped and self._config.use_stamps
        wait_s = 0.0 if stamped else max(begin_s - self._clock.look(), 0.0)
        message = self.message(motion, wait_s)
        if stamped:
            message.header.stamp = ns_to_stamp(round(self._clock.to_ros_s(begin_s) * 1e9))
        self._interface.send(message, self._ended)

    def message(self, motion: Trajectory, wait_s: float = 0.0) -> JointTrajectory:
        """Return a motion, as commanded, for the controller."""
        points, columns = [], self._columns
        for time_s, q, v, a in zip(motion.times_s, motion.q, motion.v, motion.a, strict=True):
            sec, nanosec = divmod(round((time_s + wait_s) * 1e9), 1_000_000_000)
            points.append(
                JointTrajectoryPoint(
                    positions=q[columns].tolist(),
                    velocities=v[columns].tolist(),
                    accelerations=a[columns].tolist(),
                    time_from_start=Duration(sec=sec, nanosec=nanosec),
                )
            )
        return JointTrajectory(joint_names=list(self.names), points=points)

    def _ended(self, reason: str) -> None:
        if reason:
            # The controller holds the arm by itself, and not where it was to be by now: a
            # trajectory from there would be a jump.
            self._stop(reason, send=False)
            self._lost_touch = True

    def _end(self) -> None:
        finished, reason = self._finished, self._stopping
        if self._lost_touch:
            self._motion, self._lost_touch = None, False
        self._active, self._stopping, self._finished = False, "", None
        if finished is not None:
            finished(reason)
