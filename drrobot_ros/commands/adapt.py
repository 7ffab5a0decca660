"""Adapt a robot's colours to a real camera, from a few photos whose joints are known.

Reads a folder of images or a bag as `drrobot calibrate` does, and the camera pose that it found.
Writes the Gaussians with the albedo and light that the photos show; track with them with
--splats FILE --color-residual photometric.
"""

import argparse
import dataclasses
from pathlib import Path

from drrobot_ros.commands.camera_start import read_pose
from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import RobotFlags, load_splats
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.recordings.topics import TopicFlags
from drrobot_ros.training.adaptation import AdaptationConfig

SUMMARY = "adapt a robot's colours to a real camera"


@dataclasses.dataclass(frozen=True)
class AdaptFlags:
    """What is read and written."""

    photos: int = setting(
        10, "most images used, evenly chosen from the recording", minimum=1, maximum=1000
    )
    camera_info: str = setting(
        "", "calibration file of the camera; empty: camera_info.yaml of the folder, or the bag's"
    )
    joints_file: str = setting("", "CSV of joint readings; empty: the folder's own")
    joint_prefix: str = setting("", "put before the joints' names in the recording")
    held: tuple[str, ...] = setting(
        (), "joints that stood still and are not in the recording, as name=value [rad or m]"
    )
    output: str = setting("adapted.npz", "file of Gaussians to write")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("recording", help="folder of images, rosbag2 (folder or .db3), or .mcap")
    parser.add_argument(
        "--camera-pose",
        required=True,
        metavar="FILE",
        help="calibration.yaml of drrobot calibrate, or a file with the 4x4 matrix",
    )
    parser.add_argument(
        "--rectified",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the images are rectified; default: in a bag if their topic is called so",
    )
    add_flags(parser, AdaptFlags)
    add_flags(parser.add_argument_group("robot"), RobotFlags)
    parser.set_defaults(robot="")  # a bag brings its own
    add_flags(parser.add_argument_group("topics of a bag"), TopicFlags)
    add_flags(parser.add_argument_group("fit"), AdaptationConfig)


def run(options: argparse.Namespace) -> int:
    """Adapt, and write the file."""
    import numpy as np

    from drrobot_ros.commands.calibration_input import open_with_robot
    from drrobot_ros.training.adaptation import PosedPhoto, adapt

    flags = from_flags(AdaptFlags, options)
    config = from_flags(AdaptationConfig, options)
    robot = from_flags(RobotFlags, options)
    target = Path(flags.output)
    if target.suffix != ".npz":
        raise InputError(f"--output must end in .npz, got {flags.output!r}")
    T = read_pose(Path(options.camera_pose).expanduser())
    recording, model, _ = open_with_robot(options, flags, robot)
    chosen = np.linspace(0, recording.count - 1, min(flags.photos, recording.count)).round()
    wanted = set(chosen.astype(int).tolist())
    photos = []
    for i, frame in enumerate(recording.read()):
        if i not in wanted:
            continue
        seen = frame.observation(model)
        assert seen.joint_positions is not None  # the recording was checked for them
        photos.append(PosedPhoto(seen.image, seen.camera, seen.joint_positions, T, seen.mask))
    gaussians = load_splats(robot, model)
    result = adapt(model, gaussians, photos, config)
    target.parent.mkdir(parents=True, exist_ok=True)
    result.gaussians.save(target)
    print(
        f"{model.name}: {len(photos)} photos show {result.seen.mean():.0%} of the Gaussians; "
        f"colour error inside the robot {result.error_before:.3f} -> {result.error:.3f}"
    )
    print(f"written: {target}; track with --splats {target} --color-residual photometric")
    return 0
