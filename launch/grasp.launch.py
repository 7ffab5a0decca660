"""Reconstruct the objects in front of an RGB-D camera, and have an arm grasp one of them.

ros2 launch drrobot_ros grasp.launch.py image:=/camera/color/image_rect depth:=/camera/depth controller:=ur
ros2 action send_goal -f /scene_reconstructor/reconstruct_scene drrobot_msgs/action/ReconstructScene "{center_x: [320], center_y: [240], size_x: [80], size_y: [90], names: [cup]}"
ros2 action send_goal -f /grasp_planner/grasp_object drrobot_msgs/action/GraspObject "{object: cup}"
"""  # noqa: E501

from launch.actions import OpaqueFunction
from launch_ros.actions import Node

from drrobot_ros.ros import launching
from launch import LaunchContext, LaunchDescription

SHARE = launching.share()
ARGUMENTS = (
    ("robot", "", "URDF or MJCF file, or menagerie name; empty: robot_description_topic"),
    ("robot_description_topic", "robot_description", "topic with the robot's URDF"),
    ("image", "image", "topic of the images; with raw in its name they are rectified here"),
    ("camera_info", "", "topic of their calibration; empty: camera_info beside image"),
    ("depth", "depth", "topic of depth aligned with image"),
    ("joint_states", "joint_states", "topic of the measured joints"),
    ("camera_pose", "", "x y z qx qy qz qw or x y z roll pitch yaw of the optical frame in the "
     "base frame, with blanks between; empty: from the pose estimator, or from tf"),
    ("controller", "", "name of the arm's controller; empty: as in grasp_params_file"),
    ("controllers_file", "", "yaml file of controllers; empty: the package's own"),
    ("gripper_interface", "", "joints or command; empty: as in grasp_params_file"),
    ("gripper_action", "", "name of the action GripperCommand; empty: as in grasp_params_file"),
    ("folder", "", "where each scene is written; empty: as in params_file"),
    ("params_file", str(SHARE / "config" / "scene_reconstructor.yaml"),
     "parameters of scene_reconstructor"),
    ("grasp_params_file", str(SHARE / "config" / "grasp_planner.yaml"),
     "parameters of grasp_planner"),
    ("namespace", "", "namespace of the nodes"),
    ("use_sim_time", "false", "take the time from /clock"),
    ("log_level", "info", "debug, info, warn or error"),
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the nodes."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given = launching.given(context, ARGUMENTS)
    topics = [
        *launching.camera_topics(given),
        ("depth", given["depth"]),
        ("joint_states", given["joint_states"]),
    ]
    pose = launching.camera_pose(given, "camera_pose")
    seeing = {**launching.words(given, ("robot", "folder")), **pose, "subscribe_depth": True}
    names = ("robot", "controller", "controllers_file", "gripper_interface", "gripper_action")
    moving = {**launching.words(given, names), **pose}
    grasps = {**given, "params_file": given["grasp_params_file"]}
    return [
        launching.node("scene_reconstructor", given, seeing, topics),
        launching.node("grasp_planner", grasps, moving, topics),
    ]
