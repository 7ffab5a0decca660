"""The camera that a command is about."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera


@dataclasses.dataclass(frozen=True)
class Lens:
    """A camera's intrinsics, and the distortion to be taken out of its images.

    Attributes:
        camera: intrinsics.
        distortion: OpenCV's coefficients; empty where images are rectified.
    """

    camera: PinholeCamera
    distortion: tuple[float, ...] = ()

    def rectify(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image without distortion; its intrinsics stay the same."""
        if not any(self.distortion):
            return image
        import cv2

        return np.asarray(cv2.undistort(image, self.camera.K, np.array(self.distortion)), np.uint8)


def add_camera_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a camera's intrinsics and pose."""
    group = parser.add_argument_group("camera")
    which = group.add_mutually_exclusive_group(required=True)
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
        required=True,
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


def read_camera_info(path: str | Path) -> Lens:
    """Return the lens of a calibration file in the format of ROS's camera_calibration.

    Raises:
        InputError: it cannot be read; the message names what is missing.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    try:
        size = int(values["image_width"]), int(values["image_height"])
        K = np.array(values["camera_matrix"]["data"], np.float64).reshape(3, 3)
        distortion = values.get("distortion_coefficients", {}).get("data", [])
        return Lens(PinholeCamera(K, *size), tuple(float(d) for d in distortion))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no camera calibration: it needs image_width, image_height and "
            f"camera_matrix: data; {error} is missing"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
