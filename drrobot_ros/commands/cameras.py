"""The camera that a command is about."""

import argparse

import numpy as np

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.camera_info import read_camera_info


def add_camera_flags(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the flags of a camera's intrinsics and pose, which may be left out if not required."""
    group = parser.add_argument_group("camera")
    which = group.add_mutually_exclusive_group(required=required)
    which.add_argument(
        "--camera", nargs=4, type=float, metavar=("FX", "FY", "CX", "CY"), help="intrinsics [px]"
    )
    which.add_argument(
        "--camera-info", metavar="YAML", help="calibration file as camera_calibration writes it"
    )
    group.add_argument(
        "--camera-pose",
        nargs="+",
        type=float,
        metavar="NUMBER",
        required=required,
        help="pose of the optical frame in the base frame: x y z qx qy qz qw, or "
        "x y z roll pitch yaw [m, rad]",
    )


def lens_from(options: argparse.Namespace, width: int, height: int) -> Lens:
    """Return the lens that the flags describe, for images of a size.

    Raises:
        InputError: a file that cannot be read, or of another image size.
    """
    if options.camera_info:
        lens = read_camera_info(options.camera_info)
        if (lens.camera.width, lens.camera.height) != (width, height):
            raise InputError(
                f"{options.camera_info} is for {lens.camera.width}x{lens.camera.height}, "
                f"the images are {width}x{height}"
            )
        return lens
    fx, fy, cx, cy = options.camera
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return Lens(PinholeCamera(K, width, height))
