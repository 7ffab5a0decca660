"""Normal equations of a problem: every image's own, mapped to the common unknowns and added up.

A view's residuals depend on the joint velocities and its camera's twist, which depend linearly on
the unknowns: offset, the moment's own deviation, the cameras' twists and their lags (through the
joint velocity). So a view adds ``A^T H A``. What belongs to one moment only, its deviation, is
eliminated there by a Schur complement.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import Coordinates, camera_center, twist_between
from drrobot_ros.estimation.normal_equations import ParameterColumns, Statistics
from drrobot_ros.estimation.problem import Layout, Matrix, Moment, Problem, State, Vector


@dataclasses.dataclass(frozen=True)
class Elimination:
    """How a moment's deviation follows the common unknowns: d = -(offset + slope x)."""

    velocities: NDArray[np.intp]
    offset: Vector
    slope: Matrix


@dataclasses.dataclass(frozen=True)
class Linearization:
    """Normal equations ``H dx = -g`` around a state, and what is left over of each moment."""

    state: State
    H: Matrix
    g: Vector
    cost: float
    gradients: Matrix
    informations: NDArray[np.float64]
    statistics: tuple[Statistics, ...]
    eliminations: tuple[Elimination | None, ...]


def linearize(
    problem: Problem, layout: Layout, coordinates: Coordinates, state: State
) -> Linearization:
    """Return the normal equations of a problem around a state."""
    n = layout.count
    H, g, cost = np.zeros((n, n)), np.zeros(n), 0.0
    gradients, informations = np.zeros((len(problem.moments), n)), []
    statistics: list[Statistics] = []
    eliminations = []
    for i, moment in enumerate(problem.moments):
        part = _Moment(problem, layout, coordinates, state, i)
        statistics += part.add_images()
        part.add_deviation()
        Hi, gi, elimination = part.eliminated()
        informations.append(Hi.copy())
        gradients[i] = gi
        part.add_priors(moment)
        if moment.priors:
            Hi, gi, elimination = part.eliminated()
        H += Hi
        g += gi
        cost += part.cost
        eliminations.append(elimination)
    cost += _add_common_priors(problem, layout, state, H, g)
    return Linearization(
        state,
        H,
        g,
        cost,
        gradients,
        np.stack(informations),
        tuple(statistics),
        tuple(eliminations),
    )


class _Moment:
    """Sums of one moment, in the common unknowns and then its own deviation."""

    def __init__(
        self, problem: Problem, layout: Layout, coordinates: Coordinates, state: State, i: int
    ) -> None:
        self.problem, self.layout, self.coordinates, self.state = (
            problem,
            layout,
            coordinates,
            state,
        )
        self.i, self.moment = i, problem.moments[i]
        nv = len(problem.joints)
        sigma = self.moment.sigma
        noisy = np.zeros(nv, bool) if sigma is None else np.asarray(sigma) > 0
        self.noisy = np.flatnonzero(noisy)
        self.sigma = np.zeros(0) if sigma is None else np.asarray(sigma, np.float64)[noisy]
        n = layout.count + len(self.noisy)
        self.H, self.g, self.cost = np.zeros((n, n)), np.zeros(n), 0.0
        # How the unknowns move the joints of this moment.
        self.joints = np.zeros((nv, n))
        free = np.flatnonzero(layout.offset >= 0)
        self.joints[free, layout.offset[free]] = 1.0
        self.joints[self.noisy, layout.count + np.arange(len(self.noisy))] = 1.0

    def add_images(self) -> list[Statistics]:
        out = []
        for view in self.moment.views:
            c = view.camera
            T = self.state.T_cameras[c]
            q, joints = self.state.q[self.i], self.joints
            velocity, lag = self.moment.velocity, self.layout.lag[c]
            if velocity is not None:
                q = self.coordinates.integrate(q, velocity * self.state.lag_s[c])
                if lag >= 0:
                    joints = joints.copy()
                    joints[:, lag] += velocity
            moving = np.asarray(joints.any(1))
            first = self.layout.camera[c]
            columns = ParameterColumns.make(len(moving), moving, first >= 0)
            part = view.model.evaluate(q, T, view.target, columns, twist_center=camera_center(T))
            out.append(part.statistics)
            w = self.problem.image_weight * view.weight
            self.cost += w * part.statistics.cost
            if part.H is None or part.g is None:
                continue
            A = np.zeros((columns.count, joints.shape[1]))
            count = int(moving.sum())
            A[:count] = joints[moving]
            if first >= 0:
                A[count:, first : first + 6] = np.eye(6)
            self.H += w * (A.T @ part.H @ A)
            self.g += w * (A.T @ part.g)
        return out

    def add_deviation(self) -> None:
        rows = self.layout.count + np.arange(len(self.noisy))
        error = self.state.deviation[self.i, self.noisy]
        inverse = 1.0 / np.square(self.sigma)
        self.H[rows, rows] += inverse
        self.g[rows] += inverse * error
        self.cost += 0.5 * float(inverse @ np.square(error))

    def add_priors(self, moment: Moment) -> None:
        for prior in moment.priors:
            inverse = 1.0 / np.square(prior.sigma)
            error = self.coordinates.difference(prior.mean, self.state.q[self.i])
            known = np.isfinite(error) & self.joints.any(1)
            error, inverse = np.where(known, error, 0.0), np.where(known, inverse, 0.0)
            self.H += self.joints.T @ (inverse[:, None] * self.joints)
            self.g += self.joints.T @ (inverse * error)
            self.cost += 0.5 * float(np.sum(inverse * error * error))

    def eliminated(self) -> tuple[Matrix, Vector, Elimination | None]:
        n = self.layout.count
        if not len(self.noisy):
            return self.H, self.g, None
        D, B = self.H[n:, n:], self.H[n:, :n]
        solved = np.asarray(np.linalg.solve(D, np.column_stack([self.g[n:], B])), np.float64)
        offset, slope = solved[:, 0], solved[:, 1:]
        return (
            self.H[:n, :n] - B.T @ slope,
            self.g[:n] - B.T @ offset,
            Elimination(self.noisy, offset, slope),
        )


def _add_common_priors(
    problem: Problem, layout: Layout, state: State, H: Matrix, g: Vector
) -> float:
    """Add what is known of offsets, cameras and lags; return its cost."""
    cost = 0.0

    def add(columns: Any, inverse: Vector, error: Vector) -> float:
        H[columns, columns] += inverse
        g[columns] += inverse * error
        return 0.5 * float(inverse @ np.square(error))

    if problem.offset_sigma is not None:
        free = problem.joints
        inverse = 1.0 / np.square(np.asarray(problem.offset_sigma)[free])
        cost += add(layout.offset[free], inverse, state.offset[free])
    for c, camera in enumerate(problem.cameras):
        if layout.lag[c] >= 0 and np.isfinite(camera.lag_sigma_s):
            error = np.array([state.lag_s[c] - camera.lag_s])
            cost += add(np.array([layout.lag[c]]), np.array([camera.lag_sigma_s**-2]), error)
        if layout.camera[c] < 0 or camera.prior is None:
            continue
        T = state.T_cameras[c]
        rows = slice(layout.camera[c], layout.camera[c] + 6)
        error, jacobian = twist_between(camera.prior.mean, T, camera_center(T))
        weight = camera.prior.information
        if weight is None:
            weight = np.diag(1.0 / np.square(camera.prior.sigma))
        H[rows, rows] += jacobian.T @ weight @ jacobian
        g[rows] += jacobian.T @ weight @ error
        cost += 0.5 * float(error @ weight @ error)
    return cost
