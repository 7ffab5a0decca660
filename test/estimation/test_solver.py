"""Levenberg-Marquardt: what it finds of offsets, cameras and lags, limits, priors, why it stops."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.linearization import linearize
from drrobot_ros.estimation.manifold import Coordinates, exp_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.problem import (
    CameraPrior,
    CameraUnknown,
    JointPrior,
    Layout,
    Moment,
    Problem,
    State,
    StopReason,
    View,
)
from drrobot_ros.estimation.solver import SolverConfig, move, offset_bounds, solve
from drrobot_ros.geometry.camera import PinholeCamera, look_at

CAMERA = PinholeCamera.from_fov(120, 90, np.radians(45))
SECOND = PinholeCamera.from_fov(96, 96, np.radians(55))
T = look_at((1.3, 0.7, 0.9), (0.1, 0.0, 0.3))
T_SECOND = look_at((0.9, -1.0, 0.6), (0.1, 0.0, 0.3))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
OFFSET = np.radians([1.5, -1.0, 2.0, -1.5, 1.0, 2.0])
SHIFT = exp_se3(np.array([0.03, -0.02, 0.03, 0.02, -0.015, 0.02]))


@pytest.fixture(scope="module")
def setting(arm, arm_gaussians):
    image_model = ImageModel(arm.tree, arm_gaussians, arm.nq, arm.nv)
    return arm, image_model, Coordinates.of(arm.tree, arm.nq, arm.nv)


def seen(setting, q, T_camera, camera=CAMERA, link=-1):
    """What a camera sees of the arm at q, as a target."""
    bare = ImageTarget(camera.K, camera.width, camera.height, camera_link=link)
    image = setting[1].images(q, T_camera, bare)
    return dataclasses.replace(
        bare, color=image.rgb, background=np.zeros_like(image.rgb), mask=image.alpha
    )


def moment(setting, q_true, q_read, views, **more):
    """One moment: views are pairs of true pose and (intrinsics, link, index)."""
    out = []
    for T_camera, camera, link, index in views:
        target = seen(setting, q_true, T_camera, camera, link)
        out.append(View(setting[1], target, index))
    return Moment(q_read, out, **more)


def problem(setting, start=Q, lower=None, upper=None, priors=(), joints=None, T_start=T):
    """One image of the arm at Q."""
    arm = setting[0]
    view = View(setting[1], seen(setting, Q, T))
    return Problem(
        [Moment(start, [view], priors=priors)],
        [CameraUnknown(T_start)],
        np.ones(arm.nv, bool) if joints is None else joints,
        arm.lower if lower is None else lower,
        arm.upper if upper is None else upper,
    )


def poses(count, seed=0):
    rng = np.random.default_rng(seed)
    return Q + np.array([0.7, 0.4, 0.4, 0.7, 0.7, 1.0]) * rng.uniform(-1, 1, (count, 6))


def run(setting, p, iterations=40, **more):
    return solve(p, setting[2], SolverConfig(), iterations, **more)


def test_returns_to_the_pose_that_made_the_image(setting):
    start = Q + np.radians(2) * np.array([1, -1, 1, -1, 1, -1])
    found = run(setting, problem(setting, start))
    assert np.degrees(np.abs(found.q - Q)).max() < 0.1
    assert np.allclose(found.state.offset, found.q - start)
    assert found.stop_reason in (StopReason.CONVERGED, StopReason.STALLED)
    assert found.statistics[0].intersection / found.statistics[0].union > 0.99


def test_never_returns_a_worse_state_than_its_start(setting):
    p = problem(setting, Q + 0.8)
    first, later = run(setting, p, 1), run(setting, p, 15)
    assert later.cost <= first.cost and first.iterations == 1


def test_goes_on_where_another_solution_ended(setting):
    p = problem(setting, Q + 0.03)
    first = run(setting, p, 2)
    assert run(setting, p, 1, start=first.state).cost == pytest.approx(first.cost)


def test_stops_at_a_limit_and_moves_the_other_joints(setting):
    upper = setting[0].upper.copy()
    upper[1] = Q[1] - np.radians(3)
    found = run(setting, problem(setting, Q - np.radians(5), upper=upper))
    assert found.q[1] == pytest.approx(upper[1])
    assert np.degrees(abs(found.q[0] - Q[0])) < 2.0


def test_held_joints_do_not_move(setting):
    joints = np.array([True, True, True, False, False, False])
    start = Q + 0.02
    found = run(setting, problem(setting, start, joints=joints), 20)
    assert np.array_equal(found.q[3:], start[3:])
    assert not np.array_equal(found.q[:3], start[:3])


def test_a_prior_pulls_by_its_sigma_and_ignores_unknown_readings(setting):
    mean = Q + np.radians(2)
    mean[4] = np.nan
    tight = JointPrior(mean, np.full(6, 1e-5))
    found = run(setting, problem(setting, priors=[tight]))
    known = [0, 1, 2, 3, 5]
    assert np.allclose(found.q[known], mean[known], atol=np.radians(0.1))
    assert np.isfinite(found.q).all()
    assert (np.diag(found.H)[known] > 1e9).all() and np.diag(found.H)[4] < 1e9


def test_offset_and_camera_from_several_moments(setting):
    moments = [moment(setting, q + OFFSET, q, [(T, CAMERA, -1, 0)]) for q in poses(5)]
    p = problem(setting)
    wrong = T @ SHIFT
    p = dataclasses.replace(p, moments=moments, cameras=[CameraUnknown(wrong, True)])
    found = run(setting, p)
    assert np.degrees(np.abs(found.state.offset - OFFSET)).max() < 0.1
    assert np.abs(found.T_camera - T).max() < 2e-3
    assert found.H.shape == (12, 12) and found.informations.shape == (5, 12, 12)
    assert np.allclose(found.informations.sum(0), found.H)


def test_two_cameras_of_different_intrinsics(setting):
    views = [(T, CAMERA, -1, 0), (T_SECOND, SECOND, -1, 1)]
    moments = [moment(setting, q + OFFSET, q, views) for q in poses(3)]
    cameras = [CameraUnknown(T @ SHIFT, True), CameraUnknown(T_SECOND @ SHIFT, True)]
    p = dataclasses.replace(problem(setting), moments=moments, cameras=cameras)
    found = run(setting, p)
    assert np.degrees(np.abs(found.state.offset - OFFSET)).max() < 0.1
    for got, true in zip(found.state.T_cameras, (T, T_SECOND), strict=True):
        assert np.abs(got - true).max() < 2e-3
    assert found.layout.camera == (6, 12) and found.layout.count == 18


def test_a_camera_carried_by_a_link(setting):
    arm = setting[0]
    hand = arm.link_index(arm.link_names[-1])
    T_base_hand = arm.forward_kinematics(torch.from_numpy(Q))[hand].numpy()
    eye = T_base_hand[:3, 3] + np.array([0.5, 0.3, 0.3])
    T_eye = np.linalg.inv(T_base_hand) @ look_at(eye, (0.1, 0.0, 0.3))
    moments = [moment(setting, q, q, [(T_eye, SECOND, hand, 0)]) for q in poses(6)]
    p = dataclasses.replace(
        problem(setting, joints=np.zeros(6, bool)),
        moments=moments,
        cameras=[CameraUnknown(T_eye @ SHIFT, True)],
    )
    found = run(setting, p)
    assert found.stop_reason is not StopReason.NOTHING_VISIBLE
    assert np.abs(found.T_camera - T_eye).max() < 2e-3


def test_lag_from_a_moving_arm(setting):
    lag = 0.04
    rng = np.random.default_rng(2)
    moments = []
    for q in poses(4):
        velocity = rng.uniform(-1, 1, 6)
        moments.append(
            moment(setting, q + lag * velocity, q, [(T, CAMERA, -1, 0)], velocity=velocity)
        )
    p = dataclasses.replace(
        problem(setting), moments=moments, cameras=[CameraUnknown(T @ SHIFT, True, lag_free=True)]
    )
    found = run(setting, p)
    assert found.state.lag_s[0] == pytest.approx(lag, abs=1e-3)
    assert np.degrees(np.abs(found.state.offset)).max() < 0.1
    assert found.layout.lag == (12,)


def test_deviations_of_single_moments_are_eliminated(setting):
    rng = np.random.default_rng(3)
    noise = np.radians(0.5) * rng.normal(size=(4, 6))
    moments = [
        moment(setting, q + e, q, [(T, CAMERA, -1, 0)], sigma=np.full(6, np.radians(0.5)))
        for q, e in zip(poses(4), noise, strict=True)
    ]
    p = dataclasses.replace(
        problem(setting, joints=np.zeros(6, bool)),
        moments=moments,
        cameras=[CameraUnknown(T @ SHIFT, True)],
    )
    found = run(setting, p)
    exact = run(
        setting,
        dataclasses.replace(p, moments=[dataclasses.replace(m, sigma=None) for m in moments]),
    )
    assert np.abs(found.T_camera - T).max() < 0.3 * np.abs(exact.T_camera - T).max()
    left = np.abs(found.state.deviation - noise)[:, :3]
    assert np.median(left) < 0.5 * np.median(np.abs(noise[:, :3]))
    # What a moment may explain by itself tells less of the camera.
    assert np.linalg.det(found.H) < 0.5 * np.linalg.det(exact.H)


def test_the_gradient_is_that_of_the_cost(setting):
    """With every kind of unknown at once, the eliminated one at its optimum."""
    rng = np.random.default_rng(4)
    moments = [
        moment(
            setting,
            q + OFFSET,
            q,
            [(T, CAMERA, -1, 0), (T_SECOND, SECOND, -1, 1)],
            velocity=rng.uniform(-1, 1, 6),
            sigma=np.full(6, 1e-4),
            priors=[JointPrior(q + 0.01, np.full(6, 0.05))],
        )
        for q in poses(2)
    ]
    prior = CameraPrior(T, np.full(6, 0.02))
    p = dataclasses.replace(
        problem(setting),
        moments=moments,
        cameras=[
            CameraUnknown(T @ SHIFT, True, prior, lag_free=True, lag_sigma_s=0.1),
            CameraUnknown(T_SECOND @ SHIFT, True, lag_s=0.01, lag_free=True),
        ],
        offset_sigma=np.full(6, 0.05),
        image_weight=0.01,
    )
    layout = Layout.of(p)
    state = State.start(p)
    at = linearize(p, layout, setting[2], state)
    bounds = offset_bounds(p, setting[2])
    still = dataclasses.replace(at, eliminations=(None,) * 2)
    scale = np.abs(at.g).max()
    for column in range(layout.count):
        step = np.zeros(layout.count)
        step[column] = 1e-3
        costs = [
            linearize(p, layout, setting[2], move(p, layout, setting[2], bounds, still, s)).cost
            for s in (step, -step)
        ]
        slope = (costs[0] - costs[1]) / 2e-3
        assert slope == pytest.approx(at.g[column], rel=0.1, abs=0.02 * scale), column


def test_a_view_of_weight_zero_is_left_out(setting):
    good = [moment(setting, q + OFFSET, q, [(T, CAMERA, -1, 0)]) for q in poses(4)]
    bad = moment(setting, Q + 0.3, Q, [(T, CAMERA, -1, 0)])
    out = dataclasses.replace(bad, views=[dataclasses.replace(bad.views[0], weight=0.0)])
    errors = []
    for extra in (bad, out):
        p = dataclasses.replace(problem(setting), moments=[*good, extra])
        errors.append(np.degrees(np.abs(run(setting, p).state.offset - OFFSET)).max())
    assert errors[1] < 0.1 < errors[0]


def test_says_that_nothing_is_visible(setting):
    away = look_at((1.3, 0.7, 0.9), (5.0, 5.0, 0.9))
    found = run(setting, problem(setting, T_start=away), 10)
    assert found.stop_reason is StopReason.NOTHING_VISIBLE
    assert np.array_equal(found.q, Q)


def test_keeps_its_budget(setting):
    found = run(setting, problem(setting, Q + 0.1), 10**6, deadline_s=time.perf_counter())
    assert found.stop_reason is StopReason.BUDGET
    assert found.iterations <= 2


def test_settings_are_checked():
    with pytest.raises(InputError, match=r"SolverConfig\.damping is -1"):
        SolverConfig(damping=-1.0)
