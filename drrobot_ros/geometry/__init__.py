"""Rotations, rigid transforms and the pinhole camera."""

from drrobot_ros.geometry.camera import PinholeCamera, look_at

__all__ = ["PinholeCamera", "look_at"]
