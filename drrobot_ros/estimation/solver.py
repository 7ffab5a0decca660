"""Levenberg-Marquardt over joint positions and the camera pose."""

import dataclasses
import time

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.estimation.manifold import (
    Coordinates,
    camera_center,
    move_camera,
    twist_between,
)
from drrobot_ros.estimation.problem import Matrix, Problem, Solution, StopReason, Vector


@dataclasses.dataclass(frozen=True)
class SolverConfig:
    """Settings of the Levenberg-Marquardt solver."""

    damping: float = setting(
        1e-2, "first damping, relative to the normal matrix's diagonal", minimum=0.0, maximum=1e6
    )
    floor: float = setting(
        1.0,
        "absolute damping, in squared sigmas per squared rad or m: holds what no pixel sees",
        minimum=0.0,
        maximum=1e9,
    )
    max_joint_step_rad: float = setting(
        0.25, "largest change of a joint in one step", unit="rad", minimum=1e-4, maximum=3.2
    )
    max_camera_step_m: float = setting(
        0.15, "largest shift of the camera in one step", unit="m", minimum=1e-4, maximum=10.0
    )
    tolerance_rad: float = setting(
        5e-5, "converged when no coordinate moves more", unit="rad or m", minimum=0.0, maximum=0.1
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass
class _State:
    q: Vector
    T: Matrix
    H: Matrix
    H_image: Matrix
    g: Vector
    cost: float
    statistics: tuple


def solve(
    problem: Problem,
    coordinates: Coordinates,
    q: Vector,
    T_camera: Matrix,
    config: SolverConfig,
    max_iterations: int,
    deadline_s: float | None = None,
) -> Solution:
    """Minimise the problem's cost from a start.

    Args:
        problem: images, free velocities, limits and priors.
        coordinates: how velocities move q.
        q: start [nq].
        T_camera: start [4,4].
        config: settings.
        max_iterations: most evaluations of the normal equations.
        deadline_s: value of ``time.perf_counter()`` after which no evaluation but the first two
            starts.

    Returns:
        The best state seen.
    """
    state = _evaluate(problem, coordinates, np.clip(q, problem.lower, problem.upper), T_camera)
    iterations = 1
    reason = StopReason.ITERATIONS
    damping = config.damping
    longest = 0.0
    if not any(s.inside > 0 for s in state.statistics):
        return _solution(state, iterations, StopReason.NOTHING_VISIBLE)
    while iterations < max_iterations:
        started = time.perf_counter()
        # One step is always taken: no estimate at all would serve nobody.
        if deadline_s is not None and iterations >= 2 and started + longest > deadline_s:
            reason = StopReason.BUDGET
            break
        step = _step(problem, coordinates, state, damping, config)
        if np.abs(step).max(initial=0.0) < config.tolerance_rad:
            reason = StopReason.CONVERGED
            break
        trial = _evaluate(problem, coordinates, *_move(problem, coordinates, state, step))
        iterations += 1
        longest = max(longest, time.perf_counter() - started)
        if trial.cost < state.cost:
            state = trial
            damping = max(damping * 0.3, 1e-7)
        else:
            damping = max(damping * 8.0, 1e-4)
            if damping > 1e5:
                reason = StopReason.STALLED
                break
    return _solution(state, iterations, reason)


def _solution(state: _State, iterations: int, reason: StopReason) -> Solution:
    return Solution(
        state.q,
        state.T,
        state.H,
        state.H_image,
        state.cost,
        state.statistics,
        iterations,
        reason,
    )


def _evaluate(problem: Problem, coordinates: Coordinates, q: Vector, T: Matrix) -> _State:
    columns = problem.columns
    n = columns.count
    H_image, g, cost = np.zeros((n, n)), np.zeros(n), 0.0
    statistics = []
    center = camera_center(T)
    for view in problem.views:
        part = view.model.evaluate(q, T, view.target, columns, twist_center=center)
        statistics.append(part.statistics)
        cost += part.statistics.cost
        if part.H is not None and part.g is not None:
            H_image += part.H
            g += part.g
    w = problem.image_weight
    H_image, g, cost = H_image * w, g * w, cost * w
    H = H_image.copy()
    free = columns.velocity_column >= 0
    joint_columns = columns.velocity_column[free]
    for prior in problem.joint_priors:
        inverse = 1.0 / np.square(prior.sigma)
        error = coordinates.difference(prior.mean, q)
        known = np.isfinite(error)
        error, inverse = np.where(known, error, 0.0), np.where(known, inverse, 0.0)
        H[joint_columns, joint_columns] += inverse[free]
        g[joint_columns] += (inverse * error)[free]
        cost += 0.5 * float(np.sum((inverse * error * error)[free]))
    if problem.camera_prior is not None and columns.camera_column >= 0:
        rows = slice(columns.camera_column, columns.camera_column + 6)
        error, jacobian = twist_between(problem.camera_prior.mean, T, center)
        weight = 1.0 / np.square(problem.camera_prior.sigma)
        H[rows, rows] += jacobian.T @ (weight[:, None] * jacobian)
        g[rows] += jacobian.T @ (weight * error)
        cost += 0.5 * float(error @ (weight * error))
    return _State(q, T, H, H_image, g, cost, tuple(statistics))


def _step(
    problem: Problem, coordinates: Coordinates, state: _State, damping: float, config: SolverConfig
) -> Vector:
    """Solve the damped normal equations; joints pressed against a limit stay there."""
    n = len(state.g)
    held = np.zeros(n, bool)
    for j, column in enumerate(problem.columns.velocity_column):
        if column < 0:
            continue
        k = coordinates.v_to_q[j]
        if k < 0:
            continue
        at_lower = state.q[k] <= problem.lower[k] + 1e-9
        at_upper = state.q[k] >= problem.upper[k] - 1e-9
        held[column] = (at_lower and state.g[column] > 0) or (at_upper and state.g[column] < 0)
    A = state.H + np.diag(damping * np.diag(state.H) + config.floor)
    step = np.zeros(n)
    free = ~held
    if free.any():
        step[free] = -np.linalg.solve(A[np.ix_(free, free)], state.g[free])
    # Scaling the whole step keeps its direction.
    limit = np.full(n, config.max_joint_step_rad)
    if problem.columns.camera_column >= 0:
        c = problem.columns.camera_column
        limit[c : c + 3] = config.max_camera_step_m
    excess = np.max(np.abs(step) / limit, initial=0.0)
    return step / max(1.0, float(excess))


def _move(
    problem: Problem, coordinates: Coordinates, state: _State, step: Vector
) -> tuple[Vector, Matrix]:
    columns = problem.columns
    free = columns.velocity_column >= 0
    velocity = np.zeros(len(columns.velocity_column))
    velocity[free] = step[columns.velocity_column[free]]
    q = np.clip(coordinates.integrate(state.q, velocity), problem.lower, problem.upper)
    T = state.T
    if columns.camera_column >= 0:
        twist = step[columns.camera_column : columns.camera_column + 6]
        T = move_camera(T, twist, camera_center(T))
    return q, T
