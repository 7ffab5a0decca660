"""Draw a robot's Gaussians into a picture, or a turntable of them into a video."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import (
    RobotFlags,
    add_joint_flag,
    joints_from,
    load_model,
    load_splats,
)
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.media import VideoWriter, write_image
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.rendering.viewpoint import pose_that_sees

SUMMARY = "draw a robot's Gaussians"
_TURNTABLE_HZ = 25.0


@dataclasses.dataclass(frozen=True)
class ViewFlags:
    """The view of the robot."""

    width: int = setting(800, "of the picture", unit="px", minimum=16, maximum=8192)
    height: int = setting(600, "of the picture", unit="px", minimum=16, maximum=8192)
    vertical_fov_deg: float = setting(35.0, "field of view", unit="deg", minimum=1.0, maximum=170.0)
    azimuth_deg: float = setting(35.0, "of the camera around the base, 0: in front", unit="deg")
    elevation_deg: float = setting(
        20.0, "of the camera above the robot", unit="deg", minimum=-89.0, maximum=89.0
    )
    background: float = setting(1.0, "grey behind the robot", minimum=0.0, maximum=1.0)
    turntable: int = setting(
        0, "images of a full turn, written as a video; 0: one picture", minimum=0, maximum=10000
    )
    output: str = setting("view.png", "file to write; of a turntable, .mp4 or .webp")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, RobotFlags)
    add_joint_flag(parser, "configuration")
    add_flags(parser, ViewFlags)


def run(options: argparse.Namespace) -> int:
    """Draw."""
    flags = from_flags(ViewFlags, options)
    output = Path(flags.output)
    model = load_model(from_flags(RobotFlags, options))
    q = joints_from(options.joints, model)
    gaussians = load_splats(from_flags(RobotFlags, options), model)
    if not flags.turntable:
        write_image(output, draw(model, gaussians, q, flags, flags.azimuth_deg))
    else:
        angles = flags.azimuth_deg + np.arange(flags.turntable) * 360.0 / flags.turntable
        images = (draw(model, gaussians, q, flags, float(a)) for a in angles)
        _write_turn(output, images)
    print(f"{model.name}: {len(gaussians)} Gaussians; written: {output}")
    return 0


def draw(
    model: Any, gaussians: Any, q: NDArray[np.float64], flags: ViewFlags, azimuth_deg: float
) -> NDArray[np.uint8]:
    """Return the picture of a robot, uint8 [H, W, 3]."""
    import torch

    camera = PinholeCamera.from_fov(flags.width, flags.height, math.radians(flags.vertical_fov_deg))
    T = pose_that_sees(
        model, q, camera, math.radians(azimuth_deg), math.radians(flags.elevation_deg)
    )
    with torch.no_grad():
        background = torch.full((3,), flags.background)
        rgb, _, _ = render_robot(model, gaussians, q, T, camera, background)
    return (rgb.clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)


def _write_turn(path: Path, images: Any) -> None:
    if path.suffix == ".webp":
        from PIL import Image

        frames = [Image.fromarray(image) for image in images]
        path.parent.mkdir(parents=True, exist_ok=True)
        period_ms = round(1000 / _TURNTABLE_HZ)
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=period_ms, loop=0)
    elif path.suffix == ".mp4":
        with VideoWriter(path, _TURNTABLE_HZ) as video:
            for image in images:
                video.add(image)
    else:
        raise InputError(f"--output of a turntable ends in .mp4 or .webp, got {str(path)!r}")
