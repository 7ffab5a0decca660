"""What the pose estimator publishes of an estimate."""

from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.camera_reader import CameraReader, Picture
from drrobot_ros.ros.conversions import pose_covariance, pose_from_matrix
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.pictures import Pictures
from drrobot_ros.ros.pipeline import Outcome, Pipeline
from drrobot_ros.ros.settings import PoseEstimatorSettings


class Outputs:
    """Publishers of joint states, and of each camera's pose, tf and pictures.

    Args:
        node: whose topics they are.
        pipeline: what the estimates come from.
        frames: tf, as heard.
        diagnostics: is told of transforms that cannot be published.
    """

    def __init__(
        self, node: Node, pipeline: Pipeline, frames: tf.FrameTree, diagnostics: Diagnostics
    ) -> None:
        self._pipeline = pipeline
        self._joints = qos.publisher(node, JointState, "~/joint_states", qos.OUTPUT)
        broadcaster = tf.Broadcaster(node)
        self._cameras = {
            name: _CameraOutputs(node, reader, broadcaster, frames, diagnostics)
            for name, reader in pipeline.readers.items()
        }

    def estimate(self, outcome: Outcome, *, publish_tf: bool) -> None:
        """Publish an estimate that is believed, with the stamp of its image."""
        header = Header(stamp=outcome.header.stamp, frame_id=self._pipeline.base_frame)
        names = self._pipeline.names
        assert isinstance(names, JointNames)
        self._joints.publish(names.write(outcome.estimate.q, header))
        for picture in outcome.pictures:
            camera = outcome.estimate.cameras[picture.name]
            parent = self._pipeline.parent_frame(picture.name)
            self._cameras[picture.name].pose(picture, camera, parent, publish_tf=publish_tf)

    def pictures(
        self, outcome: Outcome, settings: PoseEstimatorSettings, *, believed: bool
    ) -> None:
        """Publish the pictures that somebody looks at; without the robot where not believed."""
        for picture in outcome.pictures:
            render = partial(self._pipeline.render, outcome, picture) if believed else None
            self._cameras[picture.name].pictures.publish(picture, settings, render)


class _CameraOutputs:
    """Publishers of one camera's pose, tf and pictures."""

    def __init__(
        self,
        node: Node,
        reader: CameraReader,
        broadcaster: tf.Broadcaster,
        frames: tf.FrameTree,
        diagnostics: Diagnostics,
    ) -> None:
        prefix = f"~/{reader.name}/" if reader.name else "~/"
        self._reader, self._broadcaster = reader, broadcaster
        self._frames, self._diagnostics = frames, diagnostics
        self._pose = qos.publisher(
            node, PoseWithCovarianceStamped, prefix + "camera_pose", qos.OUTPUT
        )
        self.pictures = Pictures(node, prefix, depth=reader.settings.subscribe_depth)
        self._tf_child: str | None = None

    def pose(self, picture: Picture, camera: Any, parent: str, *, publish_tf: bool) -> None:
        """Publish where the camera is in the frame it is fixed to."""
        stamp = picture.frame.image.header.stamp
        T = np.asarray(camera.T, np.float64)
        message = PoseWithCovarianceStamped(header=Header(stamp=stamp, frame_id=parent))
        message.pose.pose = pose_from_matrix(T)
        if camera.covariance is not None:
            message.pose.covariance = pose_covariance(np.asarray(camera.covariance), T)
        self._pose.publish(message)
        if publish_tf:
            optical = self._reader.optical_frame
            self._publish_tf(T, parent, Header(stamp=stamp, frame_id=optical))

    def _publish_tf(self, T: Any, parent: str, source: Header) -> None:
        topic = self._reader.topic("tf")
        attachment = tf.camera_attachment(self._frames, parent, source.frame_id, self._tf_child)
        if attachment is None:
            theirs = self._frames.lookup(parent, source.frame_id)
            if theirs is not None and np.allclose(T, theirs, atol=1e-6):
                self._diagnostics.good(topic)  # a camera that tf knows, and that is not estimated
                return
            pose = f"~/{self._reader.topic('camera_pose')}"
            self._diagnostics.fault(
                topic,
                f"tf connects {parent!r} with {source.frame_id!r} already, so the estimate is only "
                f"on {pose}; set publish_tf to false if that is as it should be",
                WARN,
            )
            return
        child, T_child_optical = attachment
        self._diagnostics.good(topic)
        self._tf_child = child
        T_child = T @ np.linalg.inv(T_child_optical)
        self._broadcaster.send(tf.stamped(parent, child, T_child, source))
