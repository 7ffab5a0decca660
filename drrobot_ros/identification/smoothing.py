"""Derivatives of recorded positions: zero-phase low-pass filtering, then differences."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Array = NDArray[np.float64]

ORDER = 4  # of the Butterworth filter; run both ways it is twice that


def is_uniform(time_s: Array) -> bool:
    """Return whether the steps of time [T] agree within 1 %."""
    steps = np.diff(time_s)
    return bool(np.ptp(steps) <= 0.01 * np.median(steps))


def resampled(time_s: Array, values: Array, grid_s: Array) -> Array:
    """Return values [T, n] at other times, by a cubic spline; columns all NaN stay so."""
    from scipy.interpolate import CubicSpline

    return np.asarray(CubicSpline(time_s, values, axis=0)(grid_s))


def smoothed(values: Array, rate_hz: float, cutoff_hz: float) -> Array:
    """Return values [T, n] low-passed without delay (Butterworth, forwards and backwards).

    Raises:
        InputError: the cutoff is not below half the rate, or there are too few samples.
    """
    from scipy.signal import butter, sosfiltfilt

    if not 0 < cutoff_hz < rate_hz / 2:
        raise InputError(
            f"cutoff is {cutoff_hz:g} Hz; valid: above 0 and below {rate_hz / 2:g} Hz, half the "
            "rate of the recording"
        )
    pad = int(rate_hz / cutoff_hz) * 3
    if len(values) <= pad + 1:
        raise InputError(f"{len(values)} samples are too few to smooth; at least {pad + 2}")
    sections = butter(ORDER, cutoff_hz, fs=rate_hz, output="sos")
    return np.asarray(sosfiltfilt(sections, values, axis=0, padlen=pad))


def derivative(values: Array, rate_hz: float) -> Array:
    """Return the time derivative of values [T, n], by differences of fourth order inside."""
    d = np.gradient(values, 1 / rate_hz, axis=0, edge_order=2)
    d[2:-2] = (values[:-4] - 8 * values[1:-3] + 8 * values[3:-1] - values[4:]) * (rate_hz / 12)
    return d
