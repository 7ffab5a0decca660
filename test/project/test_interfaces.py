"""Generated messages: wire-compatible with ROS 2 Jazzy, and usable over DDS."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

# Computed by rosidl from Jazzy's own definitions; equal hashes mean equal types on the wire.
JAZZY_HASHES = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "control_msgs/msg/JointTolerance": (
        "c254f9cece0f3b733017b6990fd46d1326e25242d6b8844398c97d9a88e7d648"
    ),
    "control_msgs/msg/JointComponentTolerance": (
        "739ea7566931944d33830fa10f1bf5e7a7fbdc3172bce7a7eaac642bd6e3ffa4"
    ),
    "control_msgs/action/FollowJointTrajectory": (
        "738ebcb7a2d7cfa42f9f1001cc99ce3a4383d1cfe508015d9be8485e4b1c66f6"
    ),
}

PUBLISH = """
import time, rclpy
from drrobot_msgs.msg import EstimatorStatus
rclpy.init()
node = rclpy.create_node("status_source")
publisher = node.create_publisher(EstimatorStatus, "status", 1)
message = EstimatorStatus(state=EstimatorStatus.LOST, reason="nothing seen", frames_dropped=2**40,
                          joint_names=["a", "b"], position=[0.5, -1.5])
message.header.frame_id = "camera_optical"
while True:
    publisher.publish(message)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("name", JAZZY_HASHES)
def test_type_is_jazzys(name):
    from ament_index_python.packages import get_package_share_path

    package, rest = name.split("/", 1)
    description = json.loads((get_package_share_path(package) / f"{rest}.json").read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in description["type_hashes"]}
    assert hashes[name] == f"RIHS01_{JAZZY_HASHES[name]}"


def test_states_of_the_estimator_are_distinct():
    from drrobot_msgs.msg import EstimatorStatus

    names = ["STARTING", "TRACKING", "UNCERTAIN", "LOST", "STALE"]
    assert [getattr(EstimatorStatus, name) for name in names] == [0, 1, 2, 3, 4]


def test_status_crosses_processes(monkeypatch):
    import rclpy

    from drrobot_msgs.msg import EstimatorStatus

    monkeypatch.setenv("ROS_DOMAIN_ID", "87")
    source = subprocess.Popen([sys.executable, "-c", PUBLISH])
    context = rclpy.Context()
    rclpy.init(context=context)
    received = []
    try:
        node = rclpy.create_node("status_sink", context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        node.create_subscription(EstimatorStatus, "status", received.append, 1)
        deadline = node.get_clock().now().nanoseconds + 20 * 10**9
        while not received and node.get_clock().now().nanoseconds < deadline:
            executor.spin_once(timeout_sec=0.2)
    finally:
        source.kill()
        source.wait()
        rclpy.shutdown(context=context)
    assert received, "no message in 20 s"
    status = received[0]
    assert (status.state, status.reason) == (EstimatorStatus.LOST, "nothing seen")
    assert status.frames_dropped == 2**40
    assert status.header.frame_id == "camera_optical"
    assert list(status.joint_names) == ["a", "b"]
    assert list(status.position) == [0.5, -1.5]
