"""Where another robot's motion may begin: tracks without correspondence leave many valleys.

An arm of other proportions reaches the same picture from few poses only, and not always down the
slope that it stands on: random poses are compared with the tracks of a time step by their
projections alone, and the best of them are refined and followed through the motion, forward and
backward in time.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.imitation import Imitator
from drrobot_ros.control.points.robot_points import RobotPoints, all_points
from drrobot_ros.control.points.track_set import known
from drrobot_ros.control.track_solver import TrackProblem, TrackWeights, solve_tracks

Matrix = NDArray[np.float64]

_POOL = 1000  # random poses compared, half of them about the start
_COMPARED = 400  # points of the robot, and tracks, that are compared
_FAR_PX = 60.0  # farther points all count the same
_POINTS = 600  # of the robot's whole surface, that are refined
_ITERATIONS = 20
_STEPS = 12  # time steps at which paths are followed
_STAY = 5.0  # px^2 per rad^2
_JUMP = 100.0  # px^2 that a step of 1 rad from one of them to the next costs
_APART = 0.15  # rad: mean distance of joints between two starts


def surface_points(to: Imitator, count: int, seed: int) -> RobotPoints:
    """Return points anywhere on the robot, seen or not: centres of splats."""
    every = all_points(to.model, to.gaussians, to.start)
    return every.only(np.random.default_rng(seed).permutation(len(every))[:count])


def likely_poses(to: Imitator, tracks: Matrix, count: int, seed: int) -> Matrix:
    """Return poses [k,nq], the start first, whose projection is like the tracks of a time step.

    Args:
        to: who imitates.
        tracks: [K,2] px, NaN where not seen.
        count: how many, at most.
        seed: of the poses.
    """
    from scipy.spatial import KDTree

    random = np.random.default_rng(seed)
    low = np.maximum(to.limits.lower, np.minimum(-np.pi, to.start))
    high = np.minimum(to.limits.upper, np.maximum(np.pi, to.start))
    anywhere = random.uniform(low, high, (_POOL // 2, len(low)))
    near = to.start + random.normal(0, 0.5, (_POOL // 2, len(low)))
    poses = np.where(to.free, np.clip(np.concatenate([anywhere, near]), low, high), to.start)
    pixels, _, _ = surface_points(to, _COMPARED, seed).project(to.model, poses, to.view)
    seen = tracks[known(tracks)]
    seen = seen[random.permutation(len(seen))[:_COMPARED]]
    tree, cost = KDTree(seen), np.empty(len(poses))
    for k, own in enumerate(pixels):
        apart = tree.query(own)[0], KDTree(own).query(seen)[0]
        cost[k] = sum(float(np.square(np.minimum(d, _FAR_PX)).mean()) for d in apart)
    found = [to.start]
    for k in np.argsort(cost):
        if len(found) >= count:
            break
        if min(np.abs(poses[k] - q)[to.free].mean() for q in found) > _APART:
            found.append(poses[k])
    return np.stack(found)


def likely_motion(
    to: Imitator,
    tracks: Matrix,
    times_s: Matrix,
    robust_px: float,
    told: Callable[[float, float, Matrix], None],
) -> Matrix:
    """Return a motion [T,nq] that looks like tracks [T,K,2] at some time steps, from many starts.

    Args:
        to: who imitates; `config.starts` says how many starts are followed, either way in time.
        tracks: [T,K,2] px, NaN where not seen.
        times_s: [T].
        robust_px: tracks farther than this pull with constant force.
        told: of (fraction, cost of the best, the best [T,nq]) after each start; may raise to stop.
    """
    usable = np.flatnonzero(known(tracks).any(1))
    if not len(usable):
        return np.tile(to.start, (len(tracks), 1))
    at = usable[np.unique(np.linspace(0, len(usable) - 1, _STEPS).astype(int))]
    seed, count = to.config.seed, to.config.starts
    problem = TrackProblem(
        to.model,
        surface_points(to, _POINTS, seed),
        tracks[at],
        to.view,
        times_s[at],
        to.limits,
        to.free,
        bound=False,
        weights=TrackWeights(0.0, _STAY, robust_px, False),
    )
    best, lowest = np.tile(to.start, (len(tracks), 1)), np.inf
    steps, forward = np.arange(len(tracks)), np.arange(len(at))
    for back, order in enumerate((forward, forward[::-1])):
        starts = likely_poses(to, tracks[at[order[0]]], 1 + count, seed)
        for k, start in enumerate(starts):
            path, cost = _follow(problem, order, start)
            if cost < lowest:
                best, lowest = np.stack([np.interp(steps, at, x) for x in path.T], 1), cost
            told((back + (k + 1) / len(starts)) / 2, lowest, best)
    return best


def _follow(problem: TrackProblem, order: NDArray[np.int64], start: Matrix) -> tuple[Matrix, float]:
    """Return a path [S,nq] from a start through time steps in an order, and its cost."""
    path, cost, q = np.empty((len(order), len(start))), 0.0, start
    for k, t in enumerate(order):
        step = problem.part(slice(t, t + 1))
        found = solve_tracks(step, q[None], _ITERATIONS * (1 if k else 3), anchor=q)
        cost += found.data_cost
        if k:
            cost += _JUMP * float(np.square(found.q[0] - q).sum())
        path[t] = q = found.q[0]
    return path, cost / len(order)
