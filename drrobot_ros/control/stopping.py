"""Controlled decelerations: quick, within the limits, and checked before they run."""

from collections.abc import Callable, Iterator

import numpy as np

from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.timing import stop
from drrobot_ros.control.trajectory import Trajectory, Vector
from drrobot_ros.errors import InputError

_STILL = 1e-6


def is_at_rest(velocity: Vector, acceleration: Vector) -> bool:
    """Tell whether a state [nq] each is one that stays."""
    return bool(max(np.abs(velocity).max(), np.abs(acceleration).max()) < _STILL)


def rest_of(motion: Trajectory, time_s: float) -> Trajectory:
    """Return what is left of a motion from a time on, its own samples kept."""
    left = motion.times_s > time_s + 1e-6
    q, v, a = motion.at(min(max(time_s, 0.0), motion.duration_s))
    if not left.any():
        return Trajectory.still(motion.q[-1])
    return Trajectory(
        np.append(0.0, motion.times_s[left] - time_s),
        np.vstack([q, motion.q[left]]),
        np.vstack([v, motion.v[left]]),
        np.vstack([a, motion.a[left]]),
    )


def safe_stop(
    limits: MotionLimits,
    motion: Trajectory,
    time_s: float,
    rate_hz: float,
    check: Callable[[Trajectory], object],
) -> Trajectory:
    """Return the quickest checked deceleration out of a motion that was itself checked.

    Tried in this order: all joints together, which stays on a straight motion's line; each joint
    as quickly as it can; the motion's own path, run ever more slowly. Should all of these touch
    something, what is left of the motion, which ends at rest and was checked already.

    Args:
        limits: to keep.
        motion: that is being followed.
        time_s: in it, when the stop begins.
        rate_hz: samples per second.
        check: raises InputError for what must not be run.
    """
    q, v, a = motion.at(time_s)
    if is_at_rest(v, a):
        return Trajectory.still(q)
    for candidate in _candidates(limits, motion, time_s, rate_hz):
        try:
            check(candidate)
        except InputError:
            continue
        return candidate
    return rest_of(motion, time_s)


def _candidates(
    limits: MotionLimits, motion: Trajectory, time_s: float, rate_hz: float
) -> Iterator[Trajectory]:
    q, v, a = motion.at(time_s)
    for together in (True, False):
        try:
            yield stop(limits, q, v, a, rate_hz, together=together)
        except InputError:  # the state is beyond what Ruckig takes
            continue
    for share in (1.0, 0.5, 0.25):
        yield _slowed(limits, motion, time_s, rate_hz, share)


def _slowed(
    limits: MotionLimits, motion: Trajectory, time_s: float, rate_hz: float, share: float
) -> Trajectory:
    """Return the motion's own path from a time on, its clock slowing down to a halt."""
    _, v, _ = motion.at(time_s)
    fast = np.maximum(np.abs(v), 1e-3)
    clock = MotionLimits(
        ("clock",),
        np.array([-np.inf]),
        np.array([np.inf]),
        np.array([1.0]),
        np.array([share * float((limits.acceleration / fast).min())]),
        np.array([share * float((limits.jerk / fast).min())]),
    )
    halt = stop(clock, np.array([time_s]), np.ones(1), np.zeros(1), rate_hz)
    at = np.minimum(halt.q[:, 0], motion.duration_s)
    q, dq, ddq = motion.sample(at)
    rate, change = halt.v, halt.a
    return Trajectory(halt.times_s, q, dq * rate, ddq * rate**2 + dq * change)
