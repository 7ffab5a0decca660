from pathlib import Path

import pytest

from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

ARM = Path(__file__).parents[2] / "models" / "six_axis_arm" / "six_axis_arm.urdf"


@pytest.fixture(scope="session")
def arm():
    return RobotModel.load(ARM)


@pytest.fixture(scope="session")
def arm_gaussians(arm):
    return GaussianRobot.from_model(arm, count=1500, seed=0)
