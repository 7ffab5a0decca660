"""A small arm seen by a small camera."""

import numpy as np
import pytest

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.splats import GaussianRobot


@pytest.fixture(scope="session")
def arm(robot):
    return robot("six_axis_arm")


@pytest.fixture(scope="session")
def splats(arm):
    return GaussianRobot.from_model(arm, count=1500)


@pytest.fixture(scope="session")
def view() -> Viewpoint:
    T = look_at(np.array([1.5, 0.7, 0.8]), np.array([0.0, 0.0, 0.4]))
    return Viewpoint(PinholeCamera.from_fov(128, 96, 0.8), T)


@pytest.fixture(scope="session")
def arm_limits(arm) -> MotionLimits:
    return MotionLimits.of(arm)
