"""Find where a camera is, and by how much joint encoders are off, from images of the moving arm.

Reads a folder of files, a rosbag2 or an MCAP recording; no marker, no mask and no ROS is needed.
Writes calibration.yaml, a launch file of the transform, a corrected URDF or MJCF, and pictures.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.commands.camera_start import HELP, camera_start
from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import RobotFlags, load_splats
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.recordings.topics import TopicFlags

SUMMARY = "camera pose and joint offsets from a folder of images or a bag"
UNKNOWNS = {"camera": "estimate_camera", "offsets": "estimate_offsets", "time": "estimate_lag"}


@dataclasses.dataclass(frozen=True)
class CalibrateFlags:
    """What is read, sought and written."""

    solve: str = setting("camera", "what is sought, of: camera, offsets, time; with commas between")
    offset_joints: tuple[str, ...] = setting(
        (), "joints whose offset is sought; none: all but the one that a turn of the camera undoes"
    )
    camera_link: str = setting("", "link that carries the camera; empty: it stands still")
    camera_info: str = setting(
        "", "calibration file of the camera; empty: camera_info.yaml of the folder, or the bag's"
    )
    joints_file: str = setting("", "CSV of joint readings; empty: the folder's own")
    joint_prefix: str = setting("", "put before the joints' names in the recording")
    held: tuple[str, ...] = setting(
        (), "joints that stood still and are not in the recording, as name=value [rad or m]"
    )
    keyframes: int = setting(
        20, "most images used of a bag, chosen by what they add", minimum=1, maximum=1000
    )
    output: str = setting("calibration", "folder for what is found")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("recording", help="folder of images, rosbag2 (folder or .db3), or .mcap")
    parser.add_argument(
        "--camera-start", nargs="+", default=[], metavar="WORD", help=HELP.replace("%", "%%")
    )
    parser.add_argument(
        "--rectified",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether the images are rectified; default: in a bag if their topic is called so",
    )
    add_flags(parser, CalibrateFlags)
    add_flags(parser.add_argument_group("robot"), RobotFlags)
    parser.set_defaults(robot="")  # a bag brings its own
    add_flags(parser.add_argument_group("topics of a bag"), TopicFlags)
    add_flags(parser.add_argument_group("solver"), CalibrationConfig, skip=tuple(UNKNOWNS.values()))


def run(options: argparse.Namespace) -> int:
    """Calibrate; return 1 if the result is doubtful or failed."""
    from drrobot_ros.commands.calibration_input import (
        check_motion,
        frame_names,
        offset_joints,
        open_with_robot,
        search_start,
        select_keyframes,
    )
    from drrobot_ros.estimation.calibration import CalibrationCamera, calibrate
    from drrobot_ros.estimation.calibration.files import write_calibration

    flags = from_flags(CalibrateFlags, options)
    sought = unknowns_from(flags.solve)
    config = from_flags(CalibrationConfig, options, given=sought)
    robot = from_flags(RobotFlags, options)
    recording, model, source = open_with_robot(options, flags, robot)
    for note in recording.notes:
        print(note)
    if flags.camera_link:
        model.link_index(flags.camera_link)
    parent = flags.camera_link or model.base_link
    names = frame_names(recording, model)
    # Once: a bag is read through for it.
    q = np.array([frame.q(model) for frame in recording.read()])
    check_motion(recording, model, q)
    start = camera_start(
        options.camera_start,
        recording.fixed(parent, recording.camera_frame),
        middle_of(model, q),
    )
    print(f"{model.name}: sampling its surface ...")
    gaussians = load_splats(robot, model)
    if start.T is None:
        start = search_start(recording, model, gaussians, flags.camera_link)
    print(f"camera starts from {start.source}")
    assert start.T is not None
    camera = CalibrationCamera(
        start.T,
        flags.camera_link or None,
        sigma_m=start.sigma_m,
        sigma_rad=start.sigma_rad,
        turns=start.turns,
    )
    limit = flags.keyframes if recording.continuous else recording.count
    chosen = select_keyframes(recording, model, gaussians, camera, limit, sought)
    observations = [o for _, o in chosen]
    joints = offset_joints(model, flags, sought)
    with _Bar() as bar:
        result = calibrate(
            model,
            gaussians,
            observations,
            camera,
            config,
            joints=joints,
            progress=bar.show,
        )
    written = write_calibration(
        result,
        model,
        gaussians,
        observations,
        flags.output,
        frames={"camera": names},
        source=source,
        package_paths=robot.package_paths,
        names=[name for name, _ in chosen],
    )
    print("\n".join([*written.lines, *written.remarks]))
    listing = ", ".join(file.name for file in written.files)
    print(f"written to {Path(flags.output)}: {listing}")
    return 0 if result.verdict.value == "good" else 1


def unknowns_from(words: str) -> dict[str, bool]:
    """Return which unknowns are sought, as settings of `CalibrationConfig`.

    Raises:
        InputError: a word that names none of them, or no word.
    """
    wanted = {word.strip() for word in words.split(",") if word.strip()}
    for word in sorted(wanted):
        if word not in UNKNOWNS:
            raise unknown_name("unknown of --solve", word, UNKNOWNS)
    if not wanted:
        raise InputError(f"--solve is empty; valid: {', '.join(UNKNOWNS)}")
    return {name: word in wanted for word, name in UNKNOWNS.items()}


def middle_of(model: Any, q: Any) -> Any:
    """Return a point [3] in the middle of a robot in its joint positions [m,nq], base frame."""
    import torch

    rows = torch.from_numpy(np.asarray(q, np.float64))
    links = model.forward_kinematics(rows)[..., :3, 3].numpy()
    return 0.5 * (links.min(axis=1) + links.max(axis=1)).mean(axis=0)


class _Bar:
    """The progress of a calibration on the terminal."""

    def __enter__(self) -> "_Bar":
        from tqdm import tqdm

        self._bar = tqdm(total=0, leave=False, disable=None, bar_format="{l_bar}{bar}| {postfix}")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: Any) -> None:
        """Show where the calibration is."""
        bar = self._bar
        bar.total, bar.n = progress.steps, progress.step
        bar.set_description_str(progress.stage, refresh=False)
        known = np.asarray(progress.residuals)[np.isfinite(progress.residuals)]
        error = f"error {100 * float(np.median(known)):.1f} %" if len(known) else ""
        bar.set_postfix_str(f"{error}  {progress.message}".strip(), refresh=True)
