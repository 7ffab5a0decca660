"""Several cameras at once, and one carried by the arm."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackerConfig
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

FRONT = PinholeCamera.from_fov(320, 240, np.radians(45))
SIDE = PinholeCamera.from_fov(240, 240, np.radians(55))
T_FRONT = look_at((1.35, 0.75, 0.75), (0.1, 0.0, 0.35))
T_SIDE = look_at((0.6, -1.2, 0.6), (0.1, 0.0, 0.35))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
CONFIG = TrackerConfig(budget_ms=0.0)
SHIFT = exp_se3(np.array([0.02, -0.01, 0.02, 0.015, -0.02, 0.01]))


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=6000, seed=0)


def picture(arm, camera, T, q=Q):
    try:
        robot = SimulatedRobot(arm, camera, T, SceneConfig(background="room"))
    except Exception as error:
        pytest.skip(f"no off-screen rendering: {error}")
    with robot:
        return robot.render(q)


def see(frame, camera, name, **more):
    return Observation(frame.rgb, camera, 0.0, mask=frame.mask, camera_name=name, **more)


@pytest.fixture(scope="module")
def pair(arm):
    front, side = picture(arm, FRONT, T_FRONT), picture(arm, SIDE, T_SIDE)
    return [see(front, FRONT, "front"), see(side, SIDE, "side")]


def test_two_cameras_see_the_joints_better_than_one(arm, gaussians, pair):
    start = Q + np.radians(4) * np.array([1, -1, 1, -1, 1, -1])
    stds = []
    for images in (pair[:1], pair):
        tracker = Tracker(arm, gaussians, CONFIG, {"front": CameraMount(), "side": CameraMount()})
        tracker.reset(start, {"front": T_FRONT, "side": T_SIDE})
        for _ in range(3):
            estimate = tracker.update(images)
        assert set(estimate.cameras) == {o.camera_name for o in images}
        stds.append(estimate.q_std)
    assert np.degrees(np.abs(estimate.q - Q)).max() < 1.5
    assert (stds[1] < stds[0]).all()


def test_one_camera_is_known_and_the_other_found(arm, gaussians, pair):
    mounts = {"front": CameraMount(estimate=False), "side": CameraMount(estimate=True)}
    tracker = Tracker(arm, gaussians, CONFIG, mounts)
    tracker.reset(Q, {"front": T_FRONT, "side": T_SIDE @ SHIFT})
    for _ in range(4):
        estimate = tracker.update(pair)
    assert np.array_equal(estimate.cameras["front"].T, T_FRONT)
    assert not estimate.cameras["front"].covariance.any()
    error = np.linalg.norm(estimate.cameras["side"].T[:3, 3] - T_SIDE[:3, 3])
    assert error < 0.6 * np.linalg.norm((T_SIDE @ SHIFT)[:3, 3] - T_SIDE[:3, 3])
    assert (np.linalg.eigvalsh(estimate.cameras["side"].covariance) > 0).all()


def test_a_camera_on_the_arm(arm, gaussians):
    hand = arm.link_names[-1]
    T_hand = arm.forward_kinematics(torch.from_numpy(Q))[arm.link_index(hand)].numpy()
    T_base_camera = look_at(T_hand[:3, 3] + [0.55, 0.35, 0.3], (0.1, 0.0, 0.3))
    T_link_camera = np.linalg.inv(T_hand) @ T_base_camera
    frame = picture(arm, FRONT, T_base_camera)
    config = dataclasses.replace(CONFIG, estimate_joints=False, estimate_camera=True)
    tracker = Tracker(arm, gaussians, config, {"eye": CameraMount(link=hand)})
    tracker.reset(Q, T_link_camera @ SHIFT)
    for _ in range(4):
        estimate = tracker.update(see(frame, FRONT, None))
    got = estimate.cameras["eye"].T
    assert np.abs(got[:3, 3] - T_link_camera[:3, 3]).max() < 0.01
    assert np.allclose(estimate.T_base_camera, T_hand @ got)
    _, alpha, _ = tracker.render(estimate, FRONT)
    assert (alpha[frame.mask] > 0.5).mean() > 0.9


def test_bad_cameras(arm, gaussians, pair):
    mounts = {"front": CameraMount(), "side": CameraMount()}
    tracker = Tracker(arm, gaussians, CONFIG, mounts)
    tracker.reset(Q, {"front": T_FRONT})
    with pytest.raises(InputError, match="'side' is unknown"):
        tracker.update(pair)
    tracker.place("side", T_SIDE)
    assert set(tracker.update(pair).cameras) == {"front", "side"}
    with pytest.raises(InputError, match="one image per camera"):
        tracker.update([pair[0], pair[0]])
    with pytest.raises(InputError, match="rear"):
        tracker.update(dataclasses.replace(pair[0], camera_name="rear"))
    with pytest.raises(InputError, match="rear"):
        tracker.reset(Q, {"rear": T_FRONT})
    with pytest.raises(InputError, match="no image"):
        tracker.update([])
    with pytest.raises(InputError, match="at least one camera"):
        Tracker(arm, gaussians, CONFIG, {})
    with pytest.raises(InputError, match="wrist9"):
        Tracker(arm, gaussians, CONFIG, {"eye": CameraMount(link="wrist9")})
