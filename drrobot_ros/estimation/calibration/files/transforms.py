"""A camera's pose as ROS publishes it: files to launch or to paste."""

import dataclasses
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.geometry.pose_numbers import numbers_from_pose

Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class FrameNames:
    """What a camera's frames are called.

    Attributes:
        optical: the optical frame (z forward), as in the header of its images.
        body: frame of the camera's body, which its driver hangs the optical frame from; "" where
            it is not known.
        T_body_optical: what the driver publishes [4,4], where the body is known.
    """

    optical: str
    body: str = ""
    T_body_optical: Matrix | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class CameraFrames:
    """A camera's pose and the frames it connects.

    Attributes:
        parent: link that the camera is fixed to: the robot's base, or for eye-in-hand another.
        names: of the camera's own frames.
        T_parent_optical: pose of the optical frame [4,4].
    """

    parent: str
    names: FrameNames
    T_parent_optical: Matrix

    @property
    def T_parent_body(self) -> Matrix | None:
        """Pose [4,4] of the camera's body; None where it is not known."""
        if self.names.T_body_optical is None or not self.names.body:
            return None
        return self.T_parent_optical @ np.linalg.inv(self.names.T_body_optical)

    @property
    def published(self) -> tuple[str, Matrix]:
        """The frame to publish below the parent, and its pose: a frame has one parent only."""
        T = self.T_parent_body
        if T is None:
            return self.names.optical, self.T_parent_optical
        return self.names.body, T


def transform_entry(parent: str, child: str, T: Matrix) -> dict[str, Any]:
    """Return a transform as yaml holds it, names as in geometry_msgs/TransformStamped; rpy too."""
    from scipy.spatial.transform import Rotation

    x, y, z, qx, qy, qz, qw = (float(n) for n in numbers_from_pose(T))
    rpy = Rotation.from_matrix(T[:3, :3]).as_euler("xyz")
    return {
        "frame_id": parent,
        "child_frame_id": child,
        "translation": {"x": x, "y": y, "z": z},
        "rotation": {"x": qx, "y": qy, "z": qz, "w": qw},
        "rpy": [float(a) for a in rpy],
        "matrix": [[float(v) for v in row] for row in T],
    }


def publisher_arguments(parent: str, child: str, T: Matrix) -> str:
    """Return the arguments of tf2_ros's static_transform_publisher."""
    names = ("x", "y", "z", "qx", "qy", "qz", "qw")
    words = [f"--{n} {v:.9g}" for n, v in zip(names, numbers_from_pose(T), strict=True)]
    return " ".join([*words, f"--frame-id {parent}", f"--child-frame-id {child}"])


def launch_file(cameras: list[CameraFrames]) -> str:
    """Return a launch file (XML) that publishes cameras' poses on /tf_static."""
    lines = ["<launch>"]
    for frames in cameras:
        child, T = frames.published
        if child == frames.names.optical:
            lines += [
                f"  <!-- {frames.parent} to the optical frame. A frame has one parent only: where",
                "       the camera's driver puts one above it (camera_link), publish that one. -->",
            ]
        else:
            lines += [
                f"  <!-- {frames.parent} to the camera's body, below which its driver publishes",
                f"       {frames.names.optical}. -->",
            ]
        name = "".join(c if c.isalnum() else "_" for c in child).strip("_")
        lines += [
            f'  <node pkg="tf2_ros" exec="static_transform_publisher" name="{name}_calibration"',
            f"        args={quoteattr(publisher_arguments(frames.parent, child, T))}/>",
        ]
    return "\n".join([*lines, "</launch>", ""])
