"""The launch files: what needs no launch, what needs it, and real runs under launch_pytest."""

import ast
import importlib.util
import os
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
ARM = ROOT / "models" / "six_axis_arm" / "six_axis_arm.urdf"
HAS_LAUNCH = all(importlib.util.find_spec(name) for name in ("launch_ros", "launch_pytest"))
needs_launch = pytest.mark.skipif(
    not HAS_LAUNCH,
    reason="launch_ros and launch_pytest are not installed (they come with ROS 2, not from PyPI)",
)

os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def test_there_are_launch_files():
    names = {f.name.removesuffix(".launch.py") for f in FILES}
    assert names >= {"calibrate", "demo", "pose_estimator", "robot_identifier", "visual_control"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_arguments_are_described_and_used(path):
    tree = ast.parse(path.read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "generate_launch_description" in functions
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "ARGUMENTS"
    )
    names = [row.elts[0].value for row in table.elts]
    assert len(set(names)) == len(names)
    text = path.read_text()
    if "launching." in text:  # what all launch files do with their arguments
        text += (ROOT / "drrobot_ros" / "ros" / "launching.py").read_text()
    used = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    for row in table.elts:
        name, _, description = row.elts
        assert len(description.value) > 5, name.value
        # Named in the table, and once more where it takes effect.
        assert text.count(f'"{name.value}"') > 1, name.value
        assert name.value in used


def test_rviz_shows_what_the_nodes_publish():
    config = yaml.safe_load((ROOT / "config" / "pose_estimator.rviz").read_text())
    manager = config["Visualization Manager"]
    displays = {d["Name"]: d for d in manager["Displays"]}
    classes = {d["Class"] for d in manager["Displays"]}
    for name in ("Image", "Camera", "RobotModel", "TF"):
        assert f"rviz_default_plugins/{name}" in classes
    assert displays["Overlay"]["Topic"]["Value"] == "pose_estimator/overlay"
    assert displays["Robot as estimated"]["TF Prefix"] == "estimated"
    assert set(displays["Camera"]["Visibility"]) - {"Value"} == set(displays) - {"Camera"}


def test_executables_are_installed():
    text = (ROOT / "setup.py").read_text()
    nodes = ("calibrator", "pose_estimator", "robot_identifier", "simulated_robot")
    for node in (*nodes, "visual_control", "visual_servo"):
        assert f"{node} = {{NAME}}.ros.nodes.{node}:main" in text


@needs_launch
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_launch_reads_it(path):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(path))
    for argument in description.get_launch_arguments():
        assert argument.description and argument.default_value is not None


if HAS_LAUNCH:
    import launch_pytest
    import rclpy
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch_pytest.actions import ReadyToTest

    from launch import LaunchContext, LaunchDescription

    def included(name, **arguments):
        source = PythonLaunchDescriptionSource(str(ROOT / "launch" / name))
        return IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))

    def wait_for(kind, topic, condition, timeout_s=60.0):
        """Return the first message of a topic that meets a condition."""
        rclpy.init()
        node = rclpy.create_node("waits")
        got = []
        try:
            node.create_subscription(kind, topic, got.append, 10)
            end = node.get_clock().now().nanoseconds + timeout_s * 1e9
            while node.get_clock().now().nanoseconds < end:
                rclpy.spin_once(node, timeout_sec=0.1)
                for message in got:
                    if condition(message):
                        return message
        finally:
            node.destroy_node()
            rclpy.shutdown()
        raise AssertionError(f"nothing on {topic} in {timeout_s} s: {got[-1:]}")

    @launch_pytest.fixture
    def estimator():
        """The user's command, in a namespace and with topics of another camera."""
        command = included(
            "pose_estimator.launch.py",
            robot=str(ARM),
            image="/front/image_rect",
            camera_pose="1.2 0.6 0.6 0 0 0 1",
            namespace="cell",
            depth="/front/depth",
        )
        return LaunchDescription([command, ReadyToTest()])

    @pytest.mark.launch(fixture=estimator)
    def test_pose_estimator_runs():
        from drrobot_msgs.msg import EstimatorStatus

        status = wait_for(
            EstimatorStatus,
            "/cell/pose_estimator/status",
            lambda s: "waiting for an image on /front/image_rect" in s.reason,
        )
        assert status.state == EstimatorStatus.STARTING

    @launch_pytest.fixture
    def demo():
        return LaunchDescription([included("demo.launch.py", rate_hz="10.0"), ReadyToTest()])

    @pytest.mark.launch(fixture=demo)
    def test_demo_tracks():
        from drrobot_msgs.msg import EstimatorStatus

        status = wait_for(
            EstimatorStatus,
            "/pose_estimator/status",
            lambda s: s.state == EstimatorStatus.TRACKING,
        )
        assert len(status.position) == 6
        assert status.header.frame_id == "camera_optical_frame"

    def nodes_of(name, **arguments):
        """Return the nodes a launch file would start."""
        from launch.actions import OpaqueFunction

        context = LaunchContext()
        description = included(name).launch_description_source.get_launch_description(context)
        for argument in description.get_launch_arguments():
            default = argument.default_value
            text = "".join(part.perform(context) for part in default)
            context.launch_configurations[argument.name] = arguments.get(argument.name, text)
        (function,) = [e for e in description.entities if isinstance(e, OpaqueFunction)]
        return context, function.execute(context)

    def test_rviz_brings_the_estimated_robot():
        context, nodes = nodes_of("pose_estimator.launch.py", robot=str(ARM), rviz="true")
        kinds = [
            n.node_executable for n in nodes if n.condition is None or n.condition.evaluate(context)
        ]
        assert kinds == [
            "pose_estimator",
            "rviz2",
            "robot_state_publisher",
            "static_transform_publisher",
        ]
        context, nodes = nodes_of("pose_estimator.launch.py", robot="universal_robots_ur5e")
        kinds = [
            n.node_executable for n in nodes if n.condition is None or n.condition.evaluate(context)
        ]
        assert kinds == ["pose_estimator"]

    def test_words_that_are_no_truth_value_are_refused():
        with pytest.raises(ValueError, match="expected true or false, got 'perhaps'"):
            nodes_of("pose_estimator.launch.py", use_sim_time="perhaps")
