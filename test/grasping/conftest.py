"""Fixtures of the tests of grasps."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gantry import gantry_urdf

from drrobot_ros.grasping.gripper import find_gripper
from drrobot_ros.robot import RobotModel


@pytest.fixture(scope="session")
def gripper():
    return find_gripper(RobotModel.load(gantry_urdf()))
