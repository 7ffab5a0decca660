"""A simulated arm and camera, and the estimator that finds the arm's joints from the images.

ros2 launch drrobot_ros demo.launch.py rviz:=true
"""

from pathlib import Path

from launch.actions import GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from drrobot_ros.ros import launching
from launch import LaunchContext, LaunchDescription

SHARE = launching.share()
ARM = SHARE / "models" / "six_axis_arm" / "six_axis_arm.urdf"
ARGUMENTS = (
    ("robot", str(ARM), "URDF or MJCF file, or menagerie name"),
    ("rate_hz", "30.0", "images a second"),
    ("encoder_bias", "0.1", "standard deviation of the simulated encoders' constant error, rad"),
    ("simulator_params_file", str(SHARE / "config" / "simulated_robot.yaml"), "of the simulator"),
    ("params_file", str(SHARE / "config" / "pose_estimator.yaml"), "of the estimator"),
    ("namespace", "", "namespace of both nodes"),
    ("rviz", "false", "start RViz"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the simulated robot and the estimator."""
    return LaunchDescription([*launching.declare(ARGUMENTS), OpaqueFunction(function=_demo)])


def _demo(context: LaunchContext) -> list:
    given = launching.given(context, ARGUMENTS)
    simulator = Node(
        package="drrobot_ros",
        executable="simulated_robot",
        namespace=given["namespace"],
        parameters=[
            given["simulator_params_file"],
            {
                "robot": ParameterValue(given["robot"], value_type=str),
                "rate_hz": float(given["rate_hz"]),
                "encoders.bias": float(given["encoder_bias"]),
            },
        ],
        output="screen",
    )
    # The encoders are wrong: the estimator starts from them, and finds the truth in the images.
    names = ("robot", "params_file", "namespace", "rviz")
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "pose_estimator.launch.py")),
        launch_arguments=[(name, given[name]) for name in names],
    )
    return [simulator, GroupAction([estimator]), *_measured_robot(given)]


def _measured_robot(given: dict[str, str]) -> list:
    """Return what shows RViz the robot as its encoders have it."""
    robot = Path(given["robot"])
    if given["rviz"].lower() != "true" or robot.suffix != ".urdf":
        return []
    text = ParameterValue(robot.read_text(), value_type=str)
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=given["namespace"],
            parameters=[{"robot_description": text}],
        )
    ]
