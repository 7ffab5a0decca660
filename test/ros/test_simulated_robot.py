"""The simulated robot over real DDS: images, encoders, truth, trajectories."""

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("control_msgs", reason="control_msgs is not installed")

import rclpy
import torch
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient
from scipy.ndimage import minimum_filter
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from drrobot_ros.robot import RobotModel
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.conversions import camera_from_info, matrix_from_pose, stamp_to_ns
from drrobot_ros.ros.images import image_to_depth, image_to_mask, image_to_rgb

ARM = Path(__file__).parents[2] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
RATE_HZ, BIAS = 15.0, 0.05
Result = FollowJointTrajectory.Result


class Watcher:
    """Keeps what the simulated robot publishes."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("watcher")
        self.got: dict[str, list] = {}
        truth = "simulated_robot/ground_truth"
        for name, kind, topic, profile in (
            ("image", Image, "image", qos.OUTPUT),
            ("depth", Image, "depth", qos.OUTPUT),
            ("info", CameraInfo, "camera_info", qos.OUTPUT),
            ("joints", JointState, "joint_states", qos.STREAM_INPUT),
            ("true_joints", JointState, f"{truth}/joint_states", qos.OUTPUT),
            ("true_pose", PoseStamped, f"{truth}/camera_pose", qos.OUTPUT),
            ("mask", Image, f"{truth}/mask", qos.OUTPUT),
            ("tf", TFMessage, "/tf_static", qos.LATCHED_MANY),
            ("description", String, "robot_description", qos.LATCHED),
        ):
            self.got[name] = []
            self.node.create_subscription(kind, topic, self.got[name].append, profile)
        self.trajectories = self.node.create_publisher(
            JointTrajectory, "simulated_robot/joint_trajectory", 10
        )
        self.action = ActionClient(
            self.node, FollowJointTrajectory, "simulated_robot/follow_joint_trajectory"
        )

    def until(self, condition, timeout_s=15.0):
        end = self.node.get_clock().now().nanoseconds + timeout_s * 1e9
        while self.node.get_clock().now().nanoseconds < end:
            rclpy.spin_once(self.node, timeout_sec=0.02)
            result = condition()
            if result:
                return result
        counts = {name: len(messages) for name, messages in self.got.items()}
        raise AssertionError(f"nothing in {timeout_s} s: {counts}")

    def together(self):
        """Return messages of one stamp of all topics that have the image's."""

        def found():
            for image in reversed(self.got["image"]):
                out = {"image": image}
                for name in ("depth", "info", "true_joints", "true_pose", "mask"):
                    for message in self.got[name]:
                        if message.header.stamp == image.header.stamp:
                            out[name] = message
                if len(out) == 6:
                    return out
            return None

        return self.until(found)

    def true_q(self):
        """Return positions of an image taken after the call."""
        asked_ns = self.node.get_clock().now().nanoseconds

        def fresh():
            messages = self.got["true_joints"]
            return messages and stamp_to_ns(messages[-1].header.stamp) > asked_ns and messages[-1]

        return np.array(self.until(fresh).position)

    def send_goal(self, trajectory):
        assert self.action.wait_for_server(timeout_sec=10.0)
        self.feedback = []
        goal = FollowJointTrajectory.Goal(trajectory=trajectory)
        future = self.action.send_goal_async(goal, feedback_callback=self.feedback.append)
        handle = self.until(future.result)
        assert handle.accepted
        return handle, handle.get_result_async()


@pytest.fixture(scope="module")
def model():
    return RobotModel.load(ARM)


@pytest.fixture(scope="module")
def process(start_node):
    values = {
        "robot": str(ARM),
        "rate_hz": RATE_HZ,
        "width": 160,
        "height": 120,
        "encoders.bias": BIAS,
        "encoders.noise": 0.001,
        "scene.background": "plain",
    }
    arguments = [word for k, v in values.items() for word in ("-p", f"{k}:={v}")]
    return start_node("-m", "drrobot_ros.ros.nodes.simulated_robot", "--ros-args", *arguments)


@pytest.fixture(scope="module")
def watcher(process):
    watcher = Watcher()
    watcher.until(lambda: watcher.got["image"], timeout_s=40.0)
    yield watcher
    watcher.node.destroy_node()
    assert process.stop() == 0, process.output()


@pytest.fixture(autouse=True)
def fresh(watcher):
    for name, messages in watcher.got.items():
        if name not in ("tf", "description"):
            messages.clear()


def trajectory(joints, positions, time_s):
    point = JointTrajectoryPoint(positions=[float(p) for p in positions])
    point.time_from_start = Duration(sec=int(time_s), nanosec=round(time_s % 1 * 1e9))
    return JointTrajectory(joint_names=joints, points=[point])


def test_image_depth_mask_and_truth_belong_together(watcher, model):
    found = watcher.together()
    camera = camera_from_info(found["info"])
    rgb, depth = image_to_rgb(found["image"]), image_to_depth(found["depth"])
    mask = image_to_mask(found["mask"]) > 0.5
    assert rgb.shape == (120, 160, 3) and (camera.width, camera.height) == (160, 120)
    assert found["image"].header.frame_id == found["info"].header.frame_id == "camera_optical_frame"
    assert found["true_joints"].header.frame_id == found["true_pose"].header.frame_id == "base_link"
    assert mask.mean() > 0.02
    # The truth explains the image: visible vertices lie in the mask, at the depth that was drawn.
    q = model.q_from_mapping(
        dict(zip(found["true_joints"].name, found["true_joints"].position, strict=True))
    )
    T_base_camera = matrix_from_pose(found["true_pose"].pose)
    links = model.forward_kinematics(q).numpy()
    T = np.linalg.inv(T_base_camera) @ links
    points = np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals]
    )
    pixels = camera.project(torch.as_tensor(points)).numpy()
    column, row = np.floor(pixels).astype(int).T
    assert ((column >= 0) & (column < 160) & (row >= 0) & (row < 120)).all()  # all of it is seen
    drawn = depth[row, column]
    visible = np.abs(drawn - points[:, 2]) < 0.01
    assert visible.mean() > 0.2
    assert mask[row, column][visible].mean() > 0.97
    # Nothing of the robot is in front of what was drawn, in the pixel or in one beside it.
    nearest = minimum_filter(np.where(np.isnan(depth), np.inf, depth), 3)[row, column]
    assert (points[:, 2] < nearest - 0.02).mean() < 0.002


def test_rate_and_stamps(watcher):
    def enough():
        return len(watcher.got["image"]) > 2 * RATE_HZ

    watcher.until(enough)
    stamps = np.array([stamp_to_ns(m.header.stamp) for m in watcher.got["image"]]) * 1e-9
    assert (np.diff(stamps) > 0).all()
    assert np.median(np.diff(stamps)) == pytest.approx(1 / RATE_HZ, rel=0.2)
    now_s = watcher.node.get_clock().now().nanoseconds * 1e-9
    assert now_s - stamps[-1] < 1.0
    assert len(watcher.got["joints"]) > 2 * len(watcher.got["image"])


def test_encoders_have_a_constant_error_and_noise(watcher):
    watcher.until(lambda: len(watcher.got["true_joints"]) > 12)
    encoder_s = np.array([stamp_to_ns(m.header.stamp) for m in watcher.got["joints"]]) * 1e-9
    encoders = np.array([m.position for m in watcher.got["joints"]])
    errors = []
    for message in watcher.got["true_joints"][2:-2]:
        stamp_s = stamp_to_ns(message.header.stamp) * 1e-9
        read = [np.interp(stamp_s, encoder_s, column) for column in encoders.T]
        errors.append(read - np.array(message.position))
    bias, noise = np.mean(errors, axis=0), np.std(errors, axis=0)
    assert 0.3 * BIAS < np.sqrt(np.mean(bias**2)) < 2 * BIAS
    assert (noise < 0.01).all() and noise.mean() > 1e-4


def test_frames_of_the_camera(watcher):
    table = tf.TransformTable()
    for message in watcher.got["tf"]:
        for transform in message.transforms:
            table.set(transform)
    assert table.parent("camera_optical_frame") == "camera_link"
    truth = matrix_from_pose(watcher.together()["true_pose"].pose)
    np.testing.assert_allclose(table.lookup("base_link", "camera_optical_frame"), truth, atol=1e-9)
    # The body's x axis is the optical axis.
    T = table.lookup("camera_link", "camera_optical_frame")
    np.testing.assert_allclose(T[:3, 2], [1, 0, 0], atol=1e-9)


def test_description_is_latched(watcher):
    assert watcher.until(lambda: watcher.got["description"])[0].data == ARM.read_text()


def test_moves_by_itself_until_it_is_told_to(watcher, model):
    first = watcher.true_q()
    watcher.until(lambda: np.abs(watcher.true_q() - first).max() > 0.02)
    names = list(model.joint_names)
    target = [0.3, -0.2, 0.4]
    watcher.trajectories.publish(trajectory(names[:3], target, 0.5))
    watcher.until(lambda: np.allclose(watcher.true_q()[:3], target, atol=1e-6))
    q = watcher.true_q()[3:]
    assert watcher.true_q()[3:] == pytest.approx(q)  # it holds


def test_follows_an_action_with_feedback(watcher, model):
    names = list(reversed(model.joint_names))
    target = np.linspace(-0.3, 0.3, len(names))
    _, result = watcher.send_goal(trajectory(names, target, 0.6))
    answer = watcher.until(result.result)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.error_code == Result.SUCCESSFUL
    assert watcher.true_q() == pytest.approx(target[::-1])
    assert len(watcher.feedback) > 4
    feedback = watcher.feedback[2].feedback
    assert list(feedback.joint_names) == list(model.joint_names)
    assert np.abs(feedback.error.positions).max() < 0.05


@pytest.mark.parametrize(
    ("joint", "position", "code", "words"),
    [
        ("joint_9", 0.0, Result.INVALID_JOINTS, "unknown joint 'joint_9'; valid: joint_1"),
        ("joint_2", 99.0, Result.INVALID_GOAL, "joint 'joint_2' at 99.0000; valid:"),
    ],
)
def test_refuses_with_the_reason(watcher, process, joint, position, code, words):
    before = watcher.true_q()
    _, result = watcher.send_goal(trajectory([joint], [position], 1.0))
    answer = watcher.until(result.result)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == code
    assert words in answer.result.error_string
    assert watcher.true_q() == pytest.approx(before)
    bad = trajectory([joint], [position], 1.0)
    watcher.trajectories.publish(bad)
    said = re.compile(r": joint_trajectory: .*" + re.escape(words))
    watcher.until(lambda: said.search(process.output()))


def test_cancel_and_replace(watcher):
    start = watcher.true_q()[0]
    goal = trajectory(["joint_1"], [start - 0.5], 10.0)
    handle, result = watcher.send_goal(goal)
    watcher.until(lambda: len(watcher.feedback) > 4)
    watcher.until(handle.cancel_goal_async().result)
    answer = watcher.until(result.result)
    assert answer.status == GoalStatus.STATUS_CANCELED
    stopped = watcher.true_q()[0]
    assert start - 0.45 < stopped < start
    assert watcher.true_q()[0] == pytest.approx(stopped)
    _, first = watcher.send_goal(goal)
    _, second = watcher.send_goal(trajectory(["joint_1"], [start], 0.3))
    assert watcher.until(first.result).status == GoalStatus.STATUS_ABORTED
    assert "replaced" in first.result().result.error_string
    assert watcher.until(second.result).status == GoalStatus.STATUS_SUCCEEDED


def test_sway_can_be_stopped_by_parameter_and_bad_start_is_said(start_node):
    node = start_node(
        "-m",
        "drrobot_ros.ros.nodes.simulated_robot",
        "--ros-args",
        "-p",
        f"robot:={ARM}",
        "-p",
        "start_positions:=[0.1]",
        "-r",
        "__ns:=/other",
    )
    assert node.process.wait(timeout=40) == 2
    assert "error: start_positions has 1 numbers, 'six_axis_arm' has 6" in node.output()
