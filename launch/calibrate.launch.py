"""Find where a camera is, and what the joint encoders are off by, from images of the moving arm.

ros2 launch drrobot_ros calibrate.launch.py image:=/camera/color/image_rect camera_pose:="..."
ros2 action send_goal -f /calibrator/calibrate drrobot_msgs/action/Calibrate "{keyframes: 12}"
"""

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from drrobot_ros.ros import launching
from launch import LaunchContext, LaunchDescription

SHARE = launching.share()
ARGUMENTS = (
    ("robot", "", "URDF or MJCF file, or menagerie name; empty: robot_description_topic"),
    ("splats", "", "file of the robot's Gaussians; empty: sampled on its meshes"),
    ("robot_description_topic", "robot_description", "topic with the robot's URDF"),
    ("image", "image", "topic of the images; with raw in its name they are rectified here"),
    ("camera_info", "", "topic of their calibration; empty: camera_info beside image"),
    ("joint_states", "joint_states", "topic of the measured joints"),
    ("depth", "", "topic of depth aligned with image; empty: none"),
    ("mask", "", "topic of masks, 255 where the robot is; empty: none"),
    ("camera_link", "", "link that carries the camera (eye in hand); empty: it stands still"),
    ("camera_pose", "", "roughly: x y z qx qy qz qw or x y z roll pitch yaw of the optical frame "
     "in the base frame or in camera_link, with blanks between; empty: as in params_file, or from "
     "tf"),
    ("folder", "", "where each calibration writes a folder of its own; empty: as in params_file"),
    ("params_file", str(SHARE / "config" / "calibrator.yaml"), "parameters of the node"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "false", "take the time from /clock"),
    ("log_level", "info", "debug, info, warn or error"),
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = launching.given(context, ARGUMENTS)
    optional, subscribed = launching.optional_topics(given, ("depth", "mask"))
    parameters = {
        **launching.words(given, ("robot", "splats", "camera_link", "folder")),
        **launching.camera_pose(given),
        **subscribed,
    }
    remappings = [
        *launching.camera_topics(given),
        ("joint_states", given["joint_states"]),
        *optional,
    ]
    return [launching.node("calibrator", given, parameters, remappings)]
