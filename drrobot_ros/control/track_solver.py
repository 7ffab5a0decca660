"""A whole motion from tracks: Gauss-Newton over all time steps at once.

With correspondence the robot's points are pulled to their tracks. Without, each pulls the nearest
of the other set, both ways: the nearest are looked up anew at every step, so that the sum that
falls is the Chamfer distance (Dr. Robot, equation 10). Accelerations are held down, joints stay
within their limits, and what no track moves stays at the start.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.optimizers import StopReason
from drrobot_ros.control.points.robot_points import RobotPoints
from drrobot_ros.control.points.track_set import known
from drrobot_ros.robot import RobotModel

Matrix = NDArray[np.float64]

_CONVERGED_RAD = 1e-4
_CONVERGED_SHARE = 1e-5  # of the cost, by which a step must lower it
_STEP_RAD = 0.3  # longest step of a joint

#: Told of (step, cost, motion [T,nq]); returns False to stop.
Told = Callable[[int, float, Matrix], bool]


@dataclasses.dataclass(frozen=True)
class TrackWeights:
    """What a motion is to be like besides following its tracks.

    Attributes:
        smoothness: weight of squared accelerations, per (rad/s^2)^2.
        stay_near: weight of squared distance from the start, per rad^2.
        robust_px: tracks farther than this pull with constant force, or less and less.
        forgetting: they pull less and less: they have slipped, or are another's.
    """

    smoothness: float = 1e-4
    stay_near: float = 1e-3
    robust_px: float = 4.0
    forgetting: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class TrackProblem:
    """Tracks to follow.

    Attributes:
        model: the robot.
        points: its points [P].
        tracks: [T,K,2] px, NaN where not seen.
        view: the camera.
        times_s: [T].
        limits: position limits.
        free: which joints may move [nq].
        bound: point k is to be where track k is (then P = K).
        visible: which points count [T,P]; None: all.
        first_held: the first time step stays as given.
        weights: of what else is wanted.
    """

    model: RobotModel
    points: RobotPoints
    tracks: Matrix
    view: Viewpoint
    times_s: NDArray[np.float64]
    limits: MotionLimits
    free: NDArray[np.bool_]
    bound: bool
    visible: NDArray[np.bool_] | None = None
    first_held: bool = False
    weights: TrackWeights = dataclasses.field(default_factory=TrackWeights)

    def part(self, steps: slice) -> "TrackProblem":
        """Return the problem of some time steps."""
        return dataclasses.replace(
            self,
            tracks=self.tracks[steps],
            times_s=self.times_s[steps],
            visible=None if self.visible is None else self.visible[steps],
            first_held=False,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class TrackSolution:
    """A motion found: [T,nq], its cost and data cost, and how it was found."""

    q: Matrix
    cost: float
    data_cost: float
    steps: int
    stop_reason: StopReason
    curve: tuple[tuple[int, float], ...]


def solve_tracks(
    problem: TrackProblem,
    start: Matrix,
    iterations: int = 40,
    deadline_s: float | None = None,
    told: Told | None = None,
    anchor: NDArray[np.float64] | None = None,
) -> TrackSolution:
    """Return the motion of least cost near a start, by Levenberg-Marquardt.

    Args:
        problem: what to follow.
        start: [T,nq].
        iterations: most steps.
        deadline_s: value of ``time.perf_counter()`` after which no step starts.
        told: of progress; returns False to stop.
        anchor: where joints stay that no track moves [nq] or [T,nq]; None: the start.
    """
    at = np.where(problem.free, np.clip(start, problem.limits.lower, problem.limits.upper), start)
    anchor = start.copy() if anchor is None else np.broadcast_to(anchor, start.shape)
    smooth = _smoothness(problem.times_s, problem.weights.smoothness)
    cost, data, H, g = _evaluate(problem, at, anchor, smooth)
    damping, reason, steps = 1e-3, StopReason.ITERATIONS, 0
    curve = [(0, cost)]
    while steps < iterations:
        if deadline_s is not None and time.perf_counter() > deadline_s:
            reason = StopReason.BUDGET
            break
        if told is not None and not told(steps, cost, at):
            reason = StopReason.CANCELED
            break
        steps += 1
        step = _step(problem, at, H, g, smooth, damping)
        moved = np.clip(at + step, *_bounds(problem, at))
        longest = float(np.abs(moved - at).max(initial=0.0))
        if longest < _CONVERGED_RAD:
            reason = StopReason.CONVERGED
            break
        trial = _evaluate(problem, moved, anchor, smooth)
        if trial[0] < cost:
            at = moved
            small = cost - trial[0] < _CONVERGED_SHARE * cost
            cost, data, H, g = trial
            damping = max(damping * 0.3, 1e-8)
            curve.append((steps, cost))
            if small:
                reason = StopReason.CONVERGED
                break
        else:
            damping = max(damping * 8, 1e-4)
            if damping > 1e6:
                reason = StopReason.CONVERGED
                break
    return TrackSolution(at, cost, data, steps, reason, tuple(curve))


def _bounds(problem: TrackProblem, at: Matrix) -> tuple[Matrix, Matrix]:
    low = np.where(problem.free, problem.limits.lower, at)
    return low, np.where(problem.free, problem.limits.upper, at)


def _smoothness(times_s: NDArray[np.float64], weight: float) -> Matrix:
    """Return D [T,T] with weight * sum of squared accelerations = q^T D q, per joint."""
    n = len(times_s)
    A = np.zeros((max(n - 2, 0), n))
    for i in range(n - 2):
        a, b = times_s[i + 1] - times_s[i], times_s[i + 2] - times_s[i + 1]
        A[i, i : i + 3] = np.array([1 / a, -(1 / a + 1 / b), 1 / b]) * 2 / (a + b)
    return weight * A.T @ A


def _evaluate(
    problem: TrackProblem, q: Matrix, anchor: Matrix, smooth: Matrix
) -> tuple[float, float, Matrix, Matrix]:
    """Return cost, data cost, the blocks of the data's normal matrix [T,n,n], gradient [T,n]."""
    pixels, _, J = problem.points.project(problem.model, q, problem.view, jacobian=True)
    assert J is not None
    residual, weight, owner = _pairs(problem, pixels)
    length = np.linalg.norm(residual, axis=-1)
    limit = problem.weights.robust_px
    if problem.weights.forgetting:  # Cauchy's loss
        off = 1 + (length / limit) ** 2
        loss, pull = limit**2 * np.log(off), weight / off
    else:  # Huber's
        far = length > limit
        loss = np.where(far, 2 * limit * length - limit**2, length**2)
        pull = weight * np.where(far, limit / np.maximum(length, 1e-9), 1.0)
    data = float((weight * loss).sum())
    rows = np.take_along_axis(J, owner[..., None, None], 1)
    n = q.shape[1]
    # As one product per time step: rows [2K,n] weighed by the square root of their pull.
    rows = (np.sqrt(pull)[..., None, None] * rows).reshape(len(q), -1, n)
    pulled = (np.sqrt(pull)[..., None] * residual).reshape(len(q), -1, 1)
    H = np.swapaxes(rows, 1, 2) @ rows
    g = (np.swapaxes(rows, 1, 2) @ pulled)[..., 0]
    stay = problem.weights.stay_near
    away = q - anchor
    cost = data + stay * float((away**2).sum()) + float((q * (smooth @ q)).sum())
    H = H + stay * np.eye(n)
    return cost, data, H, g + stay * away + smooth @ q


def _pairs(problem: TrackProblem, pixels: Matrix) -> tuple[Matrix, Matrix, NDArray[np.int64]]:
    """Return residuals [T,M,2] of pairs, their weights [T,M] and the robot's points in them.

    The weights of a time step's pairs add up to 1 (of either direction, without correspondence).
    """
    tracks = problem.tracks
    steps, count = pixels.shape[:2]
    seen = known(tracks)
    own = np.ones((steps, count), bool) if problem.visible is None else problem.visible
    if problem.bound:
        valid = seen & own
        residual = np.where(valid[..., None], pixels - np.where(seen[..., None], tracks, 0), 0.0)
        owner = np.broadcast_to(np.arange(count), valid.shape)
        return residual, _shares(valid), owner
    filled = np.where(seen[..., None], tracks, 0.0)
    to_track = _nearest(pixels, filled, seen)
    to_point = _nearest(filled, pixels, own)
    both = (own.sum(1) > 0)[:, None] & (seen.sum(1) > 0)[:, None]
    valid = np.concatenate([_shares(own & both), _shares(seen & both)], 1)
    every = np.broadcast_to(np.arange(count), to_track.shape)
    owner = np.concatenate([every, to_point], 1)
    target = np.concatenate([np.take_along_axis(filled, to_track[..., None], 1), filled], 1)
    here = np.take_along_axis(pixels, owner[..., None], 1)
    return np.where((valid > 0)[..., None], here - target, 0.0), valid, owner


def _nearest(points: Matrix, others: Matrix, valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the nearest valid of others [T,K,2] of each point [T,P,2], as its index [T,P]."""
    from scipy.spatial import KDTree

    nearest = np.zeros(points.shape[:2], np.int64)
    for t in range(len(points)):
        rows = np.flatnonzero(valid[t])
        if len(rows):
            nearest[t] = rows[KDTree(others[t, rows]).query(points[t])[1]]
    return nearest


def _shares(valid: NDArray[np.bool_]) -> Matrix:
    return valid / np.maximum(valid.sum(1, keepdims=True), 1)


def _step(
    problem: TrackProblem, at: Matrix, H: Matrix, g: Matrix, smooth: Matrix, damping: float
) -> Matrix:
    """Return the step [T,n] of the damped normal equations, solved as a band."""
    from scipy.linalg import solveh_banded

    steps, n = at.shape
    low, high = _bounds(problem, at)
    held = np.broadcast_to(~problem.free, at.shape).copy()
    held |= ((at <= low + 1e-9) & (g > 0)) | ((at >= high - 1e-9) & (g < 0))
    if problem.first_held:
        held[0] = True
    band = np.zeros((max(2 * n, n - 1) + 1, steps, n))
    for i in range(n):
        for j in range(i + 1):
            band[i - j, :, j] += np.where(held[:, i] | held[:, j], 0.0, H[:, i, j])
    for k in range(min(3, steps)):
        bond = np.diagonal(smooth, -k)[:, None]
        free = ~(held[k:] | held[: steps - k])
        band[k * n, : steps - k] += np.where(free, bond, 0.0)
    diagonal = band[0]
    band[0] = np.where(held, 1.0, diagonal * (1 + damping) + 1e-9)
    flat = band.reshape(len(band), -1)[: min(len(band), steps * n)]
    step = -solveh_banded(flat, np.where(held, 0.0, g).ravel(), lower=True).reshape(steps, n)
    return step / max(1.0, float(np.abs(step).max(initial=0.0)) / _STEP_RAD)
