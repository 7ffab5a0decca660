"""The motion of a robot whose points follow tracks: step by step first, then all at once."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.goals import TracksGoal
from drrobot_ros.control.imitation import Imitator
from drrobot_ros.control.optimizers import StoppedError, StopReason
from drrobot_ros.control.points.robot_points import (
    RobotPoints,
    all_points,
    bind,
    chamfer,
    matched,
    visible_points,
)
from drrobot_ros.control.points.track_set import known
from drrobot_ros.control.track_solver import TrackProblem, TrackWeights, solve_tracks
from drrobot_ros.control.track_starts import likely_motion
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

Matrix = NDArray[np.float64]

_POINTS = 600  # of the robot's own, where tracks do not correspond
_LOOKS = 6  # time steps at which it is looked which points are seen
_STEP_ITERATIONS = 8
_STEP_STAY = 5.0  # px^2 per rad^2: what no track tells goes on as before
# Settings weigh costs of pictures, of about 0.1; those of tracks are px^2. Sets without
# correspondence leave much open: there the start counts more.
_BOUND_STAY, _CHAMFER_STAY = 10.0, 1000.0
_GOES_ON = 0.8  # share of the velocity that is kept where nothing tells it
_ROUNDS = 3  # of binding late tracks anew to the common solution
_SLIP_PX = 2.0  # a bound track this far off pulls less: it may have slipped
_FAR_PX = 20.0  # Chamfer pairs farther apart pull with constant force

#: Told of (what is done, fraction, cost, motion so far [T,nq]); returns False to stop.
Told = Callable[[str, float, float, Matrix], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class TrackMotion:
    """A motion found from tracks.

    Attributes:
        q: [T,nq].
        times_s: [T].
        points: of the robot that were compared [P].
        visible: which of them counted when [T,P]; None: all.
        used: tracks that were followed [T,K,2] px, NaN where not seen.
        start_chamfer_px: Chamfer distance while the robot stays at the start, mean over time; of
            all the robot's points that are seen (bound tracks: of those that are followed).
        chamfer_px: of the motion, mean over time.
        start_chamfer_px2: the same of squared distances, as Dr. Robot's code has it, px^2.
        chamfer_px2: of the motion, px^2.
        matched_px: mean distance of corresponding points; NaN where there are none.
        cost: what was minimised.
        start_cost: of staying at the start.
        stop_reason: why it stopped.
        curve: (step, cost) of the last, common descent.
    """

    q: Matrix
    times_s: NDArray[np.float64]
    points: RobotPoints
    visible: NDArray[np.bool_] | None
    used: Matrix
    start_chamfer_px: float
    chamfer_px: float
    start_chamfer_px2: float
    chamfer_px2: float
    matched_px: float
    cost: float
    start_cost: float
    stop_reason: StopReason
    curve: tuple[tuple[int, float], ...]


def follow_tracks(to: Imitator, goal: TracksGoal, told: Told | None = None) -> TrackMotion:
    """Return the motion in which a robot's points follow tracks.

    Args:
        to: who follows; bound tracks begin on this robot at its start.
        goal: the tracks, seen by its view.
        told: of progress, at every time step and iteration; returns False to stop.

    Raises:
        InputError: the tracks are of another image size, or none begins on the robot.
    """
    tracks = goal.tracks
    size = (to.view.camera.width, to.view.camera.height)
    if tracks.image_size != size:
        raise InputError(
            f"the tracks are of {tracks.image_size[0]}x{tracks.image_size[1]} images, the "
            f"viewpoint of {size[0]}x{size[1]}"
        )
    return _Run(to, goal, told).solve()


class _Run:
    def __init__(self, to: Imitator, goal: TracksGoal, told: Told | None) -> None:
        self._to, self._told = to, told
        self._model, self._gaussians, self._view = to.model, to.gaussians, to.view
        self._start, self._config = to.start, to.config
        model, config, free = to.model, to.config, to.free
        self._bound = goal.correspondence == "bound"
        self._tracks = goal.tracks.tracks.copy()
        self._times = goal.tracks.times(config.rate_hz)
        self._deadline = time.perf_counter() + config.budget_s if config.budget_s else None
        moving = _moving_links(model, free)
        if not moving.any():
            raise InputError("no link moves with the joints that are free")
        if self._bound:
            stay, far = _BOUND_STAY * config.stay_near, _SLIP_PX
        else:
            stay, far = _CHAMFER_STAY * config.stay_near, _FAR_PX
        weights = TrackWeights(config.smoothness, stay, far, self._bound)
        if self._bound:
            points, on = bind(model, to.gaussians, to.start, to.view, self._tracks[0])
            if not moving[points.links].any():
                raise InputError(
                    f"none of the {on.size} tracks begins on a moving part of the robot at the "
                    "start; is the viewpoint the camera that saw them?"
                )
            self._chosen = np.flatnonzero(on)
            self._first_points, self._first_chosen = points, self._chosen
        else:
            points = visible_points(model, to.gaussians, to.start, to.view, _POINTS)
            self._chosen = np.arange(self._tracks.shape[1])
        self._problem = TrackProblem(
            model,
            points,
            self._tracks[:, self._chosen],
            to.view,
            self._times,
            to.limits,
            free,
            self._bound,
            None,
            self._bound,
            weights,
        )

    def solve(self) -> TrackMotion:
        still = np.tile(self._start, (len(self._times), 1))
        q, reason = still.copy(), StopReason.CONVERGED
        curve: tuple[tuple[int, float], ...] = ()
        try:
            if self._bound:
                self._step_by_step(q)
            else:
                q[:] = likely_motion(self._to, self._tracks, self._times, _FAR_PX, self._searched)
            for k in range(_ROUNDS):
                last = k == _ROUNDS - 1
                if self._bound and k:
                    self._bind_again(q)
                elif not self._bound:
                    self._look(q)
                found = solve_tracks(
                    self._problem,
                    q,
                    self._config.iterations if last else 10,
                    self._deadline,
                    lambda step, cost, at: self._tell(0.5 + step / 100, cost, at, "descending"),
                    self._start,
                )
                q, reason, curve = found.q, found.stop_reason, found.curve
                if reason in (StopReason.CANCELED, StopReason.BUDGET):
                    break
        except StoppedError as stopped:
            reason = stopped.reason
        return self._told_of(still, q, reason, curve)

    def _step_by_step(self, q: Matrix) -> None:
        """Solve one time step after the other, each from the last, into q."""
        for t in range(1, len(q)):
            before = q[t - 1]
            # How it moved so far tells where it is going.
            guess = before + (_GOES_ON * (before - q[t - 2]) if t >= 2 else 0.0)
            problem = self._problem
            guess = np.where(problem.free, np.clip(guess, *_range(problem)), before)
            if known(problem.tracks[t]).any():
                stay = dataclasses.replace(problem.weights, stay_near=_STEP_STAY)
                step = dataclasses.replace(problem.part(slice(t, t + 1)), weights=stay)
                found = solve_tracks(step, guess[None], _STEP_ITERATIONS, anchor=guess)
                q[t] = found.q[0]
            else:
                q[t] = before
            q[t + 1 :] = q[t]
            self._drop_slipped(t, q[t])
            self._bind_new(t, q[t])
            self._go_on(0.5 * t / len(q), float("nan"), q, "following")

    def _searched(self, fraction: float, cost: float, best: Matrix) -> None:
        self._go_on(0.5 * fraction, cost, best, "searching")

    def _go_on(self, fraction: float, cost: float, q: Matrix, what: str) -> None:
        if not self._tell(fraction, cost, q, what):
            raise StoppedError(StopReason.CANCELED)
        if self._deadline is not None and time.perf_counter() > self._deadline:
            raise StoppedError(StopReason.BUDGET)

    def _drop_slipped(self, t: int, q: NDArray[np.float64]) -> None:
        """Forget tracks, from now on, that have left the point they began at."""
        problem = self._problem
        pixels, _, _ = problem.points.project(self._model, q, self._view)
        seen = known(problem.tracks[t])
        if seen.sum() < 2 * self._model.nq:
            return
        off = np.linalg.norm(pixels[0] - np.where(seen[:, None], problem.tracks[t], 0), axis=1)
        slipped = seen & (off > max(_SLIP_PX, 4 * float(np.median(off[seen]))))
        self._tracks[t:, self._chosen[slipped]] = np.nan
        self._problem = dataclasses.replace(problem, tracks=self._tracks[:, self._chosen])

    def _bind_new(self, t: int, q: NDArray[np.float64]) -> None:
        """Bind tracks that are seen for the first time."""
        seen = known(self._tracks)
        new = np.flatnonzero(seen[t] & ~seen[:t].any(0))
        if not len(new):
            return
        points, on = bind(self._model, self._gaussians, q, self._view, self._tracks[t, new])
        if not len(points):
            return
        self._chosen = np.concatenate([self._chosen, new[on]])
        old = self._problem.points
        both = RobotPoints(
            np.concatenate([old.links, points.links]), np.concatenate([old.points, points.points])
        )
        self._problem = dataclasses.replace(
            self._problem, points=both, tracks=self._tracks[:, self._chosen]
        )

    def _bind_again(self, q: Matrix) -> None:
        """Bind the tracks that began late to where the common solution sees them begin."""
        seen = known(self._tracks)
        first = np.where(seen.any(0), seen.argmax(0), -1)
        every = [(self._first_points, self._first_chosen)]
        for t in np.unique(first[first > 0]):
            new = np.flatnonzero(first == t)
            points, on = bind(self._model, self._gaussians, q[t], self._view, self._tracks[t, new])
            every.append((points, new[on]))
        self._chosen = np.concatenate([chosen for _, chosen in every])
        points = RobotPoints(
            np.concatenate([p.links for p, _ in every]),
            np.concatenate([p.points for p, _ in every]),
        )
        self._problem = dataclasses.replace(
            self._problem, points=points, tracks=self._tracks[:, self._chosen]
        )

    def _look(self, q: Matrix) -> None:
        """Choose the robot's points anew among those seen along a motion, and when each is."""
        at = np.unique(np.linspace(0, len(q) - 1, _LOOKS).astype(int))
        some = [
            visible_points(self._model, self._gaussians, q[t], self._view, _POINTS // _LOOKS, t)
            for t in at
        ]
        points = RobotPoints(
            np.concatenate([p.links for p in some]), np.concatenate([p.points for p in some])
        )
        seen = points.visible(self._model, self._gaussians, q, self._view)
        self._problem = dataclasses.replace(self._problem, points=points, visible=seen)

    def _tell(self, fraction: float, cost: float, q: Matrix, what: str) -> bool:
        return self._told is None or self._told(what, min(fraction, 1.0), cost, q)

    def _told_of(
        self, still: Matrix, q: Matrix, reason: StopReason, curve: tuple[tuple[int, float], ...]
    ) -> TrackMotion:
        problem = self._problem
        used = problem.tracks
        apart = [self._apart(motion) for motion in (still, q)]
        costs = [solve_tracks(problem, motion, 0, anchor=self._start).cost for motion in (still, q)]
        return TrackMotion(
            q,
            self._times,
            problem.points,
            problem.visible,
            used,
            apart[0][0],
            apart[1][0],
            apart[0][1],
            apart[1][1],
            self._matched(q),
            costs[1],
            costs[0],
            reason,
            curve,
        )

    def _apart(self, q: Matrix) -> tuple[float, float]:
        """Return the Chamfer distance of a motion and that of squares, mean over time."""
        problem = self._problem
        seen: NDArray[np.bool_]
        if self._bound:
            points, seen = problem.points, known(problem.tracks)
        else:
            points = all_points(self._model, self._gaussians, self._start)
            if (q == q[0]).all():
                seen = points.visible(self._model, self._gaussians, q[:1], self._view)
                seen = np.broadcast_to(seen, (len(q), len(points)))
            else:
                seen = points.visible(self._model, self._gaussians, q, self._view)
        own, _, _ = points.project(self._model, q, self._view)
        plain, squared = chamfer(own, problem.tracks, seen)
        return _mean(plain), _mean(squared)

    def _matched(self, q: Matrix) -> float:
        if not self._bound:
            return float("nan")
        own, _, _ = self._problem.points.project(self._model, q, self._view)
        return _mean(matched(own, self._problem.tracks))


def _mean(values: Matrix) -> float:
    known_ones = values[np.isfinite(values)]
    return float(known_ones.mean()) if len(known_ones) else float("nan")


def _range(problem: TrackProblem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return problem.limits.lower, problem.limits.upper


def _moving_links(model: RobotModel, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which links [L] any of the free joints [nq] moves."""
    tree = model.tree
    moving = np.zeros(len(tree), bool)
    for row in range(len(tree)):
        k, parent = tree.q_index[row], tree.parent[row]
        moving[row] = (k >= 0 and free[k]) or (parent >= 0 and moving[parent])
    return moving
