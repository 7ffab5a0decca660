"""Draws in proportion to how likely a score makes them, and their means."""

import numpy as np
import pytest

from drrobot_ros.estimation.annealing import Annealing, resampled, tempered
from drrobot_ros.estimation.manifold import Coordinates

HINGES = Coordinates(3, 3, np.arange(3, dtype=np.int32), ())
LIMITS = np.full(3, -2.0), np.full(3, 2.0)


def prior(q):
    return 0.5 * np.square(q / 0.2).sum(1)


def drawn(score, sharpness=(0.0, 2.0), surprise=prior, n=600):
    rng = np.random.default_rng(0)
    annealing = Annealing(HINGES, LIMITS, surprise)
    q, value = annealing.sharpened(0.2 * rng.normal(size=(n, 3)), score, sharpness, rng)
    return annealing, q, value


def test_a_bell_and_a_prior_give_their_product():
    at, width = np.array([0.3, -0.2, 0.0]), np.array([0.1, 0.05, 10.0])
    annealing, q, value = drawn(lambda q: -0.25 * np.square((q - at) / width).sum(1))
    know = 1 / width**2
    expected = at * know / (know + 1 / 0.2**2)
    assert annealing.mean(q) == pytest.approx(expected, abs=0.02)
    assert q.std(0) == pytest.approx(1 / np.sqrt(know + 1 / 0.2**2), rel=0.2)
    assert value == pytest.approx(-0.25 * np.square((q - at) / width).sum(1))


def test_a_flat_score_leaves_the_prior():
    annealing, q, _ = drawn(lambda q: np.zeros(len(q)))
    assert annealing.mean(q) == pytest.approx(0.0, abs=0.03)
    assert q.std(0) == pytest.approx(0.2, rel=0.15)


def test_two_explanations_have_a_mean_each():
    def score(q):
        side = np.array([0.4, 0.0, 0.0])
        one = -0.5 * np.square((q - side) / 0.05).sum(1)
        two = np.log(3) / 2 - 0.5 * np.square((q + side) / 0.05).sum(1)
        return np.logaddexp(one, two)

    annealing, q, value = drawn(score, (0.0, 1.0), n=1500)
    first, second = annealing.clusters(q, value, 0.3)[:2]
    assert len(first) > len(second) > 100
    assert annealing.mean(q[first])[0] == pytest.approx(-0.38, abs=0.03)
    assert annealing.mean(q[second])[0] == pytest.approx(0.38, abs=0.03)


def test_draws_stay_within_the_limits():
    def uphill(q):
        return 20 * q.sum(1)

    _, q, _ = drawn(uphill, surprise=lambda q: np.zeros(len(q)))
    assert (q <= 2.0).all() and (q.mean(0) > 1.5).all()


def test_weights_are_counted_and_flattened():
    rng = np.random.default_rng(1)
    chosen = resampled(np.log([0.1, 0.6, 0.3]), 1000, rng)
    assert np.bincount(chosen) == pytest.approx([100, 600, 300], abs=1)
    weight = tempered(np.arange(50.0), 0.5)
    share = np.exp(weight - weight.max())
    assert share.sum() ** 2 / np.square(share).sum() == pytest.approx(25, rel=0.01)
