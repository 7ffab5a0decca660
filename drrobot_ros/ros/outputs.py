"""What the pose estimator publishes of an estimate."""

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.conversions import pose_covariance, pose_from_matrix
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.ros.pipeline import Outcome, Pipeline
from drrobot_ros.ros.rate_limit import RateLimit
from drrobot_ros.ros.settings import PoseEstimatorSettings


class Outputs:
    """Publishers of joint states, camera pose, tf and the overlay."""

    def __init__(self, node: Node, frames: tf.FrameTree, diagnostics: Diagnostics) -> None:
        self._frames, self._diagnostics = frames, diagnostics
        self._joints = qos.publisher(node, JointState, "~/joint_states", qos.OUTPUT)
        self._pose = qos.publisher(node, PoseWithCovarianceStamped, "~/camera_pose", qos.OUTPUT)
        self._overlay = qos.publisher(node, Image, "~/overlay", qos.OUTPUT)
        self._broadcaster = tf.Broadcaster(node)
        self._tf_child: str | None = None
        self._overlay_limit = RateLimit()

    def estimate(self, outcome: Outcome, pipeline: Pipeline, publish_tf: bool) -> None:
        """Publish an estimate that is believed, with the stamp of its image."""
        source = outcome.frame.image.header
        header = Header(stamp=source.stamp, frame_id=pipeline.base_frame)
        assert pipeline.names is not None
        self._joints.publish(pipeline.names.write(outcome.estimate.q, header))
        T = np.asarray(outcome.estimate.T_base_camera, np.float64)
        message = PoseWithCovarianceStamped(header=header)
        message.pose.pose = pose_from_matrix(T)
        covariance: Any = outcome.estimate.camera_covariance
        if covariance is not None:
            message.pose.covariance = pose_covariance(np.asarray(covariance), T)
        self._pose.publish(message)
        if publish_tf:
            self._publish_tf(T, pipeline.base_frame, source)

    def _publish_tf(self, T: Any, base: str, source: Header) -> None:
        attachment = tf.camera_attachment(self._frames, base, source.frame_id, self._tf_child)
        if attachment is None:
            theirs = self._frames.lookup(base, source.frame_id)
            if theirs is not None and np.allclose(T, theirs, atol=1e-6):
                self._diagnostics.good("tf")  # a camera that tf knows, and that is not estimated
                return
            self._diagnostics.fault(
                "tf",
                f"tf connects {base!r} with {source.frame_id!r} already, so the estimate is only "
                "on ~/camera_pose; set publish_tf to false if that is as it should be",
                WARN,
            )
            return
        child, T_child_optical = attachment
        self._diagnostics.good("tf")
        self._tf_child = child
        self._broadcaster.send(tf.stamped(base, child, T @ np.linalg.inv(T_child_optical), source))

    def overlay(
        self, outcome: Outcome, pipeline: Pipeline, settings: PoseEstimatorSettings, believed: bool
    ) -> None:
        """Publish the overlay where somebody looks; without the robot where it is not believed."""
        if self._overlay.get_subscription_count() == 0:
            return
        if not self._overlay_limit.due(settings.overlay_rate_hz):
            return
        image = outcome.image
        if believed:
            image = overlay_image(image, *pipeline.render(outcome), settings.overlay_opacity)
        self._overlay.publish(rgb_to_image(image, outcome.frame.image.header))
