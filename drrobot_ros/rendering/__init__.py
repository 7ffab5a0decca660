"""Gaussian splatting: one signature, three backends."""

from drrobot_ros.rendering.rasterize import BACKENDS, rasterize
from drrobot_ros.rendering.robot import render_robot

__all__ = ["BACKENDS", "rasterize", "render_robot"]
