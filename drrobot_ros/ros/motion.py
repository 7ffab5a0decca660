"""Where a simulated arm is: it sways, holds, or follows a trajectory."""

import threading

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.trajectories import State, Trajectory

Vector = NDArray[np.float64]

RAMP_S = 2.0
_STEP_S = 1e-3


class Sway:
    """A smooth motion about a start, at first slowly; each joint has a period of its own.

    Args:
        start: positions [nq].
        names: the joints that sway.
        limits: lower and upper [nq].
    """

    def __init__(self, start: Vector, names: JointNames, limits: tuple[Vector, Vector]) -> None:
        self._start, self._limits = start, limits
        self._index = list(names.index.values())

    def at(self, time_s: float, amplitude: float, period_s: float) -> Vector:
        """Return positions [nq] a time after the start."""
        lower, upper = self._limits
        ramp = np.clip(time_s / RAMP_S, 0.0, 1.0)
        ramp = ramp * ramp * (3 - 2 * ramp)
        q = self._start.copy()
        for k, i in enumerate(self._index):
            # Swaying into a limit, the joint keeps to the side that is free.
            reach = min(amplitude, 0.25 * (upper[i] - lower[i]))
            middle = np.clip(self._start[i], lower[i] + reach, upper[i] - reach)
            phase = 2 * np.pi * (1 + 0.23 * k) * time_s / period_s
            target = middle + reach * np.sin(phase)
            q[i] = self._start[i] + ramp * (target - self._start[i])
        return q


class Arm:
    """The arm's position at any time; safe to use from any thread.

    Once a trajectory has been followed the arm holds its end.

    Args:
        sway: the motion without a trajectory.
        start_s: the time from which it counts.
    """

    def __init__(self, sway: Sway, start_s: float) -> None:
        self._sway, self._start_s = sway, start_s
        self._trajectory: tuple[Trajectory, float] | None = None
        self._lock = threading.Lock()
        self.amplitude, self.period_s = 0.0, 1.0

    def at(self, time_s: float) -> Vector:
        """Return positions [nq] at a time on the node's clock, s."""
        return self.state(time_s).q

    def state(self, time_s: float) -> State:
        """Return position, velocity and acceleration at a time on the node's clock, s."""
        with self._lock:
            following = self._trajectory
        if following is not None:
            trajectory, begin_s = following
            return trajectory.state(time_s - begin_s)
        q, before, after = (self._swaying(time_s + h) for h in (0.0, -_STEP_S, _STEP_S))
        return State(q, (after - before) / (2 * _STEP_S), (after - 2 * q + before) / _STEP_S**2)

    def _swaying(self, time_s: float) -> Vector:
        return self._sway.at(max(time_s - self._start_s, 0.0), self.amplitude, self.period_s)

    def follow(self, trajectory: Trajectory, begin_s: float) -> None:
        """Follow a trajectory from a time on, instead of what was followed before."""
        with self._lock:
            self._trajectory = (trajectory, begin_s)

    def stop(self, time_s: float) -> None:
        """Hold the position of a time."""
        q = self.at(time_s)[None]
        self.follow(Trajectory(np.zeros(1), q, np.zeros_like(q), np.zeros_like(q)), time_s)
