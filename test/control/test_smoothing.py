"""Smoothing of motions: against least squares, by how sure estimates are, within limits."""

import numpy as np
import pytest

from drrobot_ros.control.smoothing import smooth, within_limits
from drrobot_ros.errors import InputError

T = np.arange(40) / 30
TRUTH = np.stack([np.sin(3 * T), 0.5 * np.cos(2 * T)], 1)


def noisy(sigma: float) -> np.ndarray:
    return TRUTH + sigma * np.random.default_rng(1).normal(size=TRUTH.shape)


def test_the_smoother_is_the_least_squares_solution() -> None:
    """Against one big normal matrix of the same model."""
    rng = np.random.default_rng(0)
    steps, dt, a = 6, 0.1, 2.0
    z = rng.normal(size=(steps, 1))
    r = rng.uniform(0.5, 2.0, steps)
    q, v, spread = smooth(z, r[:, None, None], np.arange(steps) * dt, a)
    H, g = np.zeros((2 * steps, 2 * steps)), np.zeros(2 * steps)
    H[:2, :2] += 0.1 * np.eye(2)
    g[0] += 0.1 * z[0, 0]
    F = np.array([[1, dt], [0, 1.0]])
    W = np.linalg.inv(a**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]))
    for t in range(steps):
        H[2 * t, 2 * t] += 1 / r[t]
        g[2 * t] += z[t, 0] / r[t]
        if t:
            J = np.concatenate([-F, np.eye(2)], 1)
            s = slice(2 * t - 2, 2 * t + 2)
            H[s, s] += J.T @ W @ J
    x = np.linalg.solve(H, g).reshape(steps, 2)
    assert np.allclose(q[:, 0], x[:, 0], atol=1e-6)
    assert np.allclose(v[:, 0], x[:, 1], atol=1e-6)
    P = np.linalg.inv(H)
    assert spread[2, 0, 0] == pytest.approx(P[4, 4], rel=1e-5)


def test_noise_falls_and_what_is_vague_counts_less() -> None:
    sigma = 0.05
    covariance = np.tile(sigma**2 * np.eye(2), (len(T), 1, 1))
    q, _, _ = smooth(noisy(sigma), covariance, T, 6.0)
    assert np.abs(q - TRUTH).mean() < 0.6 * np.abs(noisy(sigma) - TRUTH).mean()
    wrong = TRUTH.copy()
    wrong[20] += 1.0
    covariance[20] *= 1e4
    q, _, spread = smooth(wrong, covariance, T, 6.0)
    assert np.abs(q - TRUTH).max() < 0.05
    wrong[20] = np.nan
    again, _, _ = smooth(wrong, covariance, T, 6.0)
    assert np.allclose(again, q, atol=1e-3)
    assert spread[20, 0, 0] > spread[15, 0, 0]


def test_a_sure_joint_corrects_one_that_errs_with_it() -> None:
    """A joint is known only up to another: their covariance says so."""
    covariance = np.tile(np.array([[1.0, 0.999], [0.999, 1.0]]), (len(T), 1, 1))
    error = np.random.default_rng(2).normal(size=(len(T), 1))
    q, _, _ = smooth(TRUTH + error, covariance, T, 6.0)
    together = (q - TRUTH)[:, 0] - (q - TRUTH)[:, 1]
    assert np.abs(together).max() < 0.1


def test_limits_are_kept_and_little_is_changed() -> None:
    fast, steady = np.array([1.5, 9.0]), np.array([20.0, 90.0])
    q = within_limits(TRUTH, T, fast, steady)
    v = np.diff(q, axis=0) * 30
    assert np.abs(v[:, 0]).max() < 1.5 * 1.02
    assert np.abs(np.diff(v, axis=0)[:, 0]).max() * 30 < 20 * 1.05
    assert np.allclose(q[:, 1], TRUTH[:, 1], atol=1e-6)
    assert np.abs(q - TRUTH).max() < 0.5  # it is that much too fast
    assert np.array_equal(within_limits(TRUTH, T, 9 * fast, 9 * steady), TRUTH)
    low = np.array([-0.5, -9.0])
    held = within_limits(TRUTH, T, 9 * fast, 9 * steady, low)
    assert held[:, 0].min() > -0.51


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="need covariances"):
        smooth(TRUTH, np.ones((3, 2, 2)), T, 1.0)
    with pytest.raises(InputError, match="times must increase"):
        smooth(TRUTH, np.tile(np.eye(2), (len(T), 1, 1)), T[::-1], 1.0)
    with pytest.raises(InputError, match="no estimate"):
        smooth(np.full_like(TRUTH, np.nan), np.tile(np.eye(2), (len(T), 1, 1)), T, 1.0)
