"""Who imitates a motion, and from where it is seen: what tracks and videos have in common."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.robot import RobotModel


@dataclasses.dataclass(frozen=True, eq=False)
class Imitator:
    """A robot before a camera, that is to move as something was seen to move.

    Attributes:
        model: the robot.
        gaussians: its splats.
        view: the camera that saw the motion.
        start: joint positions [nq].
        limits: position limits.
        free: which joints may move [nq]; others stay at the start.
        config: rate, smoothness, distance from the start, iterations and time.
    """

    model: RobotModel
    gaussians: Any
    view: Viewpoint
    start: NDArray[np.float64]
    limits: MotionLimits
    free: NDArray[np.bool_]
    config: PlanConfig
