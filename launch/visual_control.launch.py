"""Move an arm by what the camera sees: visual_control, visual_servo and the estimator.

ros2 launch drrobot_ros visual_control.launch.py robot:=ur5e.urdf controller:=ur \
    image:=/camera/color/image_rect camera_pose:="..."
ros2 action send_goal -f /visual_control/optimize_joint_target \
    drrobot_msgs/action/OptimizeJointTarget "{objectives: [{kind: sentence, prompt: 'arm up'}]}"
"""

from launch.actions import GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
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
    ("camera_pose", "", "x y z qx qy qz qw or x y z roll pitch yaw of the optical frame in the "
     "base frame, with blanks between; empty: as in params_file, or from tf"),
    ("controller", "", "name of the arm's controller; empty: as in params_file"),
    ("controllers_file", "", "yaml file of controllers; empty: the package's own"),
    ("obstacles_file", "", "yaml file of what stands around the arm; empty: as in params_file"),
    ("text_model", "", "text-image model for sentences; empty: the project's own small one"),
    ("estimator", "true", "start the pose estimator too"),
    ("servo", "true", "start visual_servo too"),
    ("params_file", str(SHARE / "config" / "visual_control.yaml"), "parameters of visual_control"),
    ("servo_params_file", str(SHARE / "config" / "visual_servo.yaml"), "of visual_servo"),
    ("estimator_params_file", str(SHARE / "config" / "pose_estimator.yaml"), "of the estimator"),
    ("namespace", "", "namespace of the nodes"),
    ("use_sim_time", "false", "take the time from /clock"),
    ("log_level", "info", "debug, info, warn or error"),
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the nodes."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list:
    given = launching.given(context, ARGUMENTS)
    names = ("robot", "splats", "controller", "controllers_file", "obstacles_file")
    parameters = {
        **launching.words(given, names),
        **launching.camera_pose(given, "camera_pose"),
    }
    remappings = [*launching.camera_topics(given), ("joint_states", given["joint_states"])]
    words = launching.words(given, ("text_model",))
    nodes: list = [launching.node("visual_control", given, {**parameters, **words}, remappings)]
    if launching.is_true(given["servo"]):
        own = {**given, "params_file": given["servo_params_file"]}
        nodes.append(launching.node("visual_servo", own, parameters, remappings))
    return [*nodes, *_estimator(given)]


def _estimator(given: dict[str, str]) -> list[Node | GroupAction]:
    if not launching.is_true(given["estimator"]):
        return []
    same = ("robot", "splats", "robot_description_topic", "image", "camera_info", "joint_states")
    same += ("camera_pose", "namespace", "use_sim_time", "log_level")
    arguments = [(name, given[name]) for name in same]
    file = str(SHARE / "launch" / "pose_estimator.launch.py")
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(file),
        launch_arguments=[*arguments, ("params_file", given["estimator_params_file"])],
    )
    return [GroupAction([estimator])]
