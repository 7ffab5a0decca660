import pytest
from two_rods import ROD, TURNED, simulated

from drrobot_ros.identification import Recording
from drrobot_ros.robot import RobotModel


@pytest.fixture(scope="session")
def rods() -> RobotModel:
    return RobotModel.load(ROD)


@pytest.fixture(scope="session")
def wrong_rods() -> RobotModel:
    return RobotModel.load(TURNED)


@pytest.fixture(scope="session")
def recording(rods) -> Recording:
    return simulated(rods)
