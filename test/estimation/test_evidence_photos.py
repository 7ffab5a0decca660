"""The camera from real photos without masks; skipped where the photos are not at hand."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import CalibrationCamera, CalibrationConfig, calibrate
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "xarm7_realsense"
K = np.array([[908.302, 0, 643.462], [0, 908.293, 373.232], [0, 0, 1]])
WIDTH = 320


@pytest.fixture(scope="module")
def seven():
    folder = Path(os.environ.get("DRROBOT_PHOTOS", BESIDE))
    if not (folder / "joint_positions_rad.csv").is_file():
        pytest.skip("no photos of the xArm7: set DRROBOT_PHOTOS to their folder")
    camera = PinholeCamera(K, 1280, 720).resized(WIDTH, 180)
    rows = np.genfromtxt(folder / "joint_positions_rad.csv", delimiter=",", skip_header=1)[:, -7:]
    seen = []
    for i in range(7):
        image = cv2.resize(
            cv2.imread(str(folder / f"image_{i}.png"))[..., ::-1],
            (WIDTH, 180),
            interpolation=cv2.INTER_AREA,
        )
        seen.append(Observation(np.ascontiguousarray(image), camera, float(i), rows[i]))
    T = np.loadtxt(folder / "T_base_camera_hydra.csv", delimiter=",").reshape(4, 4)
    return seen, T


def test_seven_photos_lead_from_afar_to_the_camera(seven, menagerie_root):
    seen, truth = seven
    model = RobotModel.load(menagerie_root / "ufactory_xarm7" / "xarm7_nohand.xml")
    gaussians = GaussianRobot.from_model(model, 4000)
    start = truth.copy()
    start[:3, 3] += [0.12, -0.1, 0.08]
    start[:3, :3] = truth[:3, :3] @ cv2.Rodrigues(np.radians([6.0, -5.0, 4.0]))[0]
    config = CalibrationConfig(
        estimate_offsets=False,
        fine_width=WIDTH,
        hypotheses=200,
        start_sigma_m=0.1,
        start_sigma_rad=0.1,
        encoder_sigma_rad=0.0,
    )
    found = calibrate(model, gaussians, seen, CalibrationCamera(start), config)
    T = found.cameras["camera"].T
    turn = truth[:3, :3].T @ T[:3, :3]
    assert np.linalg.norm(T[:3, 3] - truth[:3, 3]) < 0.025
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) < 1.0
