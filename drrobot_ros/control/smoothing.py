"""Smooth motions from noisy estimates: a fixed-interval smoother, and limits of a motion.

The smoother runs forward as a Kalman filter and back again (Rauch, Tung and Striebel, 1965): every
estimate is corrected by those before and after it, by how sure each is of each joint.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def smooth(
    q: Matrix, covariance: NDArray[np.float64], times_s: Vector, acceleration: float
) -> tuple[Matrix, Matrix, NDArray[np.float64]]:
    """Return positions, velocities and their covariances after forward-backward smoothing.

    Joints move at constant velocity but for random accelerations.

    Args:
        q: estimates [T,n]; NaN where there is none.
        covariance: of each estimate [T,n,n]; off-diagonal terms count.
        times_s: [T], increasing.
        acceleration: standard deviation of the accelerations of a second, per s^2.

    Returns:
        q [T,n], v [T,n] and the covariance of (q, v) [T,2n,2n].

    Raises:
        InputError: sizes that do not fit, or times that do not increase.
    """
    steps, n = q.shape
    if covariance.shape != (steps, n, n) or times_s.shape != (steps,):
        raise InputError(
            f"{steps} estimates of {n} joints need covariances {[steps, n, n]} and {steps} times, "
            f"got {list(covariance.shape)} and {list(times_s.shape)}"
        )
    if not (np.diff(times_s) > 0).all():
        raise InputError("times must increase")
    known = np.asarray(np.isfinite(q).all(axis=1))
    if not known.any():
        raise InputError("no estimate to smooth")
    first = int(np.flatnonzero(known)[0])
    mean = np.concatenate([q[first], np.zeros(n)])
    spread = np.zeros((2 * n, 2 * n))
    spread[:n, :n] = np.eye(n) * 10.0
    spread[n:, n:] = np.eye(n) * 10.0
    before, predicted, after = [], [], []
    eye = np.eye(n)
    for t in range(steps):
        F, Q = np.eye(2 * n), np.zeros((2 * n, 2 * n))
        if t:
            dt = float(times_s[t] - times_s[t - 1])
            F[:n, n:] = dt * eye
            a = acceleration**2
            Q[:n, :n], Q[n:, n:] = a * dt**3 / 3 * eye, a * dt * eye
            Q[:n, n:] = Q[n:, :n] = a * dt**2 / 2 * eye
            mean, spread = F @ mean, F @ spread @ F.T + Q
        before.append(F)
        predicted.append((mean, spread))
        if known[t]:
            gain = np.linalg.solve(spread[:n, :n] + covariance[t], spread[:n]).T
            mean = mean + gain @ (q[t] - mean[:n])
            spread = spread - gain @ spread[:n]
            spread = 0.5 * (spread + spread.T)
        after.append((mean, spread))
    means, spreads = [after[-1][0]], [after[-1][1]]
    for t in range(steps - 2, -1, -1):
        mean, spread = after[t]
        ahead, wide = predicted[t + 1]
        back = np.linalg.solve(wide, before[t + 1] @ spread).T
        means.append(mean + back @ (means[-1] - ahead))
        spreads.append(spread + back @ (spreads[-1] - wide) @ back.T)
    x = np.stack(means[::-1])
    return x[:, :n], x[:, n:], np.stack(spreads[::-1])


def within_limits(
    q: Matrix,
    times_s: Vector,
    velocity: Vector,
    acceleration: Vector,
    lower: Vector | None = None,
    upper: Vector | None = None,
    iterations: int = 400,
) -> Matrix:
    """Return the motion nearest to a given one that keeps limits, sample to sample.

    A quadratic programme per joint, by ADMM (Boyd et al., 2011); velocities and accelerations are
    differences of samples.

    Args:
        q: [T,n].
        times_s: [T], increasing.
        velocity: limits [n] per s.
        acceleration: limits [n] per s^2.
        lower: of positions [n]; None: none.
        upper: of positions [n]; None: none.
        iterations: of the method.
    """
    steps, n = q.shape
    if steps < 3:
        return q.copy()
    h = np.diff(times_s)
    V = (np.eye(steps)[1:] - np.eye(steps)[:-1]) / h[:, None]
    A = (V[1:] - V[:-1]) * (2 / (h[1:] + h[:-1]))[:, None]
    # Rows of like size, so that one penalty suits all.
    scale = float(h.mean())
    D = np.concatenate([np.eye(steps), V * scale, A * scale**2 * 0.5])
    low = np.concatenate(
        [
            np.tile(np.full(n, -np.inf) if lower is None else lower, (steps, 1)),
            np.tile(-velocity * scale, (steps - 1, 1)),
            np.tile(-acceleration * scale**2 * 0.5, (steps - 2, 1)),
        ]
    )
    high = np.concatenate(
        [
            np.tile(np.full(n, np.inf) if upper is None else upper, (steps, 1)),
            np.tile(velocity * scale, (steps - 1, 1)),
            np.tile(acceleration * scale**2 * 0.5, (steps - 2, 1)),
        ]
    )
    if ((D @ q >= low - 1e-12) & (D @ q <= high + 1e-12)).all():
        return q.copy()
    rho = 30.0
    inverse = np.linalg.inv(np.eye(steps) + rho * D.T @ D)
    x = q.copy()
    z = np.clip(D @ x, low, high)
    u = np.zeros_like(z)
    for _ in range(iterations):
        x = inverse @ (q + rho * D.T @ (z - u))
        moved = D @ x
        z = np.clip(moved + u, low, high)
        u += moved - z
    return x
