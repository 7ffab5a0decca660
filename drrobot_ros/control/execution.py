"""What an arm is told over time: checked motions, each branching off the one before it."""

import threading

import numpy as np

from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.safety import SafetyGate, SafetyReport, UnsafeMotionError
from drrobot_ros.control.stopping import is_at_rest, rest_of, safe_stop
from drrobot_ros.control.timing import move_to
from drrobot_ros.control.trajectory import Trajectory, Vector
from drrobot_ros.errors import InputError

#: Motions that are remembered: several may branch off before the first of them begins.
_KEPT = 8
_JOINED = 1e-6  # rad or m, and per s


class CommandedMotion:
    """The motion that a controller is following, in its own numbers; for any thread.

    A controller goes by the joints' encoders, which may be wrong: what is commanded is where the
    arm is to be, plus `offsets`. Distances are checked where the arm is to be, the limits of
    position there and as commanded. Nothing is taken over that was not checked, and whatever is
    taken over ends at rest: an arm that hears nothing more is safe.

    Args:
        gate: checks every motion.
        q: as commanded, where the arm stands still [nq].
        offsets: encoder minus true position [nq]; None: zero.
    """

    def __init__(self, gate: SafetyGate, q: Vector, offsets: Vector | None = None) -> None:
        self.gate = gate
        q = np.asarray(q, np.float64)
        self._offsets = np.zeros_like(q) if offsets is None else np.asarray(offsets, np.float64)
        self._lock = threading.RLock()
        #: The last motions, the newest last: [(when it begins, motion)].
        self._parts: list[tuple[float, Trajectory]] = [(-np.inf, Trajectory.still(q))]

    @property
    def limits(self) -> MotionLimits:
        """The limits that are kept."""
        return self.gate.limits

    @property
    def offsets(self) -> Vector:
        """Encoder minus true position [nq]."""
        return self._offsets

    @offsets.setter
    def offsets(self, offsets: Vector) -> None:
        with self._lock:
            self._offsets = np.array(offsets, np.float64)

    @property
    def end_s(self) -> float:
        """When the newest motion is over; -inf where there was none."""
        with self._lock:
            begin_s, motion = self._parts[-1]
            return begin_s + motion.duration_s

    @property
    def goal(self) -> Vector:
        """Where the newest motion ends, as commanded [nq]."""
        with self._lock:
            return self._parts[-1][1].q[-1]

    def at(self, time_s: float) -> tuple[Vector, Vector, Vector]:
        """Return position, velocity and acceleration [nq] as commanded at a time."""
        begin_s, motion = self._part(time_s)
        if not np.isfinite(begin_s):
            return motion.at(0.0)
        return motion.at(time_s - begin_s)

    def is_at_rest(self, time_s: float) -> bool:
        """Tell whether the arm is to stand still from a time on."""
        with self._lock:
            q, v, a = self.at(time_s)
            here = np.abs(q - self.goal).max() < 1e-9
            return time_s >= self.end_s or bool(is_at_rest(v, a) and here)

    def to(self, goal: Vector, begin_s: float) -> Trajectory:
        """Return a checked motion from where the arm is to be at a time, to rest at a goal.

        Args:
            goal: where the arm is to be, true positions [nq].
            begin_s: when it branches off.

        Raises:
            UnsafeMotionError: it would break a limit or touch something.
            InputError: the goal is of wrong size, not finite or out of range.
        """
        self.limits.check_position(goal, "goal")
        q, v, a = self.at(begin_s)
        told = np.asarray(goal, np.float64) + self._offsets
        self._check_commanded(Trajectory.still(told))
        motion = move_to(self.limits, q, told, self.gate.config.rate_hz, v, a)
        self.check(motion)
        return motion

    def along(self, path: Trajectory, begin_s: float) -> tuple[Trajectory, SafetyReport]:
        """Return a motion of true positions as it is commanded, checked.

        Raises:
            UnsafeMotionError: it breaks a limit, touches something, or does not begin where the
                arm stands still.
        """
        q, v, a = self.at(begin_s)
        if not is_at_rest(v, a):
            raise UnsafeMotionError("start", 0.0, 0, "the arm is still moving")
        report = self.gate.check(path, q - self._offsets)
        # From exactly where it is: a controller would jump over the rest of the difference.
        shift = q - path.q[0]
        motion = Trajectory(path.times_s, path.q + shift, path.v, path.a)
        self._check_commanded(motion)
        return motion, report

    def check(self, motion: Trajectory) -> SafetyReport:
        """Raise UnsafeMotionError unless a motion, as commanded, may be run."""
        report = self.gate.check(
            Trajectory(motion.times_s, motion.q - self._offsets, motion.v, motion.a)
        )
        self._check_commanded(motion)
        return report

    def stop(self, begin_s: float) -> Trajectory:
        """Return a checked deceleration that branches off at a time."""
        part_s, motion = self._part(begin_s)
        if not np.isfinite(part_s):
            return Trajectory.still(motion.q[0])
        inside_s = min(max(begin_s - part_s, 0.0), motion.duration_s)
        return safe_stop(self.limits, motion, inside_s, self.gate.config.rate_hz, self.check)

    def take(self, motion: Trajectory, begin_s: float) -> None:
        """Follow a checked motion from a time on.

        Raises:
            InputError: it branches off a motion that was itself replaced meanwhile.
        """
        with self._lock:
            q, v, _ = self.at(begin_s)
            gap = max(np.abs(motion.q[0] - q).max(), np.abs(motion.v[0] - v).max())
            if gap > _JOINED:
                raise InputError(f"the motion under way was replaced meanwhile, by {gap:.4f}")
            kept = [part for part in self._parts if part[0] < begin_s]
            if not kept:  # nothing has begun: replaced before it did
                kept = [(-np.inf, Trajectory.still(self._parts[0][1].q[0]))]
            self._parts = [*kept[-_KEPT:], (begin_s, motion)]

    def rest(self, time_s: float) -> Trajectory:
        """Return what is still to come from a time on."""
        part_s, motion = self._part(time_s)
        return rest_of(motion, max(time_s - part_s, 0.0) if np.isfinite(part_s) else 0.0)

    def _part(self, time_s: float) -> tuple[float, Trajectory]:
        with self._lock:
            started = [part for part in self._parts if part[0] <= time_s]
            return started[-1] if started else self._parts[0]

    def _check_commanded(self, motion: Trajectory) -> None:
        limits = self.limits
        over = np.maximum(motion.q - limits.upper, limits.lower - motion.q)
        row, k = np.unravel_index(int(over.argmax()), over.shape)
        if over[row, k] > 1e-6:
            raise UnsafeMotionError(
                "position",
                float(motion.times_s[row]),
                int(row),
                f"joint {limits.joint_names[k]!r} would be commanded to {motion.q[row, k]:.4f}, "
                f"its encoder being {self._offsets[k]:+.4f} off; valid: "
                f"{limits.lower[k]:.4f} to {limits.upper[k]:.4f}",
            )
