"""When to be where: motions within the limits of velocity, acceleration and jerk.

Point to point and stopping are Ruckig's (Berscheid and Kröger, "Jerk-limited Real-time Trajectory
Generation with Arbitrary Target States", 2021). A path through many points keeps its own shape and
relative timing and is slowed down as a whole until it keeps the limits.
"""

import itertools
from typing import Any

import numpy as np

from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.trajectory import Matrix, Trajectory, Vector
from drrobot_ros.errors import InputError

_SPARE = 1.002  # the fastest moment between two looked at


def move_to(
    limits: MotionLimits,
    start: Vector,
    goal: Vector,
    rate_hz: float,
    velocity: Vector | None = None,
    acceleration: Vector | None = None,
) -> Trajectory:
    """Return the quickest motion to rest at a goal; from rest it is straight in joint space.

    Args:
        limits: to keep.
        start: positions now [nq].
        goal: positions wanted [nq].
        rate_hz: samples per second.
        velocity: now [nq]; None: at rest.
        acceleration: now [nq]; None: none.

    Raises:
        InputError: a position of wrong size or out of range, or a motion that cannot be stopped in
            time.
    """
    import ruckig

    limits.check_position(start, "start")
    limits.check_position(goal, "goal")
    inp = _input(limits, start, velocity, acceleration)
    inp.target_position = list(map(float, goal))
    inp.target_velocity = inp.target_acceleration = [0.0] * len(goal)
    inp.synchronization = ruckig.Synchronization.Phase
    return _solved(inp, rate_hz)


def stop(
    limits: MotionLimits,
    position: Vector,
    velocity: Vector,
    acceleration: Vector,
    rate_hz: float,
    *,
    together: bool = False,
) -> Trajectory:
    """Return the quickest motion to rest, wherever that is, from a state in motion [nq] each.

    Args:
        limits: to keep.
        position: now.
        velocity: now.
        acceleration: now.
        rate_hz: samples per second.
        together: joints that move along a straight line stay on it.
    """
    import ruckig

    inp = _input(limits, position, velocity, acceleration)
    inp.control_interface = ruckig.ControlInterface.Velocity
    inp.target_velocity = inp.target_acceleration = [0.0] * len(position)
    every = ruckig.Synchronization
    inp.synchronization = every.Phase if together else every.No
    return _solved(inp, rate_hz)


def _input(
    limits: MotionLimits, q: Vector, velocity: Vector | None, acceleration: Vector | None
) -> Any:
    import ruckig

    n = len(limits.joint_names)
    inp = ruckig.InputParameter(n)
    zero = np.zeros(n)
    inp.current_position = list(map(float, q))
    inp.current_velocity = list(map(float, zero if velocity is None else velocity))
    inp.current_acceleration = list(map(float, zero if acceleration is None else acceleration))
    inp.max_velocity = limits.velocity.tolist()
    inp.max_acceleration = limits.acceleration.tolist()
    inp.max_jerk = limits.jerk.tolist()
    return inp


def _solved(inp: Any, rate_hz: float) -> Trajectory:
    import ruckig

    found = ruckig.Trajectory(inp.degrees_of_freedom)
    try:
        result = ruckig.Ruckig(inp.degrees_of_freedom).calculate(inp, found)
    except ruckig.RuckigError as error:
        raise InputError(f"no motion within the limits: {error}") from error
    if result not in (ruckig.Result.Working, ruckig.Result.Finished):
        raise InputError(f"no motion within the limits: {result}")
    n = max(int(np.ceil(found.duration * rate_hz)), 1) + 1
    # The last interval is as long as the others, so that no sample falls between two of a rate.
    times = np.arange(n) / rate_hz
    states = [found.at_time(min(t, found.duration)) for t in times]
    q, v, a = (np.array([s[k] for s in states]) for k in range(3))
    return Trajectory(times, q, v, a)


def follow_path(
    limits: MotionLimits, points: Matrix, times_s: Vector, rate_hz: float
) -> Trajectory:
    """Return a smooth motion through points, no faster than given and within the limits.

    Args:
        limits: to keep; positions are not checked here (a smooth curve may leave its points'
            range), see `safety`.
        points: [n, nq], at least two; the motion starts and ends at rest.
        times_s: [n] when to be there at the earliest, increasing.
        rate_hz: samples per second.

    Raises:
        InputError: sizes that do not fit, values that are not finite, times that do not increase.
    """
    from scipy.interpolate import make_interp_spline

    points, times_s = np.asarray(points, np.float64), np.asarray(times_s, np.float64)
    width = len(limits.joint_names)
    if points.ndim != 2 or points.shape[1] != width or len(points) < 2:
        raise InputError(f"points must be [n, {width}] with n > 1, got {list(points.shape)}")
    if times_s.shape != (len(points),) or not (np.diff(times_s) > 0).all():
        raise InputError(f"times must be {len(points)} increasing numbers, got {times_s}")
    if not (np.isfinite(points).all() and np.isfinite(times_s).all()):
        raise InputError("points and times must be finite")
    at_rest = [(1, np.zeros(width)), (2, np.zeros(width))]
    curve = make_interp_spline(times_s - times_s[0], points, k=5, bc_type=(at_rest, at_rest))
    end = float(times_s[-1] - times_s[0])
    spans = itertools.pairwise(np.unique(curve.t))
    look = np.unique(np.concatenate([np.linspace(a, b, 21) for a, b in spans]))
    slower = 1.0
    every = (limits.velocity, limits.acceleration, limits.jerk)
    for order, limit in enumerate(every, start=1):
        fastest = np.abs(curve(look, order)).max(0) / limit
        slower = max(slower, _SPARE * float(fastest.max()) ** (1 / order))
    n = max(int(np.ceil(end * slower * rate_hz)), 1) + 1
    times = np.arange(n) / rate_hz
    s = np.minimum(times / slower, end)
    return Trajectory(times, *(curve(s, k) / slower**k for k in range(3)))
