"""The robot that a command is about."""

import argparse
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.robot.plausible import check_positions

DEMO_ARM = "demo"


@dataclasses.dataclass(frozen=True)
class RobotFlags:
    """Which robot, and its splats."""

    robot: str = setting(
        DEMO_ARM,
        "URDF or MJCF file, menagerie name, or 'demo': the UR5e with its tools of the demo",
    )
    package_paths: tuple[str, ...] = setting(
        (), "folders in which package:// mesh paths are looked up"
    )
    base_link: str = setting("", "link whose frame is the base frame; empty: the root")
    splats: str = setting("", "file of the robot's Gaussians; empty: sampled on its meshes")
    splat_count: int = setting(10000, "Gaussians to sample", minimum=100, maximum=1000000)

    def __post_init__(self) -> None:
        validate(self)


def load_model(flags: RobotFlags) -> Any:
    """Return the RobotModel.

    Raises:
        ModelError: it cannot be loaded.
    """
    import torch

    from drrobot_ros.demo.arm import arm_urdf
    from drrobot_ros.robot import RobotModel

    torch.set_num_threads(1)  # the C++ kernels have threads of their own
    source = arm_urdf() if flags.robot == DEMO_ARM else flags.robot
    return RobotModel.load(
        source, package_paths=flags.package_paths, base_link=flags.base_link or None
    )


def load_splats(flags: RobotFlags, model: Any) -> Any:
    """Return the GaussianRobot, sampled or loaded.

    Raises:
        InputError: the file cannot be read, or is another robot's.
    """
    from drrobot_ros.splats import GaussianRobot

    if not flags.splats:
        return GaussianRobot.from_model(model, count=flags.splat_count)
    gaussians = GaussianRobot.load(flags.splats)
    gaussians.check_matches(model)
    return gaussians


def add_joint_flag(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--joints``: numbers in the model's order, or name=value."""
    parser.add_argument(
        "--joints",
        nargs="*",
        default=[],
        metavar="VALUE",
        help=f"{what}: one number per position of the model, or name=value [rad or m]; "
        "those not given are the model's neutral ones",
    )


def joints_from(words: list[str], model: Any) -> NDArray[np.float64]:
    """Return joint positions [nq] as ``--joints`` gives them.

    Raises:
        InputError: a word that is no number, an unknown joint, a wrong count, or positions far
            beyond the limits.
    """
    q = _joints(words, model)
    check_positions(model, q[None])
    return q


def _joints(words: list[str], model: Any) -> NDArray[np.float64]:
    q = model.neutral().numpy()
    named = [word.partition("=") for word in words if "=" in word]
    if named and len(named) != len(words):
        raise InputError("--joints takes either numbers or name=value, not both")
    if not named and words and len(words) != model.nq:
        raise InputError(
            f"--joints has {len(words)} numbers, {model.name!r} has {model.nq}: "
            f"{', '.join(model.joint_names)}"
        )
    if not named:
        return np.array([_number(word) for word in words]) if words else q
    values = {name: _number(text) for name, _, text in named}
    return model.q_from_mapping(values).numpy()


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"--joints: {text!r} is no number")
    return value
