"""Find where a camera is, and what the joint encoders are off by, from images of the moving arm.

ros2 launch drrobot_ros calibrate.launch.py image:=/camera/color/image_rect camera_pose:="..."
ros2 action send_goal -f /calibrator/calibrate drrobot_msgs/action/Calibrate "{keyframes: 12}"
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory("drrobot_ros"))
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
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    image = given["image"]
    info = given["camera_info"] or "/".join([*image.split("/")[:-1], "camera_info"])
    remappings = [
        ("image", image),
        ("camera_info", info),
        ("joint_states", given["joint_states"]),
        ("robot_description", given["robot_description_topic"]),
    ]
    # What is not given is left to the parameter file.
    own: dict = {"use_sim_time": _is_true(given["use_sim_time"])}
    for topic in ("depth", "mask"):
        if given[topic]:
            remappings.append((topic, given[topic]))
            own[f"subscribe_{topic}"] = True
    for name in ("robot", "splats", "camera_link", "folder"):
        if given[name]:
            # A value of digits only is a name all the same.
            own[name] = ParameterValue(given[name], value_type=str)
    if given["camera_pose"]:
        own["initial_camera_pose"] = [float(word) for word in given["camera_pose"].split()]
    return [
        Node(
            package="drrobot_ros",
            executable="calibrator",
            namespace=given["namespace"],
            parameters=[given["params_file"], own],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", given["log_level"]],
            output="screen",
        )
    ]


def _is_true(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"expected true or false, got {text!r}")
