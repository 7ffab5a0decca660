"""Reconstruct the objects on a table from one RGB-D image and a box around each.

Writes scene.xml (MJCF for MuJoCo), scene.glb (glTF), scene.json, a mask per object and a picture of
each stage. Returns 1 where nothing is believed.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.commands.cameras import add_camera_flags, lens_from
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
from drrobot_ros.geometry.pose_numbers import pose_from_numbers
from drrobot_ros.media import read_sequence, write_image
from drrobot_ros.scene.config import ReconstructionConfig

SUMMARY = "meshes of objects from one RGB-D image"


@dataclasses.dataclass(frozen=True)
class ReconstructFlags:
    """What is read and written."""

    depth_scale: float = setting(
        0.001, "metres per unit of a depth image in whole numbers", unit="m", minimum=1e-7
    )
    draw_robot: bool = setting(False, "the robot is in the picture: draw it and take it out")
    output: str = setting("reconstruct", "folder for the scene and the pictures")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("image", help="colour image")
    parser.add_argument("depth", help="16-bit image, or .npy in metres, of the same size")
    parser.add_argument(
        "--boxes",
        nargs="+",
        type=float,
        required=True,
        metavar="PX",
        help="x1 y1 x2 y2 of each object, one after the other",
    )
    parser.add_argument("--names", nargs="*", default=[], help="of the objects")
    add_camera_flags(parser, required=False)
    add_flags(parser, ReconstructFlags)
    add_flags(parser.add_argument_group("robot, with --draw-robot"), RobotFlags)
    add_joint_flag(parser, "the robot's joints")
    add_flags(parser.add_argument_group("reconstruction"), ReconstructionConfig, "scene-")


def run(options: argparse.Namespace) -> int:
    """Reconstruct; return 1 where nothing is believed."""
    import torch
    from tqdm import tqdm

    from drrobot_ros.scene import RobotInView, SceneInput, reconstruct, write_scene

    torch.set_num_threads(2)
    flags = from_flags(ReconstructFlags, options)
    config = from_flags(ReconstructionConfig, options, "scene-")
    boxes = boxes_from(options.boxes)
    if not (options.camera or options.camera_info):
        raise InputError("the intrinsics are missing: give --camera or --camera-info")
    _, images = read_sequence(options.image, 1.0)
    raw = next(images)
    lens = lens_from(options, raw.shape[1], raw.shape[0])
    color = np.ascontiguousarray(lens.rectify(raw))
    depth = read_depth(Path(options.depth), flags.depth_scale)
    pose = pose_from_numbers(options.camera_pose) if options.camera_pose else None
    robot = None
    if flags.draw_robot:
        robot_flags = from_flags(RobotFlags, options)
        model = load_model(robot_flags)
        gaussians = load_splats(robot_flags, model)
        robot = RobotInView(model, gaussians, joints_from(options.joints, model))
    given = SceneInput(color, depth, lens.camera, boxes, tuple(options.names), pose, robot=robot)
    folder = Path(flags.output)
    with tqdm(total=100, unit="%", leave=False, disable=None) as bar:

        def watch(stage: str, part: float, pictures: dict[str, NDArray[np.uint8]]) -> None:
            bar.set_description(stage)
            bar.update(round(100 * part) - bar.n)
            for name, image in pictures.items():
                write_image(folder / f"{name}.png", image)

        scene = reconstruct(given, config, watch)
    files = write_scene(scene, folder, color)
    for item in scene.objects:
        size = " x ".join(f"{1e3 * v:.0f}" for v in np.ptp(item.mesh.vertices, axis=0))
        place = ", ".join(f"{v:.3f}" for v in item.T_scene_object[:3, 3])
        print(f"{item.name:<24} {size:>15} mm  at ({place}) m  confidence {item.confidence:.2f}")
        for line in item.warnings:
            print(f"    {line}")
    for line in scene.warnings:
        print(line)
    print(f"written: {', '.join(str(files[k]) for k in ('mjcf', 'gltf', 'json'))}, pictures")
    believed = scene.believable and any(item.believable for item in scene.objects)
    return 0 if believed else 1


def boxes_from(numbers: list[float]) -> NDArray[np.float64]:
    """Return boxes [N, 4] of a row of numbers.

    Raises:
        InputError: they are not four for each.
    """
    if len(numbers) % 4:
        raise InputError(f"--boxes takes four numbers for each object, got {len(numbers)}")
    return np.array(numbers).reshape(-1, 4)


def read_depth(path: Path, scale: float) -> NDArray[Any]:
    """Return a depth image in metres [H, W].

    Args:
        path: an image of whole numbers, or .npy in metres.
        scale: metres per unit of an image.

    Raises:
        InputError: it cannot be read, or is a colour image.
    """
    from PIL import Image

    try:
        if path.suffix.lower() == ".npy":
            depth = np.load(path, allow_pickle=False).astype(np.float32)
        else:
            with Image.open(path) as image:
                depth = np.array(image).astype(np.float32) * scale
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the depth image {path}: {error}") from error
    if depth.ndim != 2:
        raise InputError(f"{path} has {depth.ndim} dimensions; a depth image has 2")
    return depth
