"""Estimate joint angles, and if wanted the camera pose, from a video or a folder of images.

Writes overlay.mp4, overlay.png (the last image) and estimate.csv (a row per image).
"""

import argparse
import csv
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

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
from drrobot_ros.estimation import Observation, Tracker, TrackerConfig, TrackingState
from drrobot_ros.geometry.pose_numbers import numbers_from_pose, pose_from_numbers
from drrobot_ros.media import VideoWriter, read_sequence, write_image
from drrobot_ros.rendering.overlay import overlay_image

SUMMARY = "joint angles and camera pose from a video or images"
_POSE = ("camera_x", "camera_y", "camera_z", "camera_qx", "camera_qy", "camera_qz", "camera_qw")


@dataclasses.dataclass(frozen=True)
class EstimateFlags:
    """What is read and written."""

    rate_hz: float = setting(
        0.0, "of the images; 0: the video's own, 30 for images", unit="Hz", minimum=0.0
    )
    max_images: int = setting(0, "stop after so many; 0: all", minimum=0)
    opacity: float = setting(0.6, "of the robot on the overlay", minimum=0.0, maximum=1.0)
    output: str = setting("estimate", "folder for overlay.mp4, overlay.png and estimate.csv")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("images", help="video, folder of images, or image")
    add_camera_flags(parser)
    group = parser.add_argument_group("robot")
    add_flags(group, RobotFlags)
    add_joint_flag(parser, "start")
    add_flags(parser, EstimateFlags)
    tracker = parser.add_argument_group("tracker")
    add_flags(tracker, TrackerConfig, "tracker-")
    parser.set_defaults(tracker_budget_ms=0.0)  # nobody waits for a file


def run(options: argparse.Namespace) -> int:
    """Estimate; return 1 if the robot was lost in the end."""
    flags = from_flags(EstimateFlags, options)
    config = from_flags(TrackerConfig, options, "tracker-")
    T_start = pose_from_numbers(options.camera_pose)
    rate_hz, images = read_sequence(options.images, flags.rate_hz)
    first = next(images, None)
    if first is None:
        raise InputError(f"no images in {options.images}")
    lens = lens_from(options, first.shape[1], first.shape[0])
    robot = from_flags(RobotFlags, options)
    model = load_model(robot)
    q_start = joints_from(options.joints, model)
    print(f"{model.name}: sampling its surface ...")
    tracker = Tracker(model, load_splats(robot, model), config)
    tracker.reset(q_start, T_start)
    rest: Iterable[Any] = itertools.chain([first], images)
    if flags.max_images:
        rest = itertools.islice(rest, flags.max_images)
    folder = Path(flags.output)
    folder.mkdir(parents=True, exist_ok=True)
    state = TrackingState.LOST
    overlay, count, visible = first, 0, 0.0
    with (
        VideoWriter(folder / "overlay.mp4", rate_hz) as video,
        (folder / "estimate.csv").open("w", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(header_of(model))
        for image, estimate in _track(tracker, lens, rest, rate_hz):
            rgb, alpha, _ = tracker.render(estimate, lens.camera)
            overlay = overlay_image(image, rgb, alpha, flags.opacity)
            video.add(overlay)
            table.writerow(row_of(count, estimate))
            state, count, visible = estimate.state, count + 1, estimate.visible
    write_image(folder / "overlay.png", overlay)
    print(f"{count} images, {state.value} at the end; written: {folder}/overlay.mp4, ", end="")
    print("overlay.png, estimate.csv")
    if state is not TrackingState.LOST:
        return 0
    if visible < 1.0:
        print(
            "by this camera pose and these joints the robot is outside the picture: --camera-pose "
            "is that of the optical frame (x right, y down, z forward) in the robot's base frame"
        )
    else:
        print("the contour on overlay.png shows what was tried: are start and camera pose near?")
    return 1


def header_of(model: Any) -> list[str]:
    """Return the column names of the table."""
    names = position_names(model)
    std = [f"{name}_std" for name in model.joint_names] if model.nq == model.nv else []
    return ["image", "stamp_s", "state", "agreement", *names, *std, *_POSE]


def position_names(model: Any) -> list[str]:
    """Return a name for each position of q: a joint's, numbered where it has several."""
    starts = [model.joint_q_index(name) for name in model.joint_names] + [model.nq]
    names = []
    for name, a, b in zip(model.joint_names, starts[:-1], starts[1:], strict=True):
        names += [name] if b - a == 1 else [f"{name}/{i}" for i in range(b - a)]
    return names


def row_of(index: int, estimate: Any) -> list[Any]:
    """Return the table's row of an estimate."""
    numbers = [*estimate.q]
    if len(estimate.q) == len(estimate.q_std):
        numbers += [*estimate.q_std]
    numbers += numbers_from_pose(estimate.T_base_camera)
    start = [index, f"{estimate.stamp_s:.6f}", estimate.state.value, f"{estimate.agreement:.4f}"]
    return [*start, *(f"{value:.6f}" for value in numbers)]


def _track(
    tracker: Tracker, lens: Any, images: Iterable[Any], rate_hz: float
) -> Iterator[tuple[Any, Any]]:
    from tqdm import tqdm

    for index, raw in enumerate(tqdm(images, unit=" images", leave=False, disable=None)):
        image = np.ascontiguousarray(lens.rectify(raw))
        yield image, tracker.update(Observation(image, lens.camera, index / rate_hz))
