"""The camera pose from which all of a robot is seen."""

import numpy as np
import pytest
import torch

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel


@pytest.mark.parametrize(("cx", "cy"), [(80, 60), (60, 70), (110, 40)])
@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_sees_the_robot_whatever_the_principal_point(models_root, cx, cy, margin):
    model = RobotModel.load(models_root / "six_axis_arm" / "six_axis_arm.urdf")
    camera = PinholeCamera(np.array([[150.0, 0, cx], [0, 150, cy], [0, 0, 1]]), 160, 120)
    q = model.random_configuration(1, 3)[0]
    T_base_camera = pose_that_sees(model, q, camera, margin=margin)
    T = np.linalg.inv(T_base_camera) @ model.forward_kinematics(q).numpy()
    points = np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    )
    pixels = camera.project(torch.as_tensor(points)).numpy()
    assert (points[:, 2] > 0).all()
    assert (pixels > 0).all() and (pixels < [160, 120]).all()
    # No farther than needed: the robot fills a good part of the narrow side.
    reach = min(cx, 160 - cx, cy, 120 - cy)
    assert np.abs(pixels - [cx, cy]).max() > 0.5 * reach / margin
