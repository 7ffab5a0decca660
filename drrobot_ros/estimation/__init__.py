"""From images to joint angles and camera pose."""

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.observation import Estimate, Observation, TrackingState
from drrobot_ros.estimation.problem import StopReason
from drrobot_ros.estimation.tracker import Tracker

__all__ = ["Estimate", "Observation", "StopReason", "Tracker", "TrackerConfig", "TrackingState"]
