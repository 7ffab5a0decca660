"""What a calibration believes of itself: right results, wrong readings, cameras wrong way up."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import (
    CalibrationCamera,
    CalibrationConfig,
    Verdict,
    calibrate,
)
from drrobot_ros.estimation.calibration.cold import CameraStart
from drrobot_ros.estimation.calibration.halves import disagreement, halves_of
from drrobot_ros.estimation.calibration.images import is_hard
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.estimation.problem import Layout, Solution, State, StopReason
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.coverage import LinkMeshes
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(240, 180, np.radians(45))
T_FRONT = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
START = T_FRONT @ exp_se3(np.array([0.02, -0.02, 0.02, 0.02, -0.02, 0.01]))
HOME = np.array([0.0, -0.6, 1.0, 0.3, 0.7, -0.3])
CONFIG = CalibrationConfig(
    fine_width=240, rounds=2, hypotheses=0, estimate_offsets=False, link_sigma_m=0.0
)


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=5000, seed=0)


@pytest.fixture(scope="module")
def masked(arm):
    """Eight poses drawn as masks from the meshes."""
    rng = np.random.default_rng(3)
    meshes = LinkMeshes.of(arm.visuals)
    seen = []
    for i, q in enumerate(
        HOME + np.array([0.7, 0.4, 0.4, 0.7, 0.7, 1.2]) * rng.uniform(-1, 1, (8, 6))
    ):
        links = arm.forward_kinematics(q).numpy()
        mask = meshes.coverage(np.linalg.inv(T_FRONT) @ links, CAMERA, hard=True)
        blank = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
        seen.append(Observation(blank, CAMERA, float(i), q, mask=mask > 0.5))
    return seen


def read_wrongly(observations, degrees):
    rng = np.random.default_rng(0)
    return [
        dataclasses.replace(
            o, joint_positions=o.joint_positions + np.radians(degrees) * rng.choice([-1, 1], 6)
        )
        for o in observations
    ]


def test_what_is_right_is_good(arm, gaussians, masked):
    found = calibrate(arm, gaussians, masked, CalibrationCamera(START), CONFIG)
    camera = found.cameras["camera"]
    assert found.verdict is Verdict.GOOD, found.reasons
    assert np.linalg.norm(camera.T[:3, 3] - T_FRONT[:3, 3]) < 3 * camera.std_m
    assert camera.std_m < 0.005
    assert found.residuals.max() < 0.02


def test_readings_wrong_in_every_image_are_doubted(arm, gaussians, masked):
    wrong = read_wrongly(masked, 3.0)
    found = calibrate(arm, gaussians, wrong, CalibrationCamera(START), CONFIG)
    assert found.verdict is not Verdict.GOOD
    assert any("halves of the images" in reason for reason in found.reasons)
    camera = found.cameras["camera"]
    assert np.linalg.norm(camera.T[:3, 3] - T_FRONT[:3, 3]) < 3 * camera.std_m


def test_a_camera_upside_down_is_found_from_a_position(arm, gaussians, masked):
    """Its images are as those of the upright one; only what was said of it is not."""
    turned = START @ exp_se3(np.array([0, 0, 0, 0, 0, np.pi]))
    upright = calibrate(arm, gaussians, masked, CalibrationCamera(turned), CONFIG)
    assert upright.verdict is not Verdict.GOOD
    camera = CalibrationCamera(turned, turns=(np.pi, 0.5 * np.pi))
    found = calibrate(arm, gaussians, masked, camera, CONFIG)
    assert np.linalg.norm(found.cameras["camera"].T[:3, 3] - T_FRONT[:3, 3]) < 0.005


def test_the_start_stays_what_is_known_of_the_camera(arm, gaussians, masked, monkeypatch):
    """The pose that was found from it must not take its place as the prior."""
    found, find = [], CameraStart.find_turned
    monkeypatch.setattr(
        CameraStart, "find_turned", lambda *given: found.append(find(*given)) or found[-1]
    )
    calibrate(arm, gaussians, masked, CalibrationCamera(START), CONFIG)
    np.testing.assert_array_equal(found[0].start, START)
    assert np.abs(found[0].T - START).max() > 1e-3


def test_readings_in_degrees_are_refused(arm, gaussians, masked):
    wrong = [dataclasses.replace(o, joint_positions=np.degrees(o.joint_positions)) for o in masked]
    with pytest.raises(InputError, match="are these degrees"):
        calibrate(arm, gaussians, wrong, CalibrationCamera(START), CONFIG)
    wrong = [dataclasses.replace(o, joint_positions=o.joint_positions + 4.0) for o in masked]
    with pytest.raises(InputError, match="the robot that was recorded"):
        calibrate(arm, gaussians, wrong, CalibrationCamera(START), CONFIG)


def test_masks_of_files_are_as_hard_as_booleans():
    assert is_hard(np.ones((2, 2), bool)) and is_hard(np.array([[0.0, 1.0]], np.float32))
    assert not is_hard(np.array([[0.0, 0.5]])) and not is_hard(None)


def solution(offset, T, H):
    layout = Layout(np.array([0], np.int32), (1,), (-1,), 7)
    state = State(np.zeros((1, 1)), np.array([offset]), np.zeros((1, 1)), T[None], np.zeros(1))
    nothing = np.zeros((1, 7)), np.zeros((1, 7, 7))
    return Solution(state, layout, H, *nothing, 0.0, (), 1, StopReason.CONVERGED)


def test_disagreement_is_the_variance_over_that_expected():
    rng = np.random.default_rng(1)
    H = np.diag(rng.uniform(1e4, 1e6, 7))
    T = look_at((1.0, 0.5, 0.6), (0.0, 0.0, 0.3))
    scales = []
    for _ in range(300):
        a, b = rng.normal(size=(2, 7)) / np.sqrt(np.diag(H))
        one, other = (solution(x[0], T @ exp_se3(x[1:]), H) for x in (a, b))
        # Turned about the lens here, about the base in the solver: the same where nothing turns.
        one.state.T_cameras[0, :3, :3] = other.state.T_cameras[0, :3, :3] = T[:3, :3]
        scales.append(disagreement([(one, other)]))
    assert np.mean(scales) == pytest.approx(4 / 7, rel=0.1)  # three of seven were held alike
    assert disagreement([]) == 0.0
    assert halves_of([0, 1, 2]) == []
    assert halves_of([0, 1, 2, 5]) == [([0, 2], [1, 5]), ([0, 1], [2, 5])]
