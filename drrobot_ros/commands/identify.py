"""Find masses, inertias, damping and friction of a robot from a recording of its torques.

Reads CSV, rosbag2 or MCAP; writes report.md with figures, parameters.csv and a corrected URDF or
MJCF. With --excitation: writes a trajectory to record instead, as CSV.
"""

import argparse
import dataclasses
from pathlib import Path

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import DEMO_ARM, RobotFlags, load_model
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.identification.config import IdentificationConfig
from drrobot_ros.identification.excitation import ExcitationConfig

SUMMARY = "masses, inertias, damping and friction from a recording"


@dataclasses.dataclass(frozen=True)
class IdentifyFlags:
    """What is read and written."""

    topic: str = setting("", "of the joint states in a bag; empty: the only one there is")
    held: tuple[str, ...] = setting(
        (), "joints that stood still and are not in the recording, as name=value [rad or m]"
    )
    output: str = setting("identify", "folder for the report and the corrected description")

    def __post_init__(self) -> None:
        validate(self)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "recording", nargs="?", default="", help=".csv, .mcap, .db3 or folder of a rosbag2"
    )
    parser.add_argument(
        "--excitation", default="", metavar="FILE", help="write a trajectory to record, and end"
    )
    add_flags(parser.add_argument_group("robot"), RobotFlags)
    add_flags(parser, IdentifyFlags)
    add_flags(parser.add_argument_group("fit"), IdentificationConfig)
    add_flags(parser.add_argument_group("excitation"), ExcitationConfig, "excitation-")


def run(options: argparse.Namespace) -> int:
    """Identify; return 1 if the verdict is doubtful."""
    if bool(options.recording) == bool(options.excitation):
        raise InputError("give a recording, or --excitation FILE to get a trajectory to record")
    if options.excitation:
        return _write_excitation(options)
    from drrobot_ros.demo.arm import arm_urdf
    from drrobot_ros.identification import identify, read_recording
    from drrobot_ros.identification.report import write_report
    from drrobot_ros.identification.write import write_description

    flags = from_flags(IdentifyFlags, options)
    config = from_flags(IdentificationConfig, options)
    robot = from_flags(RobotFlags, options)
    recording = read_recording(options.recording, flags.topic)
    model = load_model(robot)
    result = identify(model, recording, config, held_from(flags.held))
    source = arm_urdf() if robot.robot == DEMO_ARM else robot.robot
    folder = Path(flags.output)
    target, remarks = write_description(result, source, folder, robot.package_paths)
    write_report(result, folder, remarks)
    print(f"{model.name}: {result.verdict}, condition number {result.condition:.3g}")
    for joint in result.joints:
        share = joint.validated / max(joint.torque, 1e-12)
        print(f"  {joint.name:<32} {share:7.2%} of the torque unexplained on parts left out")
    for line in (*result.reasons, *remarks):
        print(f"  {line}")
    print(f"written: {folder}/report.md, {target.name}, parameters.csv, figures")
    return 0 if result.verdict == "good" else 1


def held_from(words: tuple[str, ...]) -> dict[str, float]:
    """Return joint positions of name=value words.

    Raises:
        InputError: a word that is not of this form.
    """
    held = {}
    for word in words:
        name, sign, text = word.partition("=")
        try:
            held[name] = float(text)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise InputError(f"--held takes name=value, got {word!r}")
    return held


def _write_excitation(options: argparse.Namespace) -> int:
    from drrobot_ros.identification import excitation_trajectory, write_csv

    model = load_model(from_flags(RobotFlags, options))
    config = from_flags(ExcitationConfig, options, "excitation-")
    trajectory, condition = excitation_trajectory(model, config)
    write_csv(options.excitation, trajectory)
    print(f"{model.name}: {len(trajectory.time_s)} samples, condition number {condition:.4g}")
    print(f"written: {options.excitation}; collisions were not looked at: watch the robot")
    return 0
