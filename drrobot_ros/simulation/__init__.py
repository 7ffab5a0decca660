"""A robot and a camera in MuJoCo, without ROS: for the demo, the tests and the benchmarks.

Everything that draws belongs to one thread: make, use and close it there. Off-screen OpenGL is
chosen by ``MUJOCO_GL``, EGL if unset, which needs no display.
"""

from drrobot_ros.simulation.config import EncoderConfig, SceneConfig
from drrobot_ros.simulation.exposure import ExposureConfig, expose
from drrobot_ros.simulation.motion import (
    CollisionCheck,
    Encoders,
    SinusoidMotion,
    TrajectoryFollower,
    sinusoid_motion,
)
from drrobot_ros.simulation.recording import RenderedVideo
from drrobot_ros.simulation.robot import Frame, SimulatedRobot

__all__ = [
    "CollisionCheck",
    "EncoderConfig",
    "Encoders",
    "ExposureConfig",
    "Frame",
    "RenderedVideo",
    "SceneConfig",
    "SimulatedRobot",
    "SinusoidMotion",
    "TrajectoryFollower",
    "expose",
    "sinusoid_motion",
]
