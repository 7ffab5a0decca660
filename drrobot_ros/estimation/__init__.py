"""From images to joint angles and camera pose."""

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.observation import (
    CameraEstimate,
    Estimate,
    Observation,
    TrackingState,
)
from drrobot_ros.estimation.problem import StopReason
from drrobot_ros.estimation.tracked_camera import CameraMount
from drrobot_ros.estimation.tracker import Tracker

__all__ = [
    "CameraEstimate",
    "CameraMount",
    "Estimate",
    "Observation",
    "StopReason",
    "Tracker",
    "TrackerConfig",
    "TrackingState",
]
