"""Levenberg-Marquardt over joint offsets, camera poses and lags."""

import dataclasses
import time

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.estimation.linearization import Linearization, linearize
from drrobot_ros.estimation.manifold import Coordinates, camera_center, move_camera
from drrobot_ros.estimation.problem import Layout, Problem, Solution, State, StopReason, Vector


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
    max_lag_step_s: float = setting(
        0.1, "largest change of a camera's lag in one step", unit="s", minimum=1e-4, maximum=10.0
    )
    tolerance_rad: float = setting(
        5e-5, "converged when no coordinate moves more", unit="rad or m", minimum=0.0, maximum=0.1
    )

    def __post_init__(self) -> None:
        validate(self)


def solve(
    problem: Problem,
    coordinates: Coordinates,
    config: SolverConfig,
    max_iterations: int,
    deadline_s: float | None = None,
    start: State | None = None,
) -> Solution:
    """Minimise the problem's cost from a start.

    Args:
        problem: moments with their images, cameras, what is free, limits and priors.
        coordinates: how velocities move q.
        config: settings.
        max_iterations: most evaluations of the normal equations.
        deadline_s: value of ``time.perf_counter()`` after which no evaluation but the first two
            starts.
        start: where to start, e.g. the state of a coarser solution; None: the problem's start.

    Returns:
        The best state seen.
    """
    layout = Layout.of(problem)
    bounds = offset_bounds(problem, coordinates)
    begin = _within(start or State.start(problem), bounds, coordinates, problem)
    best = linearize(problem, layout, coordinates, begin)
    iterations = 1
    reason = StopReason.ITERATIONS
    damping = config.damping
    longest = 0.0
    if not any(s.inside > 0 for s in best.statistics):
        return _solution(best, layout, iterations, StopReason.NOTHING_VISIBLE)
    while iterations < max_iterations:
        started = time.perf_counter()
        # One step is always taken: no estimate at all would serve nobody.
        if deadline_s is not None and iterations >= 2 and started + longest > deadline_s:
            reason = StopReason.BUDGET
            break
        step = _step(problem, layout, bounds, best, damping, config)
        if np.abs(step).max(initial=0.0) < config.tolerance_rad:
            reason = StopReason.CONVERGED
            break
        moved = move(problem, layout, coordinates, bounds, best, step)
        trial = linearize(problem, layout, coordinates, moved)
        iterations += 1
        longest = max(longest, time.perf_counter() - started)
        if trial.cost < best.cost:
            best = trial
            damping = max(damping * 0.3, 1e-7)
        else:
            damping = max(damping * 8.0, 1e-4)
            if damping > 1e5:
                reason = StopReason.STALLED
                break
    return _solution(best, layout, iterations, reason)


def offset_bounds(problem: Problem, coordinates: Coordinates) -> tuple[Vector, Vector]:
    """Return the least and the largest offset [nv] that keep every moment within the limits.

    Readings that span more than a joint's limits leave none; such a joint is bounded by
    `max_offset` alone.
    """
    reach = problem.max_offset
    lower, upper = np.full(coordinates.nv, -reach), np.full(coordinates.nv, reach)
    scalar = coordinates.v_to_q >= 0
    index = coordinates.v_to_q[scalar]
    q = np.stack([m.q for m in problem.moments])[:, index]
    low, high = problem.lower[index] - q.min(0), problem.upper[index] - q.max(0)
    possible = low <= high
    lower[scalar] = np.where(possible, np.maximum(lower[scalar], low), lower[scalar])
    upper[scalar] = np.where(possible, np.minimum(upper[scalar], high), upper[scalar])
    return lower, np.maximum(lower, upper)


def _solution(at: Linearization, layout: Layout, iterations: int, reason: StopReason) -> Solution:
    return Solution(
        at.state,
        layout,
        at.H,
        at.gradients,
        at.informations,
        at.cost,
        at.statistics,
        iterations,
        reason,
    )


def _within(
    state: State, bounds: tuple[Vector, Vector], coordinates: Coordinates, problem: Problem
) -> State:
    """Move a start into the limits."""
    excess = np.clip(state.offset, *bounds) - state.offset
    excess[~problem.joints] = 0.0
    if not excess.any():
        return state
    q = np.stack([coordinates.integrate(q, excess) for q in state.q])
    return dataclasses.replace(state, q=q, offset=state.offset + excess)


def _step(
    problem: Problem,
    layout: Layout,
    bounds: tuple[Vector, Vector],
    at: Linearization,
    damping: float,
    config: SolverConfig,
) -> Vector:
    """Solve the damped normal equations; joints pressed against a limit stay there."""
    n = layout.count
    held = np.zeros(n, bool)
    joints = np.flatnonzero(problem.joints)
    columns = layout.offset[joints]
    at_lower = at.state.offset[joints] <= bounds[0][joints] + 1e-9
    at_upper = at.state.offset[joints] >= bounds[1][joints] - 1e-9
    held[columns] = (at_lower & (at.g[columns] > 0)) | (at_upper & (at.g[columns] < 0))
    A = at.H + np.diag(damping * np.diag(at.H) + config.floor)
    step = np.zeros(n)
    free = ~held
    if free.any():
        step[free] = -np.linalg.solve(A[np.ix_(free, free)], at.g[free])
    # Scaling the whole step keeps its direction.
    limit = np.full(n, config.max_joint_step_rad)
    for first in layout.camera:
        if first >= 0:
            limit[first : first + 3] = config.max_camera_step_m
    for column in layout.lag:
        if column >= 0:
            limit[column] = config.max_lag_step_s
    excess = np.max(np.abs(step) / limit, initial=0.0)
    return step / max(1.0, float(excess))


def move(
    problem: Problem,
    layout: Layout,
    coordinates: Coordinates,
    bounds: tuple[Vector, Vector],
    at: Linearization,
    step: Vector,
) -> State:
    """Return the state after a step of the common unknowns, within the bounds of the offset."""
    state = at.state
    offset = state.offset.copy()
    offset[problem.joints] += step[layout.offset[problem.joints]]
    offset = np.clip(offset, *bounds)
    deviation = state.deviation.copy()
    for i, elimination in enumerate(at.eliminations):
        if elimination is not None:
            change = elimination.offset + elimination.slope @ step
            deviation[i, elimination.velocities] -= change
    velocity = offset - state.offset + deviation - state.deviation
    q = np.stack([coordinates.integrate(x, v) for x, v in zip(state.q, velocity, strict=True)])
    T = state.T_cameras.copy()
    lag = state.lag_s.copy()
    for c in range(len(T)):
        if layout.camera[c] >= 0:
            twist = step[layout.camera[c] : layout.camera[c] + 6]
            T[c] = move_camera(T[c], twist, camera_center(T[c]))
        if layout.lag[c] >= 0:
            lag[c] += step[layout.lag[c]]
    return State(q, offset, deviation, T, lag)
