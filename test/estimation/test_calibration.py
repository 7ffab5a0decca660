"""Calibration over keyframes, on simulated images: what it finds, what it says, what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import (
    CalibrationCamera,
    CalibrationCancelledError,
    CalibrationConfig,
    Verdict,
    calibrate,
)
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
SIDE = PinholeCamera.from_fov(240, 240, np.radians(55))
T_FRONT = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
T_SIDE = look_at((0.6, -1.2, 0.7), (0.1, 0.0, 0.35))
HOME = np.array([0.0, -0.6, 1.0, 0.3, 0.7, -0.3])
OFFSETS = np.radians([0.0, -1.5, 2.0, -2.0, 1.5, 0.0])
SHIFT = exp_se3(np.array([0.03, -0.03, 0.03, 0.03, -0.03, 0.02]))
CONFIG = CalibrationConfig(fine_width=240, rounds=2, hypotheses=0)


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=6000, seed=0)


def draw(arm, camera, T, poses):
    try:
        robot = SimulatedRobot(arm, camera, T, SceneConfig(background="room", shadows=False))
    except Exception as error:
        pytest.skip(f"no off-screen rendering: {error}")
    with robot:
        return [robot.render(q) for q in poses]


@pytest.fixture(scope="module")
def poses():
    rng = np.random.default_rng(3)
    return HOME + np.array([0.7, 0.4, 0.4, 0.7, 0.7, 1.2]) * rng.uniform(-1, 1, (6, 6))


@pytest.fixture(scope="module")
def front(arm, poses):
    """Six keyframes with masks, read with offsets."""
    return [
        Observation(f.rgb, CAMERA, float(i), f.q - OFFSETS, mask=f.mask, camera_name="front")
        for i, f in enumerate(draw(arm, CAMERA, T_FRONT, poses))
    ]


@pytest.fixture(scope="module")
def side(arm, poses):
    return [
        Observation(f.rgb, SIDE, float(i), f.q - OFFSETS, mask=f.mask, camera_name="side")
        for i, f in enumerate(draw(arm, SIDE, T_SIDE, poses))
    ]


def start(T=T_FRONT, **more):
    return {"front": CalibrationCamera(T @ SHIFT, **more)}


def error_mm_deg(T, true):
    R = T[:3, :3].T @ true[:3, :3]
    angle = np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))
    return 1e3 * np.linalg.norm(T[:3, 3] - true[:3, 3]), np.degrees(angle)


@pytest.fixture(scope="module")
def result(arm, gaussians, front):
    return calibrate(arm, gaussians, front, start(), CONFIG, joints=arm.joint_names[1:5])


def test_camera_and_offsets_together(arm, result):
    camera = result.cameras["front"]
    mm, deg = error_mm_deg(camera.T, T_FRONT)
    assert mm < 15 and deg < 0.6
    assert np.degrees(np.abs(result.offsets - OFFSETS)).max() < 0.8
    assert result.joint_names == tuple(arm.joint_names[1:5])
    assert not result.offsets[[0, 5]].any() and not result.offset_std[[0, 5]].any()
    assert result.covariance.shape == (10, 10)
    assert 0 < camera.std_m < 0.05 and 0 < camera.std_rad < 0.05
    assert result.verdict is not Verdict.FAILED
    assert (result.residuals < 0.5 * result.residuals_before).all()
    assert not any(k.rejected for k in result.keyframes)


def test_the_first_joint_is_told_from_a_turn_of_the_camera(arm, gaussians, front):
    """The outline of the base tells them apart, to a tenth of a pixel."""
    config = dataclasses.replace(CONFIG, fine_width=320, rounds=4)
    found = calibrate(arm, gaussians, front, start(), config, joints=arm.joint_names[:5])
    mm, deg = error_mm_deg(found.cameras["front"].T, T_FRONT)
    assert mm < 2 and deg < 0.1, (mm, deg)
    assert np.degrees(np.abs(found.offsets - OFFSETS))[:5].max() < 0.25


def test_two_cameras_at_once(arm, gaussians, front, side):
    both = [list(pair) for pair in zip(front, side, strict=True)][:5]
    cameras = {**start(), "side": CalibrationCamera(T_SIDE @ SHIFT)}
    config = dataclasses.replace(CONFIG, estimate_offsets=True)
    found = calibrate(arm, gaussians, both, cameras, config, joints=arm.joint_names[1:4])
    for name, true in (("front", T_FRONT), ("side", T_SIDE)):
        mm, deg = error_mm_deg(found.cameras[name].T, true)
        assert mm < 15 and deg < 0.6, (name, mm, deg)
    assert len(found.keyframes) == 10 and {k.camera for k in found.keyframes} == {"front", "side"}


def test_a_wrong_keyframe_is_left_out(arm, gaussians, front):
    wrong = dataclasses.replace(front[2], joint_positions=front[2].joint_positions + 0.25)
    images = [*front[:2], wrong, *front[3:]]
    found = calibrate(arm, gaussians, images, start(), CONFIG, joints=arm.joint_names[1:4])
    assert [k.index for k in found.keyframes if k.rejected] == [2]
    assert found.keyframes[2].reason
    mm, deg = error_mm_deg(found.cameras["front"].T, T_FRONT)
    assert mm < 15 and deg < 0.6


def test_lag_of_a_moving_arm(arm, gaussians, front, poses):
    lag = 0.05
    rng = np.random.default_rng(5)
    images = []
    for image, q in zip(front, poses, strict=True):
        velocity = rng.uniform(-1, 1, 6)
        read = q - lag * velocity
        images.append(dataclasses.replace(image, joint_positions=read, joint_velocities=velocity))
    config = dataclasses.replace(CONFIG, estimate_offsets=False, estimate_lag=True)
    found = calibrate(arm, gaussians, images, start(), config).cameras["front"]
    assert found.lag_s == pytest.approx(lag, abs=0.008)
    assert 0 < found.lag_std_s < 0.02


def test_a_camera_on_a_link(arm, gaussians, poses):
    hand = arm.link_names[-1]
    config = dataclasses.replace(CONFIG, estimate_offsets=False)
    links = arm.forward_kinematics(torch.from_numpy(poses)).numpy()[:, arm.link_index(hand)]
    T_first = look_at(links[0, :3, 3] + [0.45, 0.3, 0.3], (0.1, 0.0, 0.3))
    T_link = np.linalg.inv(links[0]) @ T_first
    images = []
    for q, T_hand in zip(poses[:5], links, strict=False):
        frame = draw(arm, CAMERA, T_hand @ T_link, [q])[0]
        if frame.mask.mean() > 0.01:
            images.append(Observation(frame.rgb, CAMERA, 0.0, q, mask=frame.mask))
    assert len(images) >= 3
    cameras = CalibrationCamera(T_link @ SHIFT, link=hand)
    found = calibrate(arm, gaussians, images, cameras, config).cameras["camera"]
    mm, deg = error_mm_deg(found.T, T_link)
    assert mm < 12 and deg < 0.8, (mm, deg)
    assert found.link == hand


def test_progress_is_told_and_can_cancel(arm, gaussians, front):
    told = []

    def stop_at_three(progress):
        told.append(progress)
        return len(told) < 3

    with pytest.raises(CalibrationCancelledError, match="cancelled"):
        calibrate(arm, gaussians, front[:4], start(), CONFIG, progress=stop_at_three)
    assert len(told) == 3 and told[0].step == 0 and told[-1].steps > 3
    assert told[-1].cameras["front"].shape == (4, 4) and told[-1].offsets.shape == (6,)
    picture = told[-1].overlay(1)
    assert picture.shape == front[1].image.shape and (picture != front[1].image).any()


def test_another_robot_is_not_believed(arm, gaussians, front):
    """The images show this arm, but the description has a link half as long again."""
    q = [dataclasses.replace(o, joint_positions=o.joint_positions[::-1].copy()) for o in front]
    config = dataclasses.replace(CONFIG, estimate_offsets=False)
    found = calibrate(arm, gaussians, q, start(), config)
    assert found.verdict is not Verdict.GOOD and found.reasons


def test_a_joint_no_image_shows_is_named(arm, gaussians, front):
    """Covered by an ignored region, the wrist cannot be seen."""
    hidden = np.ones((240, 320), bool)
    hidden[150:] = False
    images = [dataclasses.replace(o, ignore_mask=hidden) for o in front[:4]]
    config = dataclasses.replace(CONFIG, estimate_camera=False)
    cameras = {"front": CalibrationCamera(T_FRONT)}
    found = calibrate(arm, gaussians, images, cameras, config, joints=arm.joint_names[4:])
    assert any(arm.joint_names[5] in text for text in found.unobservable)


def test_bad_input(arm, gaussians, front):
    def run(images, cameras=None, **more):
        config = dataclasses.replace(CONFIG, **more)
        return calibrate(arm, gaussians, images, cameras or start(), config)

    with pytest.raises(InputError, match="2 keyframes are too few"):
        run(front[:2])
    with pytest.raises(InputError, match="never moves"):
        run([front[0]] * 4)
    with pytest.raises(InputError, match="behind it"):
        behind = T_FRONT @ np.diag([-1.0, 1.0, -1.0, 1.0])
        run(front, {"front": CalibrationCamera(behind)})
    with pytest.raises(InputError, match="no image of camera"):
        run(front, {"front": CalibrationCamera(look_at((1.25, 0.7, 0.75), (1.27, -0.8, 0.35)))})
    with pytest.raises(InputError, match="front"):
        run(front, {"rear": CalibrationCamera(T_FRONT)})
    with pytest.raises(InputError, match="'rear' has no image"):
        run(front, {**start(), "rear": CalibrationCamera(T_FRONT)})
    with pytest.raises(InputError, match="joint_velocities"):
        run(front, estimate_lag=True)
    with pytest.raises(InputError, match="rotation"):
        run(front, {"front": CalibrationCamera(np.diag([2.0, 1, 1, 1]))})
    with pytest.raises(InputError, match="keyframe 1 needs joint positions"):
        run([front[0], dataclasses.replace(front[1], joint_positions=None), front[2]])
