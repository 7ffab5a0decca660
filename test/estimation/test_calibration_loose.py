"""Links that do not lie where their meshes are drawn, in every image otherwise."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import CalibrationCamera, CalibrationConfig, calibrate
from drrobot_ros.estimation.calibration.contours import Outlines
from drrobot_ros.estimation.calibration.loose import LooseRobot
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
T_FRONT = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
HOME = np.array([0.0, -0.6, 1.0, 0.3, 0.7, -0.3])
OFFSETS = np.radians([0.0, -1.5, 2.0, -2.0, 1.5, 0.0])
SIGMA_M = 0.004


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=3000, seed=0)


@pytest.fixture(scope="module")
def loose(arm, gaussians):
    return LooseRobot.of(arm, gaussians, SIGMA_M)


def target(**more):
    return ImageTarget(K=CAMERA.K, width=CAMERA.width, height=CAMERA.height, **more)


class Drawn:
    """Evidence that knows the silhouette of a robot whose links are displaced."""

    def __init__(self, arm, robot, q):
        self.outlines, self.q = Outlines(arm, robot), q

    def targets(self, camera, stage, levels, rendered, bare):
        seen = [
            self.outlines(q, T_FRONT, -1, level.camera, hard=False)
            for q, level in zip(self.q, levels, strict=True)
        ]
        return [dataclasses.replace(b, mask=a) for b, a in zip(bare, seen, strict=True)]

    def agreement(self, target, rendered):
        return 0.9

    def has_plate(self, camera, images):
        return False

    def codes(self, camera, levels):
        return [np.zeros(level.pixels.shape[:2], np.uint8) for level in levels]


def test_a_slide_moves_its_own_link_only(arm, gaussians, loose):
    assert loose.slides == 3 * len(set(np.asarray(gaussians.link_index)))
    rigid = ImageModel(arm.tree, gaussians, arm.nq, arm.nv).images(HOME, T_FRONT, target())
    model = ImageModel(loose.tree, loose.gaussians, loose.nq, loose.nv)
    q = np.pad(HOME, (0, loose.slides))
    assert model.images(q, T_FRONT, target()).alpha == pytest.approx(rigid.alpha, abs=1e-5)
    k = 2
    q[arm.nq + 3 * k : arm.nq + 3 * k + 3] = [0.1, -0.05, 0.02]
    link = np.unique(np.asarray(gaussians.link_index))[k]
    T = arm.forward_kinematics(torch.from_numpy(HOME)).numpy()
    T[link] = T[link] @ exp_se3(np.array([0.1, -0.05, 0.02, 0, 0, 0]))
    index = np.asarray(gaussians.link_index)
    means = np.asarray(gaussians.means, np.float64)
    points = np.einsum("nij,nj->ni", T[index][:, :3, :3], means) + T[index][:, :3, 3]
    seen = (points - T_FRONT[:3, 3]) @ T_FRONT[:3, :3]
    pixels = (seen[:, :2] / seen[:, 2:]) @ CAMERA.K[:2, :2].T + CAMERA.K[:2, 2]
    moved = model.images(q, T_FRONT, target()).alpha
    column, row = pixels.astype(int).T
    assert np.mean(moved[row, column] > 0.5) > 0.97
    assert np.mean(rigid.alpha[row, column] > 0.5) < 0.95


def test_without_play_the_robot_is_as_it_is(arm, gaussians):
    robot = LooseRobot.of(arm, gaussians, 0.0)
    assert robot.tree is arm.tree and robot.slides == 0 and robot.nv == arm.nv


def test_offsets_of_a_robot_that_is_not_its_mesh(arm, gaussians, loose):
    rng = np.random.default_rng(0)
    q = HOME + np.array([0.7, 0.4, 0.4, 0.7, 0.7, 1.2]) * rng.uniform(-1, 1, (8, 6))
    drawn = Drawn(arm, loose, np.hstack([q, SIGMA_M * rng.normal(size=(8, loose.slides))]))
    blank = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    seen = [Observation(blank, CAMERA, float(i), x - OFFSETS) for i, x in enumerate(q)]
    start = CalibrationCamera(T_FRONT @ exp_se3(np.full(6, 0.01)))
    errors, spread = {}, {}
    for sigma_m in (0.0, SIGMA_M):
        config = CalibrationConfig(
            fine_width=240,
            rounds=2,
            hypotheses=0,
            parts_sigma=0.0,
            link_sigma_m=sigma_m,
            encoder_sigma_rad=0.0,
        )
        found = calibrate(
            arm, gaussians, seen, start, config, joints=arm.joint_names[1:5], evidence=drawn
        )
        errors[sigma_m] = np.abs(found.offsets - OFFSETS)[1:5]
        spread[sigma_m] = found.offset_std[1:5]
        assert len(found.offsets) == arm.nv and len(found.covariance) == 4 + 6
    print({k: np.degrees(v).round(2) for k, v in errors.items()}, spread)
    assert errors[SIGMA_M].mean() < errors[0.0].mean()
    assert (errors[SIGMA_M] < 3 * spread[SIGMA_M]).all()
    # Halves of the images tell that rigid links are wrong.
    assert (errors[0.0] < 3 * spread[0.0]).all()
