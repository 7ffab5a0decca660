"""Say what is installed and can be used here, or what a robot consists of."""

import argparse
import importlib.util
import os
import platform
from importlib import metadata

import numpy as np

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import RobotFlags, load_model

SUMMARY = "what is installed, or what a robot consists of"
PACKAGES = ("torch", "numpy", "mujoco", "opencv-python-headless", "gsplat", "airo-models")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_flags(parser, RobotFlags)
    parser.set_defaults(robot="")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    if options.robot:
        _print_robot(from_flags(RobotFlags, options))
    else:
        _print_installation()
    return 0


def _print_installation() -> None:
    cores = len(os.sched_getaffinity(0))
    version = metadata.version("drrobot_ros")
    print(f"drrobot_ros {version}, Python {platform.python_version()}, {cores} cores")
    for name in PACKAGES:
        try:
            print(f"  {name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"  {name}: not installed")
    print(f"  C++ kernels: {_kernels()}")
    print(f"  ROS 2: {_ros()}")
    print(f"  graphics of the simulation: MUJOCO_GL={os.environ.get('MUJOCO_GL') or 'egl'}")


def _kernels() -> str:
    from drrobot_ros.errors import DrRobotError
    from drrobot_ros.native.library import available_isas, num_threads

    try:
        return f"{available_isas()[-1]}, {num_threads()} threads"
    except DrRobotError as error:
        return f"not usable: {error}"


def _ros() -> str:
    distro = os.environ.get("ROS_DISTRO", "")
    if importlib.util.find_spec("rclpy") is None:
        return "not installed; the library and the commands estimate and view work without"
    messages = "" if importlib.util.find_spec("drrobot_msgs") else ", but drrobot_msgs is not built"
    return (f"{distro} is sourced" if distro else "from wheels") + messages


def _print_robot(flags: RobotFlags) -> None:
    model = load_model(flags)
    faces = sum(len(v.faces) for v in model.visuals)
    print(f"{model.name}: base frame {model.base_link!r}, {len(model.link_names)} links, ", end="")
    print(f"{len(model.visuals)} visuals of {faces} triangles")
    print(f"{len(model.joint_names)} joints, {model.nq} positions:")
    for name in model.joint_names:
        i = model.joint_q_index(name)
        low, high = np.asarray(model.lower)[i], np.asarray(model.upper)[i]
        print(f"  {i:3d}  {name:<32} {low:10.4g} to {high:.4g}")
    print("links: " + ", ".join(model.link_names))
