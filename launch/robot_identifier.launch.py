"""Find a robot's masses, inertias and friction from its joint states.

ros2 launch drrobot_ros robot_identifier.launch.py robot:=arm.urdf
ros2 service call /robot_identifier/start std_srvs/srv/Trigger   # then move the arm, and
ros2 service call /robot_identifier/fit std_srvs/srv/Trigger
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
    ("robot_description_topic", "robot_description", "topic with the robot's URDF"),
    ("joint_states", "joint_states", "topic of measured positions, velocities and efforts"),
    ("folder", "", "where each fit writes a folder of its own; empty: as in params_file"),
    ("params_file", str(SHARE / "config" / "robot_identifier.yaml"), "parameters of the node"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "false", "take the time from /clock"),
    ("log_level", "info", "debug, info, warn or error"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    # What is not given is left to the parameter file.
    own: dict = {"use_sim_time": _is_true(given["use_sim_time"])}
    for name in ("robot", "folder"):
        if given[name]:
            # A value of digits only is a name all the same.
            own[name] = ParameterValue(given[name], value_type=str)
    return [
        Node(
            package="drrobot_ros",
            executable="robot_identifier",
            namespace=given["namespace"],
            parameters=[given["params_file"], own],
            remappings=[
                ("joint_states", given["joint_states"]),
                ("robot_description", given["robot_description_topic"]),
            ],
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
