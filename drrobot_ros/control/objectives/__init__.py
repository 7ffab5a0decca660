"""What a motion is for, and what it must respect: terms of one signature that add up."""

from drrobot_ros.control.objectives.base import Objective, Term, WeightedSum
from drrobot_ros.control.objectives.image import ImageGoal
from drrobot_ros.control.objectives.regularizers import (
    EndEffectorPose,
    JointLimits,
    Manipulability,
    Smoothness,
    StayNear,
)
from drrobot_ros.control.objectives.spheres import ObstacleDistance, SelfDistance
from drrobot_ros.control.objectives.tracks import PointTracks

__all__ = [
    "EndEffectorPose",
    "ImageGoal",
    "JointLimits",
    "Manipulability",
    "Objective",
    "ObstacleDistance",
    "PointTracks",
    "SelfDistance",
    "Smoothness",
    "StayNear",
    "Term",
    "WeightedSum",
]
