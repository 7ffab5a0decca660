"""Optimizers reach goals, keep limits and budgets, and repeat themselves bit by bit."""

import time

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.objectives import (
    ImageGoal,
    PointTracks,
    Smoothness,
    StayNear,
    Term,
    WeightedSum,
)
from drrobot_ros.control.objectives.tracks import visible_points
from drrobot_ros.control.optimizers import OptimizerConfig, StopReason, optimize
from drrobot_ros.errors import InputError

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])


def test_an_image_goal_is_reached(arm, splats, view, arm_limits) -> None:
    goal = Q + np.radians([20, -20, 20, 20, -20, 20])
    seen = Candidate(arm, splats, torch.from_numpy(goal)[None], (view,)).render(0, 0)
    image = ImageGoal(seen.rgb.numpy().clip(0, 1), seen.alpha.numpy().clip(0, 1))
    config = OptimizerConfig(starts=6, iterations=150, start_spread=0.4, budget_s=0.0)
    told = []

    def watch(progress) -> bool:
        told.append(progress)
        return True

    found = optimize(
        arm, splats, WeightedSum([Term(image)]), Q, arm_limits, (view,), config, watcher=watch
    )
    assert np.degrees(np.abs(found.q[0] - goal)).max() < 2
    assert found.cost < 0.01 * found.start_cost
    assert [p.cost for p in told] == sorted((p.cost for p in told), reverse=True)
    assert told[-1].fraction == pytest.approx(1.0)
    assert found.terms["image"] == pytest.approx(found.cost)


def test_a_motion_is_found_from_its_tracks(arm, splats, view, arm_limits) -> None:
    t = np.linspace(0, 1, 8)[:, None]
    truth = Q + 0.35 * np.sin(2.5 * t + np.arange(6)) - 0.35 * np.sin(np.arange(6))
    links, points = visible_points(
        Candidate(arm, splats, torch.from_numpy(Q)[None], (view,)), 0, 60
    )
    project = PointTracks(np.zeros((8, 60, 2)), view, links, points, True).project
    tracks = project(Candidate(arm, splats, torch.from_numpy(truth))).numpy()
    objective = WeightedSum(
        [
            Term(PointTracks(tracks, view, links, points, True)),
            Term(Smoothness(1 / 7), 1e-5),
        ]
    )
    config = OptimizerConfig(starts=1, iterations=300, learning_rate=0.03, budget_s=0.0)
    found = optimize(arm, splats, objective, np.tile(Q, (8, 1)), arm_limits, (), config)
    assert np.degrees(np.median(np.abs(found.q - truth))) < 1.5
    assert np.degrees(np.median(np.abs(Q - truth))) > 5


def far(arm) -> WeightedSum:
    return WeightedSum([Term(StayNear(np.full(6, 50.0)))])


def test_what_is_found_is_within_the_limits_and_only_free_joints_move(
    arm, splats, arm_limits
) -> None:
    free = np.array([True, False, True, False, False, True])
    config = OptimizerConfig(starts=3, iterations=400, learning_rate=0.5, budget_s=0.0)
    found = optimize(arm, splats, far(arm), Q, arm_limits, (), config, free)
    assert np.array_equal(found.q[0, ~free], Q[~free])
    assert np.allclose(found.q[0, free], arm_limits.upper[free])
    assert found.stop_reason is StopReason.CONVERGED


def test_the_same_seed_gives_the_same_bits(arm, splats, view, arm_limits) -> None:
    image = WeightedSum([Term(ImageGoal(np.full((96, 128, 3), 0.5)))])
    config = OptimizerConfig(starts=3, iterations=8, budget_s=0.0, seed=4)
    runs = [optimize(arm, splats, image, Q, arm_limits, (view,), config) for _ in range(2)]
    assert np.array_equal(runs[0].q, runs[1].q)
    other = OptimizerConfig(starts=3, iterations=8, budget_s=0.0, seed=5)
    again = optimize(arm, splats, image, Q, arm_limits, (view,), other)
    assert not np.array_equal(runs[0].q, again.q)


def test_it_stops_when_told_and_when_time_is_up(arm, splats, arm_limits) -> None:
    config = OptimizerConfig(iterations=100000, learning_rate=1e-4, budget_s=0.3)
    began = time.perf_counter()
    found = optimize(arm, splats, far(arm), Q, arm_limits, (), config)
    assert found.stop_reason is StopReason.BUDGET
    assert 0.25 < time.perf_counter() - began < 2
    stopped = optimize(
        arm, splats, far(arm), Q, arm_limits, (), config, watcher=lambda p: p.step < 20
    )
    assert stopped.stop_reason is StopReason.CANCELED
    assert stopped.steps < 100


def test_bad_starts_are_refused(arm, splats, arm_limits) -> None:
    with pytest.raises(InputError, match="joint 'joint_2' at 9"):
        optimize(arm, splats, far(arm), Q + 9.5 * np.eye(6)[1], arm_limits)
    with pytest.raises(InputError, match=r"start must be \[6\] or \[T, 6\]"):
        optimize(arm, splats, far(arm), np.zeros(5), arm_limits)
    with pytest.raises(InputError, match="free must be 6 booleans"):
        optimize(arm, splats, far(arm), Q, arm_limits, free=np.zeros(6, bool))
