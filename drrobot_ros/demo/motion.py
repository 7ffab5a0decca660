"""A smooth motion for an arm to follow as a joint trajectory."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

#: From rest to full swing, and back, s.
RAMP_S = 1.5
_STEP_S = 0.1


@dataclasses.dataclass(frozen=True)
class Waypoints:
    """A joint trajectory: times [n] s after its start, positions [n, J], velocities [n, J]."""

    times_s: Vector
    positions: Vector
    velocities: Vector


def swinging(
    start: Any,
    lower: Any,
    upper: Any,
    *,
    duration_s: float,
    amplitude_rad: Any = 0.35,
    period_s: float = 8.0,
) -> Waypoints:
    """Return a motion in which every joint swings about its start; it begins and ends at rest.

    Args:
        start: positions [J].
        lower: limits [J]; joints swing at most a quarter of their range.
        upper: limits [J].
        duration_s: of the whole motion.
        amplitude_rad: of the swing, a number or one per joint [J].
        period_s: of the slowest joint; others are up to twice as fast.
    """
    start = np.asarray(start, np.float64)
    low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    reach = np.minimum(np.broadcast_to(amplitude_rad, start.shape), 0.25 * (high - low))
    middle = np.clip(start, low + reach, high - reach)
    factor = 1 + np.mod(0.38 * np.arange(len(start)), 1.0)

    def position(t: Vector) -> Vector:
        ramp = _smooth(t / RAMP_S) * _smooth((duration_s - t) / RAMP_S)
        swing = middle + reach * np.sin(2 * np.pi * factor * t[:, None] / period_s)
        return start + ramp[:, None] * (swing - start)

    times = np.linspace(0, duration_s, max(2, round(duration_s / _STEP_S) + 1))
    h = 1e-5
    inside = np.clip(times, h, duration_s - h)
    velocities = (position(inside + h) - position(inside - h)) / (2 * h)
    velocities[[0, -1]] = 0
    return Waypoints(times, position(times), velocities)


def _smooth(x: Vector) -> Vector:
    x = np.clip(x, 0, 1)
    return x * x * x * (10 - 15 * x + 6 * x * x)
