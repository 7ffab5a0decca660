"""Cover a robot with Gaussians, render it, and see how the image depends on the joints.

python examples/02_render.py [URDF, MJCF or menagerie name] [folder for the picture]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering import render_robot
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot

ARM = Path(__file__).resolve().parents[1] / "models" / "six_axis_arm" / "six_axis_arm.urdf"


def main(source: str, folder: Path) -> None:
    """Write robot.png and robot.npz."""
    model = RobotModel.load(source)
    gaussians = GaussianRobot.from_model(model, count=10000)  # no training: from its meshes
    gaussians.save(folder / "robot.npz")

    camera = PinholeCamera.from_fov(480, 360, vertical_fov_rad=np.deg2rad(40))
    q = model.neutral()
    T_base_camera = pose_that_sees(model, q, camera)
    white = torch.ones(3)
    rgb, alpha, depth = render_robot(model, gaussians, q, T_base_camera, camera, white)
    save(folder / "robot.png", rgb)
    print(f"{len(gaussians)} Gaussians, {int((alpha > 0.5).sum())} pixels, ", end="")
    print(f"nearest {depth[alpha > 0.5].min():.2f} m")

    # The image is differentiable: which way must the joints turn to look like another image?
    goal = render_robot(model, gaussians, q + 0.05, T_base_camera, camera, white)[0]
    q.requires_grad_(True)
    image = render_robot(model, gaussians, q, T_base_camera, camera, white)[0]
    (slope,) = torch.autograd.grad((image - goal).square().mean(), q)
    print("downhill for every joint:", (-slope / slope.norm()).round(decimals=2))
    print(f"written: {folder}/robot.png, robot.npz")


def save(path: Path, image: torch.Tensor) -> None:
    """Write an image [H, W, 3] 0..1."""
    Image.fromarray((image.clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)).save(path)


if __name__ == "__main__":
    out = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    main(sys.argv[1] if len(sys.argv) > 1 else str(ARM), out)
