"""Robots and their splats as the nodes load them."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation import CameraMount, Observation, Tracker, TrackingState
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros.robots import load_robot
from drrobot_ros.ros.settings import PoseEstimatorSettings
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(160, 120, 0.8)


@pytest.fixture(scope="module")
def arm(models_root):
    return models_root / "six_axis_arm" / "six_axis_arm.urdf"


@pytest.fixture(scope="module")
def trained(arm, tmp_path_factory):
    """A file as training leaves it: colours of its own that change with the view."""
    model = RobotModel.load(arm)
    robot = GaussianRobot.from_model(model, count=1500)
    seen = dataclasses.replace(
        robot,
        colors=torch.full_like(robot.colors, 0.6),
        sh=torch.zeros(len(robot), 8, 3),
        about={"preset": "quick"},
    )
    path = tmp_path_factory.mktemp("trained") / "arm.npz"
    seen.save(path)
    return path


def test_a_trained_self_model_is_used_instead_of_sampled_splats(arm, trained):
    model, robot = load_robot(PoseEstimatorSettings(robot=str(arm), splats=str(trained)))
    assert len(robot) == 1500 and robot.sh is not None and robot.about["preset"] == "quick"
    q = model.home().numpy()
    T = pose_that_sees(model, q, CAMERA)
    tracker = Tracker(model, robot, cameras={"": CameraMount()})
    tracker.reset(q=q, T_base_camera={"": T})
    blank = np.full((CAMERA.height, CAMERA.width, 3), 40, np.uint8)
    first = tracker.update([Observation(blank, CAMERA, 1.0, camera_name="")])
    rgb, alpha, depth = tracker.render(first, CAMERA, "")
    assert 0.02 < (alpha > 0.5).mean() < 0.8 and depth.max() > 0.2
    picture = overlay_image(blank, rgb, alpha)
    assert (picture != blank).any(axis=2).mean() > 0.02
    assert first.state is not TrackingState.TRACKING  # there is no robot in that image


def test_files_that_are_not_this_robots_are_refused(arm, trained, models_root, tmp_path):
    other = models_root / "every_joint" / "every_joint.urdf"
    with pytest.raises(InputError, match="do not fit the robot"):
        load_robot(PoseEstimatorSettings(robot=str(other), splats=str(trained)))
    with pytest.raises(InputError, match=r"nothing\.npz"):
        load_robot(PoseEstimatorSettings(robot=str(arm), splats=str(tmp_path / "nothing.npz")))
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"broken\.npz"):
        load_robot(PoseEstimatorSettings(robot=str(arm), splats=str(broken)))
