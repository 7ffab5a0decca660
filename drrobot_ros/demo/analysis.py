"""How well an estimator did in a recorded session."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.demo.recording import Recording
from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]
Span = tuple[float, float]

#: Errors below this count as converged.
CONVERGED_DEG = 1.5
#: So many estimates in a row have to be that good.
STEADY = 3


@dataclasses.dataclass(frozen=True)
class Statistic:
    """Median and 90th percentile of something, NaN of nothing."""

    median: float
    p90: float

    @classmethod
    def of(cls, values: Vector) -> "Statistic":
        """Return the statistic of values [n]."""
        if len(values) == 0:
            return cls(float("nan"), float("nan"))
        return cls(float(np.median(values)), float(np.quantile(values, 0.9)))


@dataclasses.dataclass(frozen=True)
class Tracking:
    """How an estimator followed during a span of time.

    Attributes:
        duration_s: of the span.
        joint_error_deg: absolute error per joint.
        camera_error_mm: distance of the camera from its true place.
        camera_error_deg: angle of the camera to its true orientation.
        rate_hz: estimates published a second.
        camera_rate_hz: images published a second.
        latency_s: image stamp to the estimate's arrival at a subscriber.
        solve_time_s: time the solver took.
        estimates: published.
        received: images that the estimator received.
        dropped: of these, replaced by a newer one before the solver was free.
        rejected: of these, not usable.
    """

    duration_s: float
    joint_error_deg: dict[str, Statistic]
    camera_error_mm: Statistic
    camera_error_deg: Statistic
    rate_hz: float
    camera_rate_hz: float
    latency_s: Statistic
    solve_time_s: Statistic
    estimates: int
    received: int
    dropped: int
    rejected: int


def joint_errors(recording: Recording) -> Vector:
    """Return the absolute error of each estimate whose truth is known, NaN otherwise [E, J]."""
    if len(recording.truth) == 0:
        return np.full(recording.estimate.shape, np.nan)
    row = np.searchsorted(recording.truth_stamp, recording.estimate_stamp - 1e-6)
    row = np.minimum(row, len(recording.truth) - 1)
    errors = np.abs(recording.estimate - recording.truth[row])
    known = np.abs(recording.truth_stamp[row] - recording.estimate_stamp) < 1e-6
    errors[~known] = np.nan
    return errors


def tracking(recording: Recording, span: Span) -> Tracking:
    """Return how the estimator did on the images of a span of time.

    Raises:
        InputError: nothing was estimated in it.
    """
    start, end = span
    inside = _within(recording.estimate_stamp, span)
    if not inside.any():
        raise InputError(f"no estimate in the {end - start:.1f} s looked at")
    errors = np.rad2deg(joint_errors(recording)[inside])
    errors = errors[~np.isnan(errors).any(axis=1)]
    cameras = recording.camera[_within(recording.camera_stamp, span)]
    difference = np.linalg.inv(recording.true_camera) @ cameras
    status = _within(recording.status_stamp, span)
    # A status comes with every image looked at, so counting starts with the one before the span.
    before = np.flatnonzero(recording.status_stamp < start)
    last = recording.counts[status][-1] if status.any() else np.zeros(3, np.int64)
    counts = last - (recording.counts[before[-1]] if len(before) else 0)
    latency = recording.estimate_received[inside] - recording.estimate_stamp[inside]
    return Tracking(
        duration_s=end - start,
        joint_error_deg={
            name: Statistic.of(errors[:, j]) for j, name in enumerate(recording.joint_names)
        },
        camera_error_mm=Statistic.of(1e3 * np.linalg.norm(difference[:, :3, 3], axis=1)),
        camera_error_deg=Statistic.of(_angles_deg(difference[:, :3, :3])),
        rate_hz=int(inside.sum()) / (end - start),
        camera_rate_hz=int(_within(recording.truth_stamp, span).sum()) / (end - start),
        latency_s=Statistic.of(latency),
        solve_time_s=Statistic.of(recording.solve_time[status]),
        estimates=int(inside.sum()),
        received=int(counts[0]),
        dropped=int(counts[1]),
        rejected=int(counts[2]),
    )


def convergence_s(
    recording: Recording, since_s: float, joints: Sequence[int], until_s: float = np.inf
) -> float | None:
    """Return how long it took until all joints were within CONVERGED_DEG in STEADY estimates.

    Args:
        recording: of the session.
        since_s: from when to count; only estimates of images taken from then on are looked at.
        joints: columns of positions that have to be right.
        until_s: images from then on do not count.

    Returns:
        Time until the first of the good estimates in a row arrived at a subscriber, s; None if
        there are no such.
    """
    inside = _within(recording.estimate_stamp, (since_s, until_s))
    errors = np.rad2deg(joint_errors(recording)[inside][:, list(joints)])
    good = np.all(errors <= CONVERGED_DEG, axis=1)
    in_a_row = np.convolve(good, np.ones(STEADY, int), "valid") if len(good) >= STEADY else []
    steady = np.flatnonzero(np.asarray(in_a_row) == STEADY)
    if len(steady) == 0:
        return None
    return float(recording.estimate_received[inside][steady[0]] - since_s)


def _within(stamps: Vector, span: Span) -> NDArray[np.bool_]:
    return (stamps >= span[0]) & (stamps < span[1])


def _angles_deg(R: Vector) -> Vector:
    # Exact for small angles too, where the arc cosine of the trace is not.
    sine = np.linalg.norm(R - np.swapaxes(R, 1, 2), axis=(1, 2)) / np.sqrt(8)
    cosine = (np.trace(R, axis1=1, axis2=2) - 1) / 2
    return np.rad2deg(np.arctan2(sine, cosine))
