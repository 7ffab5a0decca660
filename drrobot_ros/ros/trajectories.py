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
class Trajectory:
    """Waypoints of all joints, the first of which is where the robot was.

    Attributes:
        times_s: [n] since the start, increasing, the first 0.
        q: [n, nq] positions.
        velocity: [n, nq], NaN where none is given.
    """

    times_s: Vector
    q: NDArray[np.float64]
    velocity: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Time of the last waypoint."""
        return float(self.times_s[-1])

    def at(self, time_s: float) -> Vector:
        """Return positions [nq]: cubic where both ends have velocities, else linear."""
        if time_s >= self.duration_s or len(self.times_s) == 1:
            return self.q[-1].copy()
        time_s = max(time_s, 0.0)
        k = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        h = self.times_s[k + 1] - self.times_s[k]
        s = (time_s - self.times_s[k]) / h
        q0, q1 = self.q[k], self.q[k + 1]
        v0, v1 = self.velocity[k] * h, self.velocity[k + 1] * h
        cubic = (
            (1 + 2 * s) * (1 - s) ** 2 * q0
            + s * (1 - s) ** 2 * v0
            + s * s * (3 - 2 * s) * q1
            + s * s * (s - 1) * v1
        )
        linear = q0 + s * (q1 - q0)
        return np.where(np.isfinite(cubic), cubic, linear)


def read_trajectory(
    message: JointTrajectory,
    names: JointNames,
    q_now: Vector,
    limits: tuple[Vector, Vector],
) -> Trajectory:
    """Return the trajectory of a message; joints it does not name stay where they are.

    Args:
        message: positions, optionally velocities.
        names: the robot's joints.
        q_now: where it is [nq].
        limits: lower and upper [nq].

    Raises:
        UnknownJointError: a joint the robot does not have.
        InputError: no points, arrays of the wrong length, values that are not finite or outside
            the limits, or times that do not increase.
    """
    joint_names = list(message.joint_names)
    order = _order(joint_names, names)
    if not message.points:
        raise InputError("the trajectory has no points")
    times, positions, velocities = [0.0], [q_now], [np.zeros_like(q_now)]
    for i, point in enumerate(message.points):
        time_s = point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
        # Only the first point may be now: the robot jumps to it, as a controller would refuse to.
        if time_s < times[-1] or (time_s == times[-1] and i > 0):
            raise InputError(f"times must increase: point {i} is at {time_s} s after {times[-1]} s")
        q, v = positions[-1].copy(), np.full_like(q_now, np.nan)
        v[[j for j in range(len(v)) if j not in order]] = 0.0
        q[order] = _values("positions", point.positions, joint_names, i)
        if len(point.velocities):
            v[order] = _values("velocities", point.velocities, joint_names, i)
        _check_limits(q, limits, names, i)
        if time_s == 0.0:
            times, positions, velocities = [], [], []
        times.append(time_s)
        positions.append(q)
        velocities.append(v)
    return Trajectory(np.array(times), np.array(positions), np.array(velocities))


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
