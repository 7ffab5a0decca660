"""The other side of the pose estimator: a camera, a robot driver and somebody who watches."""

import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import info_from_camera, ns_to_stamp
from drrobot_ros.ros.images import rgb_to_image

WIDTH, HEIGHT = 64, 48
CAMERA = PinholeCamera.from_fov(WIDTH, HEIGHT, 0.8)


class Probe:
    """Publishes to a node ``/pose_estimator`` and keeps what it answers."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("probe")
        node = self.node
        self.image_pub = node.create_publisher(Image, "image", qos.OUTPUT)
        self.info_pub = node.create_publisher(CameraInfo, "camera_info", qos.OUTPUT)
        self.depth_pub = node.create_publisher(Image, "depth", qos.OUTPUT)
        self.mask_pub = node.create_publisher(Image, "mask", qos.OUTPUT)
        self.ignore_pub = node.create_publisher(Image, "ignore_mask", qos.OUTPUT)
        self.joints_pub = node.create_publisher(JointState, "joint_states", qos.OUTPUT)
        self.description_pub = node.create_publisher(String, "robot_description", qos.LATCHED)
        self.tf_pub = node.create_publisher(TFMessage, "/tf", qos.TF)
        self.tf_static_pub = node.create_publisher(TFMessage, "/tf_static", qos.LATCHED_MANY)
        self.received: dict[str, list] = {}
        for name, kind, topic, profile in (
            ("joints", JointState, "pose_estimator/joint_states", qos.OUTPUT),
            ("pose", PoseWithCovarianceStamped, "pose_estimator/camera_pose", qos.OUTPUT),
            ("status", EstimatorStatus, "pose_estimator/status", qos.OUTPUT),
            ("tf", TFMessage, "/tf", qos.TF),
            ("diagnostics", DiagnosticArray, "/diagnostics", 10),
        ):
            self.watch(name, kind, topic, profile)
        self.reset_client = node.create_client(Trigger, "pose_estimator/reset")
        self.parameters = AsyncParameterClient(node, "pose_estimator")
        self.executor = rclpy.executors.SingleThreadedExecutor()
        self.executor.add_node(node)
        self.stamp_ns = node.get_clock().now().nanoseconds

    def watch(self, name, kind, topic, profile=qos.OUTPUT):
        self.received[name] = []
        return self.node.create_subscription(kind, topic, self.received[name].append, profile)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.01)

    def until(self, condition, timeout_s: float = 10.0, each=None, period_s: float = 0.05):
        """Spin until the condition gives something true; do ``each`` meanwhile."""
        end = time.monotonic() + timeout_s
        due = 0.0
        while time.monotonic() < end:
            if each is not None and time.monotonic() >= due:
                each()
                due = time.monotonic() + period_s
            self.executor.spin_once(timeout_sec=0.005)
            result = condition()
            if result:
                return result
        raise AssertionError(f"nothing in {timeout_s} s; last status: {self.last_status()}")

    def clear(self) -> None:
        for messages in self.received.values():
            messages.clear()

    def last_status(self):
        return self.received["status"][-1] if self.received["status"] else None

    def header(self, frame: str = "optical") -> Header:
        return Header(stamp=ns_to_stamp(self.stamp_ns), frame_id=frame)

    def image(self, brightness: int = 50, width: int = WIDTH, height: int = HEIGHT) -> Image:
        """Return the next image: its stamp is now."""
        self.stamp_ns = max(self.node.get_clock().now().nanoseconds, self.stamp_ns + 1)
        return rgb_to_image(np.full((height, width, 3), brightness, np.uint8), self.header())

    def info(self, camera: PinholeCamera = CAMERA) -> CameraInfo:
        return info_from_camera(camera, self.header())

    def send(self, brightness: int = 50) -> Image:
        """Send a good image and its camera_info."""
        image = self.image(brightness)
        self.info_pub.publish(self.info())
        self.image_pub.publish(image)
        return image

    def joints(self, names, positions, velocities=()) -> JointState:
        message = JointState(header=self.header(), name=list(names))
        message.position = [float(p) for p in positions]
        message.velocity = [float(v) for v in velocities]
        return message

    def fault(self, topic: str, words: str, level=None):
        """Return the diagnostic of a topic whose message has the words, if it came."""
        for array in self.received["diagnostics"]:
            for status in array.status:
                at_level = level is None or status.level == level
                if status.name.endswith(f": {topic}") and words in status.message and at_level:
                    return status
        return None

    def summary(self, words: str, node: str = "pose_estimator"):
        """Return the diagnostic of a node as a whole whose message has the words."""
        for array in self.received["diagnostics"]:
            for status in array.status:
                if status.name == node and words in status.message:
                    return status
        return None

    def set(self, **values):
        """Set parameters; return the results."""
        names = {k.replace("__", "."): v for k, v in values.items()}
        future = self.parameters.set_parameters([Parameter(k, value=v) for k, v in names.items()])
        return self.until(future.result).results

    def reset(self):
        future = self.reset_client.call_async(Trigger.Request())
        return self.until(future.result)

    def tracking(self):
        """Send good images until one sent after the call is tracked; return the status."""
        first = self.node.get_clock().now().nanoseconds

        def answered():
            last = self.last_status()
            if last is None or last.state != EstimatorStatus.TRACKING or last.reason:
                return None
            stamp = last.header.stamp
            return last if stamp.sec * 10**9 + stamp.nanosec >= first else None

        return self.until(answered, each=self.send)
