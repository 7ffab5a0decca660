"""Refinement with parameters that always belong to a possible robot, drawn towards a prior."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.identification.linear import Layout

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class PhysicalPrior:
    """Log-Cholesky coordinates u of x about a prior, in which every u is physical.

    Each link's pseudo-inertia is ``J = L0 T T' L0'``, with L0 the Cholesky factor of the prior's
    and T(u) triangular with an exponential diagonal: u = 0 is the prior, and distances from it do
    not depend on units or frames. Joint parameters are ``x = u * scale``, bounded by zero.
    Source: Rucker and Wensing, "Smooth parameterization of rigid-body inertia", 2022; Lee, Wensing
    and Park, "Geometric robust dynamic identification", 2019 (for the distance).

    Attributes:
        layout: of x.
        L0: [n, 4, 4].
        joint_start: [3 m] armature, damping, friction of the prior.
        repaired: names of links whose prior was not that of a body with volume.
    """

    layout: Layout
    L0: Array
    joint_start: Array
    repaired: tuple[str, ...]

    @classmethod
    def of(cls, layout: Layout, x: Array, link_names: tuple[str, ...]) -> "PhysicalPrior":
        """Return the prior at x; unphysical inertias are moved to a close physical one."""
        factors, repaired = [], []
        for i, phi in zip(layout.links, x[: layout.count].reshape(-1, 10), strict=True):
            J, changed = physical(pseudo_inertia(phi))
            if changed:
                repaired.append(link_names[i])
            factors.append(np.linalg.cholesky(J))
        start = np.maximum(x[layout.count :], 0.0)
        return cls(layout, np.array(factors), start, tuple(repaired))

    @property
    def size(self) -> int:
        """Number of coordinates, that of x."""
        return len(self.layout.names)

    def start(self) -> Array:
        """Return u [P] of the prior."""
        scale = self.layout.scale[self.layout.count :]
        return np.concatenate([np.zeros(self.layout.count), self.joint_start / scale])

    def lower(self) -> Array:
        """Return the lower bounds of u [P]."""
        return np.concatenate(
            [np.full(self.layout.count, -np.inf), np.zeros(self.size - self.layout.count)]
        )

    def parameters(self, u: Array) -> tuple[Array, Array]:
        """Return x [P] and dx/du [P, P] at u [P]."""
        n, count = len(self.layout.links), self.layout.count
        rows, columns = np.tril_indices(4)
        w = u[:count].reshape(n, 10)
        T = np.zeros((n, 4, 4))
        T[:, rows, columns] = w
        i = np.arange(4)
        T[:, i, i] = np.exp(T[:, i, i])
        dT = np.zeros((n, 10, 4, 4))
        dT[:, np.arange(10), rows, columns] = 1.0
        for k in np.flatnonzero(rows == columns):
            dT[:, k, rows[k], rows[k]] = T[:, rows[k], rows[k]]
        A = self.L0 @ T
        dA = self.L0[:, None] @ dT
        half = dA @ np.swapaxes(A, 1, 2)[:, None]
        x = np.concatenate([_phi(A @ np.swapaxes(A, 1, 2)).ravel(), np.zeros(self.size - count)])
        D = np.zeros((self.size, self.size))
        blocks = _phi(half + np.swapaxes(half, 2, 3))
        for k in range(n):
            D[10 * k : 10 * k + 10, 10 * k : 10 * k + 10] = blocks[k].T
        scale = self.layout.scale[count:]
        x[count:] = u[count:] * scale
        D[range(count, self.size), range(count, self.size)] = scale
        return x, D


def pseudo_inertia(phi: Array) -> Array:
    """Return J [4, 4] of ten inertial numbers."""
    m, mc, six = phi[0], phi[1:4], phi[4:]
    half = np.zeros((3, 3))
    half[np.triu_indices(3)] = six
    inertia = half + np.triu(half, 1).T
    J = np.zeros((4, 4))
    J[:3, :3] = np.trace(inertia) / 2 * np.eye(3) - inertia
    J[:3, 3] = J[3, :3] = mc
    J[3, 3] = m
    return J


def physical(J: Array) -> tuple[Array, bool]:
    """Return J with second moments about the com of at least a 2 mm body, and if that changed it.

    Raises:
        InputError: the mass is not positive.
    """
    m = J[3, 3]
    if not m > 0:
        raise InputError(f"a mass must be positive, got {m:g} kg")
    c = J[:3, 3] / m
    values, axes = np.linalg.eigh(J[:3, :3] - m * np.outer(c, c))
    least = m * 0.001**2
    if values[0] >= 0.01 * least:
        return J, False
    fixed = J.copy()
    values = np.maximum(values, least)
    fixed[:3, :3] = axes @ np.diag(values) @ axes.T + m * np.outer(c, c)
    return fixed, True


def _phi(J: Array) -> Array:
    """Return the ten inertial numbers [..., 10] of J [..., 4, 4]; linear."""
    S = J[..., :3, :3]
    trace = np.trace(S, axis1=-2, axis2=-1)[..., None, None]
    inertia = trace * np.eye(3) - S
    rows, columns = np.triu_indices(3)
    return np.concatenate([J[..., 3, 3:], J[..., :3, 3], inertia[..., rows, columns]], axis=-1)


def refine(
    prior: PhysicalPrior, R: Array, u: Array, std: float, iterations: int = 60
) -> tuple[Array, Array]:
    """Return u [P] least in ``|R (x(u), -1)|^2 + |(u - start) / std|^2``, and its covariance.

    Levenberg-Marquardt; steps of bounded coordinates end at zero.

    Args:
        prior: coordinates and what they are drawn to.
        R: [k, P + 1] of residuals in units of their noise.
        u: [P] first guess.
        std: how far from the prior is usual; 1 means about 100 %.
        iterations: at most.
    """
    start, lower = prior.start(), prior.lower()
    u = np.maximum(u, lower)

    def evaluate(u: Array) -> tuple[float, Array, Array]:
        x, D = prior.parameters(u)
        r = np.concatenate([R @ np.append(x, -1.0), (u - start) / std])
        J = np.concatenate([R[:, :-1] @ D, np.eye(len(u)) / std])
        return float(r @ r), J.T @ r, J.T @ J

    cost, gradient, H = evaluate(u)
    damping = 1e-4
    for _ in range(iterations):
        free = ~((u <= lower) & (gradient > 0))
        step = np.zeros_like(u)
        part = H[np.ix_(free, free)]
        step[free] = -np.linalg.solve(part + damping * np.diag(np.diag(part)), gradient[free])
        # A long step in a logarithm is no small correction any more.
        most = np.abs(step[: prior.layout.count]).max()
        trial = np.maximum(u + step * min(1.0, 1.0 / max(most, 1e-12)), lower)
        found, trial_gradient, trial_H = evaluate(trial)
        if found < cost:
            done = cost - found < 1e-9 * cost
            u, cost, gradient, H = trial, found, trial_gradient, trial_H
            damping = max(damping / 10, 1e-10)
            if done:
                break
        else:
            damping *= 10
            if damping > 1e8:
                break
    return u, np.asarray(np.linalg.inv(H), dtype=np.float64)
