"""GaussianRobot: a robot's surface as 3D Gaussians that move with its links."""

from drrobot_ros.splats.gaussians import GaussianRobot
from drrobot_ros.splats.sampling import SurfaceConfig

__all__ = ["GaussianRobot", "SurfaceConfig"]
