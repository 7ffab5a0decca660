"""Both real nodes: the estimator finds a simulated arm whose encoders are wrong."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import Image, JointState

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.ros.conversions import stamp_to_ns
from drrobot_ros.ros.images import image_to_rgb

ARM = Path(__file__).parents[2] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
BIAS_RAD = 0.12


def arguments(**values):
    given = {k.replace("__", "."): v for k, v in values.items()}
    return ["--ros-args", *(word for k, v in given.items() for word in ("-p", f"{k}:={v}"))]


def test_finds_the_arm_in_spite_of_its_encoders(start_node):
    node = rclpy.create_node("judge")
    truth, encoders, estimates, statuses, overlays, poses = {}, [], {}, [], [], []

    def keep(into):
        return lambda m: into.__setitem__(stamp_to_ns(m.header.stamp), np.array(m.position))

    true_topic = "simulated_robot/ground_truth/joint_states"
    node.create_subscription(JointState, true_topic, keep(truth), 10)
    node.create_subscription(JointState, "pose_estimator/joint_states", keep(estimates), 10)
    node.create_subscription(JointState, "joint_states", encoders.append, 10)
    node.create_subscription(EstimatorStatus, "pose_estimator/status", statuses.append, 10)
    node.create_subscription(Image, "pose_estimator/overlay", overlays.append, 10)
    pose_topic = "pose_estimator/camera_pose"
    node.create_subscription(PoseWithCovarianceStamped, pose_topic, poses.append, 10)
    values = {"robot": ARM, "rate_hz": 5.0, "motion": "hold", "encoders__bias": BIAS_RAD}
    simulator = start_node("-m", "drrobot_ros.ros.nodes.simulated_robot", *arguments(**values))
    # No robot given: the estimator takes it from robot_description, the camera's pose from tf.
    meshes = ARM.parent.parent
    estimator = start_node(
        "-m",
        "drrobot_ros.ros.nodes.pose_estimator",
        *arguments(package_paths=f"['{meshes}']", splat_count=4000),
    )
    end = node.get_clock().now().nanoseconds + 90e9
    while node.get_clock().now().nanoseconds < end:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(set(truth) & set(estimates)) >= 8 and overlays and poses:
            break
    node.destroy_node()
    stamps = sorted(set(truth) & set(estimates))
    assert len(stamps) >= 8, estimator.output() + simulator.output() + str(statuses[-1:])
    errors = np.degrees([np.abs(estimates[s] - truth[s]) for s in stamps[3:]])
    start = np.degrees(np.abs(np.array(encoders[-1].position) - truth[stamps[-1]]))
    # The joints that move the whole arm; where they start is several degrees off.
    assert start[:3].max() > 4.0
    assert np.median(errors, axis=0)[:3].max() < 2.0
    assert overlays[0].header.frame_id == "camera_optical_frame"
    assert image_to_rgb(overlays[0]).shape == (240, 320, 3)
    assert poses[0].header.frame_id == "base_link"
    assert statuses[-1].state == EstimatorStatus.TRACKING
    for process in (estimator, simulator):
        assert process.stop() == 0, process.output()
