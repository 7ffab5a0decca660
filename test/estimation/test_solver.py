"""Levenberg-Marquardt: limits, priors, and why it stops."""

import time

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.estimation.problem import JointPrior, Problem, StopReason, View
from drrobot_ros.estimation.solver import SolverConfig, solve
from drrobot_ros.geometry.camera import PinholeCamera, look_at

CAMERA = PinholeCamera.from_fov(120, 90, np.radians(45))
T = look_at((1.3, 0.7, 0.9), (0.1, 0.0, 0.3))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])


@pytest.fixture(scope="module")
def setting(arm, arm_gaussians):
    image_model = ImageModel(arm.tree, arm_gaussians, arm.nq, arm.nv)
    coordinates = Coordinates.of(arm.tree, arm.nq, arm.nv)
    bare = ImageTarget(CAMERA.K, CAMERA.width, CAMERA.height)
    return arm, image_model, coordinates, image_model.images(Q, T, bare)


def problem(setting, lower=None, upper=None, priors=(), joints=None):
    arm, image_model, _, seen = setting
    target = ImageTarget(
        CAMERA.K,
        CAMERA.width,
        CAMERA.height,
        color=seen.rgb,
        background=np.zeros_like(seen.rgb),
        mask=seen.alpha,
    )
    free = np.ones(arm.nv, bool) if joints is None else joints
    return Problem(
        [View(image_model, target)],
        ParameterColumns.make(arm.nv, free, False),
        arm.lower if lower is None else lower,
        arm.upper if upper is None else upper,
        joint_priors=priors,
    )


def test_returns_to_the_pose_that_made_the_image(setting):
    start = Q + np.radians(2) * np.array([1, -1, 1, -1, 1, -1])
    found = solve(problem(setting), setting[2], start, T, SolverConfig(), 40)
    assert np.degrees(np.abs(found.q - Q)).max() < 0.1
    assert found.stop_reason in (StopReason.CONVERGED, StopReason.STALLED)
    assert found.statistics[0].intersection / found.statistics[0].union > 0.99


def test_never_returns_a_worse_state_than_its_start(setting):
    start = Q + 0.8
    p = problem(setting)
    first = solve(p, setting[2], start, T, SolverConfig(), 1)
    later = solve(p, setting[2], start, T, SolverConfig(), 15)
    assert later.cost <= first.cost and first.iterations == 1


def test_stops_at_a_limit_and_moves_the_other_joints(setting):
    upper = setting[0].upper.copy()
    upper[1] = Q[1] - np.radians(3)
    start = Q - np.radians(5)
    found = solve(problem(setting, upper=upper), setting[2], start, T, SolverConfig(), 40)
    assert found.q[1] == pytest.approx(upper[1])
    assert np.degrees(abs(found.q[0] - Q[0])) < 2.0


def test_held_joints_do_not_move(setting):
    joints = np.array([True, True, True, False, False, False])
    start = Q + 0.02
    found = solve(problem(setting, joints=joints), setting[2], start, T, SolverConfig(), 20)
    assert np.array_equal(found.q[3:], start[3:])
    assert not np.array_equal(found.q[:3], start[:3])


def test_a_prior_pulls_by_its_sigma_and_ignores_unknown_readings(setting):
    mean = Q + np.radians(2)
    mean[4] = np.nan
    tight = JointPrior(mean, np.full(6, 1e-5))
    found = solve(problem(setting, priors=[tight]), setting[2], Q, T, SolverConfig(), 40)
    known = [0, 1, 2, 3, 5]
    assert np.allclose(found.q[known], mean[known], atol=np.radians(0.1))
    assert np.isfinite(found.q).all()
    assert (np.diag(found.H)[known] > 1e9).all() and np.diag(found.H)[4] < 1e9


def test_says_that_nothing_is_visible(setting):
    away = look_at((1.3, 0.7, 0.9), (5.0, 5.0, 0.9))
    found = solve(problem(setting), setting[2], Q, away, SolverConfig(), 10)
    assert found.stop_reason is StopReason.NOTHING_VISIBLE
    assert np.array_equal(found.q, Q)


def test_keeps_its_budget(setting):
    started = time.perf_counter()
    found = solve(problem(setting), setting[2], Q + 0.1, T, SolverConfig(), 10**6, started)
    assert found.stop_reason is StopReason.BUDGET
    assert found.iterations <= 2


def test_settings_are_checked():
    with pytest.raises(InputError, match=r"SolverConfig\.damping is -1"):
        SolverConfig(damping=-1.0)
