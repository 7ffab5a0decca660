"""JointTrajectory messages as motions to follow."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.ros.joints import JointNames

Vector = NDArray[np.float64]


class UnknownJointError(InputError):
    """A trajectory that names a joint the robot does not have."""


@dataclasses.dataclass(frozen=True)
class State:
    """What the arm's reference is at one moment: position, velocity, acceleration [nq]."""

    q: Vector
    velocity: Vector
    acceleration: Vector

    @classmethod
    def at_rest(cls, q: Vector) -> "State":
        """Return the state of standing still at q [nq]."""
        return cls(q.copy(), np.zeros_like(q), np.zeros_like(q))


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Waypoints of all joints, the first of which is where the robot was.

    Attributes:
        times_s: [n] since the start, increasing, the first 0.
        q: [n, nq] positions.
        velocity: [n, nq], NaN where none is given.
        acceleration: [n, nq], NaN where none is given.
    """

    times_s: Vector
    q: NDArray[np.float64]
    velocity: NDArray[np.float64]
    acceleration: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Time of the last waypoint."""
        return float(self.times_s[-1])

    def at(self, time_s: float) -> Vector:
        """Return positions [nq]; see :meth:`state`."""
        return self.state(time_s).q

    def state(self, time_s: float) -> State:
        """Return what controllers make of it.

        Quintic where both ends of an interval have velocities and accelerations, cubic where they
        have velocities, else linear.
        """
        if time_s >= self.duration_s or len(self.times_s) == 1:
            return State.at_rest(self.q[-1])
        time_s = max(time_s, 0.0)
        k = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        h = self.times_s[k + 1] - self.times_s[k]
        s = time_s - self.times_s[k]
        ends = slice(k, k + 2)
        q, v, a = self.q[ends], self.velocity[ends], self.acceleration[ends]
        d = q[1] - q[0]
        zero = np.zeros_like(d)
        linear = np.stack([q[0], d / h, zero, zero, zero, zero])
        low = (3 * d / h - 2 * v[0] - v[1]) / h
        cubic = np.stack([q[0], v[0], low, (v[0] + v[1] - 2 * d / h) / h**2, zero, zero])
        e, dv, da = d - h * v[0] - 0.5 * h * h * a[0], v[1] - v[0] - h * a[0], a[1] - a[0]
        quintic = np.stack(
            [
                q[0],
                v[0],
                a[0] / 2,
                (10 * e - 4 * h * dv + 0.5 * h * h * da) / h**3,
                (-15 * e + 7 * h * dv - h * h * da) / h**4,
                (6 * e - 3 * h * dv + 0.5 * h * h * da) / h**5,
            ]
        )
        c = np.where(np.isfinite(cubic).all(0), cubic, linear)
        c = np.where(np.isfinite(quintic).all(0), quintic, c)
        n = np.arange(6)
        power = s ** np.maximum(n - np.array([[0], [1], [2]]), 0)
        factors = np.stack([np.ones(6), n, n * (n - 1)]) * power
        return State(*(factors @ c))


def read_trajectory(
    message: JointTrajectory,
    names: JointNames,
    now: State,
    limits: tuple[Vector, Vector],
    wait_s: float = 0.0,
) -> Trajectory:
    """Return the trajectory of a message; joints it does not name stay where they are.

    Args:
        message: positions, optionally velocities and accelerations.
        names: the robot's joints.
        now: where the arm is, and how it moves.
        limits: lower and upper [nq].
        wait_s: from now to the message's start; the trajectory begins now.

    Raises:
        UnknownJointError: a joint the robot does not have.
        InputError: no points, arrays of the wrong length, values that are not finite or outside
            the limits, or times that do not increase.
    """
    joint_names = list(message.joint_names)
    order = _order(joint_names, names)
    if not message.points:
        raise InputError("the trajectory has no points")
    others = [j for j in range(names.nq) if j not in order]
    times, states = [0.0], [now]
    for i, point in enumerate(message.points):
        time_s = wait_s + point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
        # Only the first point may be now: the robot jumps to it, as a controller would refuse to.
        if time_s < times[-1] or (time_s == times[-1] and i > 0):
            raise InputError(f"times must increase: point {i} is at {time_s} s after {times[-1]} s")
        q = states[-1].q.copy()
        q[order] = _values("positions", point.positions, joint_names, i)
        rates = []
        for what in ("velocities", "accelerations"):
            rate, given = np.full_like(q, np.nan), getattr(point, what)
            rate[others] = 0.0
            if len(given):
                rate[order] = _values(what, given, joint_names, i)
            rates.append(rate)
        _check_limits(q, limits, names, i)
        if time_s == 0.0:
            times, states = [], []
        times.append(time_s)
        states.append(State(q, *rates))
    stacked = (np.array([getattr(s, f.name) for s in states]) for f in dataclasses.fields(State))
    return Trajectory(np.array(times), *stacked)


def _order(joint_names: Sequence[str], names: JointNames) -> list[int]:
    if not joint_names:
        raise InputError("the trajectory names no joints")
    order = []
    for name in joint_names:
        if name not in names.index:
            raise UnknownJointError(str(unknown_name("joint", name, names.index)))
        order.append(names.index[name])
    if len(set(order)) != len(order):
        raise InputError(f"a joint is named twice: {', '.join(joint_names)}")
    return order


def _values(what: str, values: Sequence[float], joint_names: Sequence[str], i: int) -> Vector:
    array = np.asarray(values, np.float64)
    if array.shape != (len(joint_names),):
        raise InputError(f"point {i} has {len(array)} {what} for {len(joint_names)} joints")
    if not np.isfinite(array).all():
        raise InputError(f"point {i}: {what} are not finite: {array.tolist()}")
    return array


def _check_limits(q: Vector, limits: tuple[Vector, Vector], names: JointNames, i: int) -> None:
    lower, upper = limits
    for name, k in names.index.items():
        if not lower[k] - 1e-6 <= q[k] <= upper[k] + 1e-6:
            raise InputError(
                f"point {i}: joint {name!r} at {q[k]:.4f}; valid: {lower[k]:.4f} to {upper[k]:.4f}"
            )
