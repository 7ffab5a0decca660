"""Where a camera starts, and whether it could see the robot from there."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.rendering.viewpoint import share_in_view
from drrobot_ros.ros.camera_reader import CameraReader, Picture
from drrobot_ros.ros.conversions import matrix_from_numbers
from drrobot_ros.ros.frame_errors import NotReadyError

Matrix = NDArray[np.float64]


def parent_frame(reader: CameraReader, base_frame: str) -> str:
    """Return the frame that a camera is fixed to: its link, or the base."""
    return reader.settings.camera_link or base_frame


def start_pose(
    reader: CameraReader,
    base_frame: str,
    from_tf: Callable[[str, str], Matrix | None],
) -> Matrix:
    """Return the pose [4, 4] of a camera to start from, in the frame it is fixed to.

    Args:
        reader: of the camera, after its first image.
        base_frame: of the robot.
        from_tf: (parent frame, optical frame) -> pose or None.

    Raises:
        NotReadyError: neither the parameter nor tf says.
    """
    settings = reader.settings
    if settings.initial_camera_pose:
        return matrix_from_numbers(settings.initial_camera_pose)
    parent, optical = parent_frame(reader, base_frame), reader.optical_frame
    T = from_tf(parent, optical)
    if T is None:
        name = f"{reader.name}." if reader.name else ""
        raise NotReadyError(
            reader.topic("start"),
            f"no camera pose to start from: set {name}initial_camera_pose, or connect "
            f"{parent!r} with {optical!r} on tf",
        )
    return T


def check_view(reader: CameraReader, picture: Picture, T: Matrix, model: Any, q: Any) -> None:
    """Check that a camera that stands still could see something of the robot.

    Args:
        reader: of the camera; one that the robot carries may see nothing of it.
        picture: its first image.
        T: its pose in the base frame [4, 4].
        model: the robot.
        q: positions to start from [nq].

    Raises:
        NotReadyError: nothing of the robot could be in the image; the message says what to check.
    """
    if reader.settings.camera_link:
        return
    before, inside = share_in_view(model, q, picture.camera, T)
    if before == 0.0:
        raise NotReadyError(
            reader.topic("start"),
            "with the camera pose to start from the whole robot is behind the camera; it has to "
            "be the pose of the optical frame (z forward, x right, y down) in the base frame, "
            "not its inverse",
        )
    if inside == 0.0:
        raise NotReadyError(
            reader.topic("start"),
            "with the camera pose to start from none of the robot is in the image; check the "
            "pose, the intrinsics and the joint positions",
        )
