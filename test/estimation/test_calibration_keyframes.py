"""Which images are kept while the arm moves."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import CalibrationCamera, KeyframeConfig, KeyframeSelector
from drrobot_ros.geometry.camera import PinholeCamera, look_at

CAMERA = PinholeCamera.from_fov(160, 120, np.radians(45))
T = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
IMAGE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)


def see(q, stamp_s=0.0, image=IMAGE, **more):
    return Observation(image, CAMERA, stamp_s, np.asarray(q), **more)


@pytest.fixture
def selector(arm, arm_gaussians):
    return KeyframeSelector(arm, arm_gaussians, CalibrationCamera(T))


def test_the_first_image_is_kept_and_the_same_pose_is_not(selector):
    first = selector.offer(see(Q))
    assert first.accepted and first.gain > 10 and not first.reason
    again = selector.offer(see(Q + 0.01, 5.0))
    assert not again.accepted and "no joint" in again.reason
    assert len(selector.keyframes) == 1


def test_a_new_pose_adds_information(selector):
    selector.offer(see(Q))
    before = np.linalg.slogdet(selector.information)[1]
    assert selector.offer(see(Q + np.array([0.5, 0.3, -0.3, 0.5, 0.5, 0.5]), 5.0)).accepted
    assert np.linalg.slogdet(selector.information)[1] > before


def test_more_of_the_same_ends(arm, arm_gaussians):
    """Turning the last joint only soon tells nothing new."""
    selector = KeyframeSelector(
        arm, arm_gaussians, CalibrationCamera(T), KeyframeConfig(min_gain=8.0)
    )
    turns = np.outer(0.12 * np.arange(8), np.eye(6)[5])
    decisions = [selector.offer(see(Q + t, 5.0 * i)) for i, t in enumerate(turns)]
    assert decisions[0].accepted and not decisions[-1].accepted
    assert "tells" in decisions[-1].reason
    assert decisions[-1].gain < decisions[0].gain


def test_a_moving_arm_is_not_looked_at(selector):
    told = selector.offer(see(Q, joint_velocities=np.full(6, 0.5)))
    assert not told.accepted and "moves at 0.5" in told.reason
    selector.offer(see(Q, 1.0))
    seen = selector.offer(see(Q + 0.05, 1.1))
    assert not seen.accepted and "moves at" in seen.reason


def test_a_blurred_image_is_not_kept(selector):
    assert selector.offer(see(Q)).accepted
    blurred = np.full_like(IMAGE, 127)
    decision = selector.offer(see(Q + 0.5, 5.0, blurred))
    assert not decision.accepted and "blurred" in decision.reason


def test_a_robot_out_of_sight(arm, arm_gaussians):
    away = CalibrationCamera(look_at((1.25, 0.7, 0.75), (3.0, 3.0, 0.75)))
    decision = KeyframeSelector(arm, arm_gaussians, away).offer(see(Q))
    assert not decision.accepted and "covers 0.0 %" in decision.reason


def test_bad_input(selector):
    with pytest.raises(InputError, match="joint positions"):
        selector.offer(Observation(IMAGE, CAMERA, 0.0))
    with pytest.raises(InputError, match="rear"):
        selector.offer(see(Q, camera_name="rear"))
