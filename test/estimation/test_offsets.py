"""Joint offsets from images of several poses, and from pixels through torch."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation, StopReason
from drrobot_ros.estimation.offsets import OffsetConfig, find_joint_offsets
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

ARM = Path(__file__).parents[2] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
T_BASE_CAMERA = look_at((1.35, 0.75, 0.75), (0.1, 0.0, 0.35))
HOME = np.array([0.0, -0.6, 1.0, 0.3, 0.7, -0.3])
OFFSETS = np.radians([2.0, -1.5, 2.5, -2.0, 1.5, 3.0])
SMALL = PinholeCamera.from_fov(80, 60, np.radians(45))
CONFIG = OffsetConfig(fine_width=320)


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=6000, seed=0)


@pytest.fixture(scope="module")
def observations(arm):
    """Ten poses with masks, read wrongly."""
    rng = np.random.default_rng(3)
    try:
        robot = SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, SceneConfig(background="room"))
    except Exception as error:
        pytest.skip(f"no off-screen rendering: {error}")
    out = []
    for _ in range(10):
        q = HOME + np.array([0.7, 0.4, 0.4, 0.7, 0.7, 1.2]) * rng.uniform(-1, 1, 6)
        frame = robot.render(q)
        out.append(Observation(frame.rgb, CAMERA, 0.0, q - OFFSETS, mask=frame.mask))
    robot.close()
    return out


def error_deg(result):
    return np.degrees(np.abs(result.offsets - OFFSETS))


def test_found_with_masks(arm, gaussians, observations):
    result = find_joint_offsets(arm, gaussians, observations, T_BASE_CAMERA, CONFIG)
    assert result.stop_reason is StopReason.CONVERGED
    # The sixth joint turns a small tool.
    assert error_deg(result)[:5].max() < 0.25, error_deg(result)
    assert error_deg(result)[5] < 0.8
    assert result.joint_names == tuple(arm.joint_names)
    assert result.covariance.shape == (6, 6)
    assert (result.residuals < 0.9 * result.residuals_before).all()
    assert result.std[5] == result.std.max()
    assert not result.at_limit


def test_found_without_masks(arm, gaussians, observations):
    bare = [dataclasses.replace(o, mask=None) for o in observations]
    result = find_joint_offsets(arm, gaussians, bare, T_BASE_CAMERA, CONFIG)
    assert error_deg(result)[:5].max() < 0.4, error_deg(result)


def test_joints_not_asked_for_are_held(arm, gaussians, observations):
    names = arm.joint_names[:2]
    right = [
        dataclasses.replace(o, joint_positions=o.joint_positions + OFFSETS * [0, 0, 1, 1, 1, 1])
        for o in observations[:4]
    ]
    result = find_joint_offsets(arm, gaussians, right, T_BASE_CAMERA, CONFIG, joints=names)
    assert result.joint_names == tuple(names)
    assert error_deg(result)[:2].max() < 0.25
    assert not result.offsets[2:].any() and not result.std[2:].any()
    assert result.covariance.shape == (2, 2)


def test_an_offset_is_not_looked_for_beyond_the_bound(arm, gaussians, observations):
    config = dataclasses.replace(CONFIG, max_offset=np.radians(1.0), fine_width=80)
    result = find_joint_offsets(arm, gaussians, observations[:3], T_BASE_CAMERA, config)
    assert np.abs(result.offsets).max() <= np.radians(1.0) + 1e-12
    assert arm.joint_names[0] in result.at_limit


def test_bad_input(arm, gaussians, observations):
    def find(images, **more):
        return find_joint_offsets(arm, gaussians, images, T_BASE_CAMERA, CONFIG, **more)

    first = observations[0]
    with pytest.raises(InputError, match="no images"):
        find([])
    with pytest.raises(InputError, match="keyframe 0 needs joint positions of all 6"):
        find([dataclasses.replace(first, joint_positions=None)])
    q = first.joint_positions.copy()
    q[2] = np.nan
    with pytest.raises(InputError, match=f"{arm.joint_names[2]}' of keyframe 1 is at nan"):
        find([first, dataclasses.replace(first, joint_positions=q)])
    q[2] = 50.0
    with pytest.raises(InputError, match=f"joint '{arm.joint_names[2]}' of keyframe 0 is at 50"):
        find([dataclasses.replace(first, joint_positions=q)])
    with pytest.raises(InputError, match="elbow2"):
        find([first], joints=["elbow2"])
    with pytest.raises(InputError, match="T_base_camera"):
        find_joint_offsets(arm, gaussians, [first], np.eye(3), CONFIG)


def test_nothing_visible_is_said(arm, gaussians, observations):
    away = look_at((1.35, 0.75, 0.75), (3.0, -2.5, 0.75))
    with pytest.raises(InputError, match="no image of camera"):
        find_joint_offsets(arm, gaussians, observations[:2], away, CONFIG)


@pytest.fixture(scope="module")
def scene():
    model = RobotModel.load(ARM)
    splats = GaussianRobot.from_model(model, count=1500, seed=0)
    poses = torch.tensor(HOME) + torch.tensor([[0.0] * 6, [0.6, 0.3, -0.4, 0.5, -0.5, 0.6]])
    T = torch.tensor(T_BASE_CAMERA)
    truth = torch.zeros(6, dtype=torch.float64)
    truth[1], truth[2] = np.radians(3.0), np.radians(-2.0)
    with torch.no_grad():
        seen = [render_robot(model, splats, q + truth, T, SMALL) for q in poses]

    def loss():
        total = torch.zeros(())
        for q, (rgb, alpha, _) in zip(poses, seen, strict=True):
            got_rgb, got_alpha, _ = render_robot(model, splats, q, T, SMALL)
            total = total + ((got_rgb - rgb) ** 2).sum() + ((got_alpha - alpha) ** 2).sum()
        return total

    modules = [model.make_learnable(model.joint_names[j], "joint_offset") for j in (1, 2)]
    return modules, loss, truth[1:3]


class TestPixelsThroughTorch:
    """A learnable joint offset gets its gradient from the rasterizer."""

    def test_gradient_is_the_difference_quotient(self, scene):
        modules, loss, _ = scene
        values = [p for m in modules for p in m.parameters()]
        gradient = torch.autograd.grad(loss(), values)
        for value, slope in zip(values, gradient, strict=True):
            costs = []
            for step in (1e-3, -1e-3):
                with torch.no_grad():
                    value.add_(step)
                    costs.append(float(loss()))
                    value.sub_(step)
            assert float(slope) != 0
            assert float(slope) == pytest.approx((costs[0] - costs[1]) / 2e-3, rel=0.1)

    def test_adam_finds_the_offsets(self, scene):
        modules, loss, truth = scene
        values = [p for m in modules for p in m.parameters()]
        adam = torch.optim.Adam(values, lr=0.008)
        with torch.no_grad():
            first = float(loss())
        for step in range(40):
            adam.param_groups[0]["lr"] = 0.008 * 0.93**step
            adam.zero_grad()
            cost = loss()
            cost.backward()
            adam.step()
        found = torch.stack([v.detach().reshape(()) for v in values]).double()
        assert float(cost.detach()) < 0.15 * first
        assert ((found - truth).abs() < 0.4 * truth.abs()).all(), (found, truth)
