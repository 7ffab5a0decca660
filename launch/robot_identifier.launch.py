"""Find a robot's masses, inertias and friction from its joint states.

ros2 launch drrobot_ros robot_identifier.launch.py robot:=arm.urdf
ros2 service call /robot_identifier/start std_srvs/srv/Trigger   # then move the arm, and
ros2 service call /robot_identifier/fit std_srvs/srv/Trigger
"""

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from drrobot_ros.ros import launching
from launch import LaunchContext, LaunchDescription

SHARE = launching.share()
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
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = launching.given(context, ARGUMENTS)
    remappings = [
        ("joint_states", given["joint_states"]),
        ("robot_description", given["robot_description_topic"]),
    ]
    parameters = launching.words(given, ("robot", "folder"))
    return [launching.node("robot_identifier", given, parameters, remappings)]
