"""Motions, encoders and self-collision."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.simulation import (
    CollisionCheck,
    EncoderConfig,
    Encoders,
    SinusoidMotion,
    TrajectoryFollower,
)


@pytest.fixture
def arm(robot):
    return robot("six_axis_arm")


def test_sinusoid_stays_within_limits_and_moves_every_joint(arm):
    t = np.linspace(0, 40, 2000)
    q = SinusoidMotion(arm, amplitude=3.0, seed=1)(t)
    assert (q >= arm.lower).all()
    assert (q <= arm.upper).all()
    assert (np.ptp(q, axis=0) > 0.01).all()


def test_sinusoid_velocity_is_the_derivative(arm):
    motion = SinusoidMotion(arm, amplitude=0.5, seed=2)
    h = 1e-6
    numeric = (motion(1.3 + h) - motion(1.3 - h)) / (2 * h)
    np.testing.assert_allclose(motion.velocity(1.3), numeric, atol=1e-8)


def test_sinusoid_leaves_floating_base_alone(robot):
    model = robot("every_joint.xml")
    q = SinusoidMotion(model, seed=3)(np.linspace(0, 5, 20))
    moving = np.ptp(q, axis=0) > 0
    assert 0 < moving.sum() < model.nq


def test_follower_passes_through_waypoints_without_overshoot(arm):
    rng = np.random.default_rng(0)
    goals = rng.uniform(arm.lower / 2, arm.upper / 2, (5, arm.nq))
    times = np.array([0.5, 1.1, 1.5, 2.6, 3.0])
    follower = TrajectoryFollower(arm, arm.neutral())
    follower.follow(10.0, times, goals)
    for t, goal in zip(times, goals, strict=True):
        np.testing.assert_allclose(follower.position(10 + t), goal, atol=1e-9)
    np.testing.assert_allclose(follower.position(0), follower.position(10), atol=1e-12)
    dense = np.stack([follower.position(10 + t) for t in np.linspace(0.5, 3.0, 400)])
    assert (dense <= goals.max(axis=0) + 1e-9).all()
    assert (dense >= goals.min(axis=0) - 1e-9).all()
    assert follower.end_s == 13.0
    assert (follower.velocity(13.5) == 0).all()


def test_follower_takes_over_in_motion(arm):
    follower = TrajectoryFollower(arm, arm.neutral())
    goal = np.clip(arm.neutral().numpy() + 0.4, arm.lower, arm.upper)
    follower.follow(0.0, [2.0], [goal])
    middle = follower.position(1.0)
    follower.follow(1.0, [1.0], [arm.neutral().numpy()])
    np.testing.assert_allclose(follower.position(1.0), middle, atol=1e-12)
    follower.stop(1.5)
    np.testing.assert_allclose(follower.position(9.0), follower.position(1.5))


def test_follower_refuses_and_keeps_going(arm):
    follower = TrajectoryFollower(arm, arm.neutral())
    goal = np.clip(arm.neutral().numpy() + 0.1, arm.lower, arm.upper)
    follower.follow(0.0, [1.0], [goal])
    bad = goal.copy()
    bad[0] = arm.upper[0] + 1
    with pytest.raises(InputError, match="limits"):
        follower.follow(0.2, [1.0], [bad])
    with pytest.raises(InputError, match="increasing"):
        follower.follow(0.2, [1.0, 1.0], [goal, goal])
    with pytest.raises(InputError, match="positions must be"):
        follower.follow(0.2, [1.0], [goal[:2]])
    np.testing.assert_allclose(follower.position(1.0), goal)


def test_encoders_have_bias_and_noise(arm):
    q = arm.neutral().numpy()
    encoders = Encoders(arm, EncoderConfig(bias=0.01, noise=0.002, seed=3))
    readings = np.stack([encoders.read(q) for _ in range(400)])
    np.testing.assert_allclose(readings.mean(axis=0) - q, encoders.bias, atol=5e-4)
    assert 0.0017 < readings.std(axis=0).mean() < 0.0023
    np.testing.assert_array_equal(Encoders(arm).read(q), q)


def test_self_collision_is_seen(robot):
    panda = robot("franka_emika_panda")
    check = CollisionCheck(panda)
    free = np.array([0, 0, 0, -1.57, 0, 1.57, 0, 0.04])
    folded = np.array([0, 1.7, 0, -3.0, 0, 0.0, 0, 0.04])
    assert check.is_free(free)
    assert not check.is_free(np.stack([free, folded]))
