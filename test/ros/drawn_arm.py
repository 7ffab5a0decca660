"""Pictures of an arm with a pattern on it, before a wall with another: splats are the truth."""

import dataclasses

import numpy as np
import torch

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

CLOSE = look_at(np.array([0.9, 0.7, 0.7]), np.array([0.25, 0.05, 0.45]))


def speckled(model: RobotModel, count: int = 6000) -> GaussianRobot:
    """Return splats of a robot, each lighter or darker than its mesh."""
    splats = GaussianRobot.from_model(model, count=count)
    speckle = 0.4 + 0.8 * np.random.default_rng(0).random((count, 1), np.float32)
    colors = (splats.colors * torch.from_numpy(speckle)).clamp(0, 1)
    return dataclasses.replace(splats, colors=colors)


def drawn(
    model: RobotModel, splats, q: np.ndarray, camera: PinholeCamera, T_base_camera=CLOSE
) -> np.ndarray:
    """Return what a camera sees, uint8 [H,W,3]."""
    eye = Viewpoint(camera, T_base_camera, (0.0, 0.0, 0.0))
    with torch.no_grad():
        seen = Candidate(model, splats, torch.from_numpy(q)[None], (eye,)).render(0, 0)
    x, y = np.meshgrid(np.linspace(0, 28, camera.width), np.linspace(0, 27, camera.height))
    wall = 0.55 + 0.1 * np.sin(x) * np.cos(y)
    image = seen.rgb.numpy() + (1 - seen.alpha.numpy()[..., None]) * wall[..., None]
    return (255 * image.clip(0, 1)).astype(np.uint8)
