"""Estimate a robot's joints and the camera's pose from its images.

ros2 launch drrobot_ros pose_estimator.launch.py image:=/camera/color/image_rect robot:=arm.urdf
"""

from pathlib import Path
from xml.etree import ElementTree

from launch.actions import OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from drrobot_ros.ros import launching
from launch import LaunchContext, LaunchDescription

SHARE = launching.share()
ARGUMENTS = (
    ("robot", "", "URDF or MJCF file, or menagerie name; empty: robot_description_topic"),
    ("splats", "", "file of the robot's Gaussians; empty: sampled on its meshes"),
    ("robot_description_topic", "robot_description", "topic with the robot's URDF"),
    ("image", "image", "topic of the images; with raw in its name they are rectified here"),
    ("camera_info", "", "topic of their calibration; empty: camera_info beside image"),
    ("joint_states", "joint_states", "topic of measured joints; empty: none"),
    ("depth", "", "topic of depth aligned with image; empty: none"),
    ("mask", "", "topic of masks, 255 where the robot is; empty: none"),
    ("ignore_mask", "", "topic of masks, 255 where the image is not to be used; empty: none"),
    ("camera_link", "", "link that carries the camera (eye in hand); empty: it stands still"),
    ("camera_pose", "", "start: x y z qx qy qz qw of the optical frame in the base frame or in "
     "camera_link, with blanks between; empty: as in params_file, or from tf"),
    ("estimate_camera", "", "true, false, or empty: as in params_file"),
    ("params_file", str(SHARE / "config" / "pose_estimator.yaml"), "parameters of the node"),
    ("namespace", "", "namespace of the node"),
    ("use_sim_time", "false", "take the time from /clock"),
    ("rviz", "false", "start RViz, with a second robot as estimated where robot is a URDF file"),
    ("log_level", "info", "debug, info, warn or error"),
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node and, if wanted, RViz."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = launching.given(context, ARGUMENTS)
    optional, subscribed = launching.optional_topics(
        given, ("joint_states", "depth", "mask", "ignore_mask")
    )
    parameters = {
        "subscribe_joint_states": False,
        **subscribed,
        **launching.words(given, ("robot", "splats", "camera_link")),
        **launching.camera_pose(given),
    }
    if given["estimate_camera"]:
        parameters["tracker.estimate_camera"] = launching.is_true(given["estimate_camera"])
    remappings = [*launching.camera_topics(given), *optional]
    estimator = launching.node("pose_estimator", given, parameters, remappings)
    return [estimator, *_views(given, launching.is_true(given["use_sim_time"]))]


def _views(given: dict[str, str], use_sim_time: bool) -> list[Node]:
    """Return RViz, and what makes the estimated robot's frames for it."""
    wanted = IfCondition(LaunchConfiguration("rviz"))
    common = {"namespace": given["namespace"], "condition": wanted}
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(SHARE / "config" / "pose_estimator.rviz")],
        parameters=[{"use_sim_time": use_sim_time}],
        remappings=[("image", given["image"])],
        **common,
    )
    robot = Path(given["robot"])
    if robot.suffix != ".urdf" or not robot.is_file():
        return [rviz]
    text = robot.read_text()
    ghost = Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        name="estimated_robot_state_publisher",
        parameters=[
            {
                "robot_description": ParameterValue(text, value_type=str),
                "frame_prefix": "estimated/",
                "publish_frequency": 60.0,
                "use_sim_time": use_sim_time,
            }
        ],
        remappings=[
            ("joint_states", "pose_estimator/joint_states"),
            ("robot_description", "pose_estimator/robot_description"),
        ],
        **common,
    )
    base = _root_link(text)
    anchor = Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        name="estimated_base",
        arguments=["--frame-id", base, "--child-frame-id", f"estimated/{base}"],
        **common,
    )
    return [rviz, ghost, anchor]


def _root_link(urdf: str) -> str:
    """Return the link of a URDF that is no joint's child."""
    robot = ElementTree.fromstring(urdf)
    children = {child.get("link") for child in robot.findall("joint/child")}
    return next(
        n for n in (link.get("name", "") for link in robot.findall("link")) if n not in children
    )
