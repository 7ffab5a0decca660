"""The node ``pose_estimator``: images in, joint angles and camera pose out."""

import sys
import time
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.camera_board import CameraBoard
from drrobot_ros.ros.camera_inputs import CameraInputs
from drrobot_ros.ros.conversions import stamp_to_ns
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.frame_errors import FrameError, NotReadyError
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.library import Library, default_library
from drrobot_ros.ros.outputs import Outputs
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.pipeline import Outcome, Pipeline
from drrobot_ros.ros.robot_source import RobotSource
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.settings import PoseEstimatorSettings
from drrobot_ros.ros.status import StatusBoard
from drrobot_ros.ros.synchronizer import Frame
from drrobot_ros.ros.timers import steady_timer


class PoseEstimator(Node):
    """Estimates joint angles and the camera pose of a robot from its image.

    Subscribes: image, camera_info; robot_description unless the parameter robot is set;
    joint_states, depth, mask, ignore_mask as the parameters say.
    Publishes: ~/joint_states, ~/camera_pose, ~/overlay, ~/robot_mask, ~/robot_depth,
    ~/depth_without_robot, ~/status, /tf, /diagnostics.
    Service: ~/reset.
    Several cameras have the topics of images, and of what is published of a camera, in a namespace
    each: <camera>/image, ~/<camera>/overlay.

    Callbacks only store; one worker thread looks at the newest frame.

    Args:
        library: the parts of the library behind the node; None: the real ones.

    Raises:
        InputError: a parameter's start value is not valid.
    """

    def __init__(self, library: Library | None = None, **kwargs: Any) -> None:
        super().__init__("pose_estimator", **kwargs)
        library = library or default_library()
        self._settings = Parameters(self, PoseEstimatorSettings)
        self._tracker_config = Parameters(self, library.config, "tracker.")
        settings = self._settings.config
        self._diagnostics = Diagnostics(self)
        self._frames = tf.listen(self)
        self._inputs = CameraInputs(self, settings.cameras, self._diagnostics)
        self._status = StatusBoard(CameraBoard([r.name for r in self._inputs.readers]))
        self._pipeline = Pipeline(
            library=library,
            settings=lambda: self._settings.config,
            config=lambda: self._tracker_config.config,
            diagnostics=self._diagnostics,
            camera_from_tf=self._frames.lookup,
            readers=self._inputs.readers,
        )
        self._pipeline.expect_joint_states = lambda: self.count_publishers("joint_states") > 0
        self._outputs = Outputs(self, self._pipeline, self._frames, self._diagnostics)
        self._status_publisher = qos.publisher(self, EstimatorStatus, "~/status", qos.OUTPUT)
        self._status_sent_s = 0.0
        self._worker = LatestWorker(self._work, self._failed, "solver")
        self._subscribe(settings)
        self.create_service(Trigger, "~/reset", self._reset)
        steady_timer(self, 1.0, self._heartbeat)
        steady_timer(self, 0.1, self._look_for_silence)
        self._diagnostics.set_summary(
            lambda: self._status.summary(self._worker.received, self._worker.dropped)
        )
        warn_of_unknown(self)
        self._source = RobotSource(
            self, settings.robot, self._diagnostics, self._worker, self._load
        )

    def _subscribe(self, settings: PoseEstimatorSettings) -> None:
        self._inputs.subscribe(
            self._worker.put, self._status.image_received, settings.sync_tolerance_s
        )
        if settings.subscribe_joint_states:
            add = self._pipeline.add_joint_state
            qos.subscribe(self, JointState, "joint_states", add, qos.STREAM_INPUT)

    def _load(self, description: str | None) -> tuple[str, str]:
        try:
            self._pipeline.load(description)
        except Exception:
            self._status.note(self._pipeline.load_problem)
            raise
        self._status.restarted()
        self._status.note("waiting for an image")
        model = self._pipeline.model
        return model.name, (
            f"{len(model.joint_names)} joints, base frame {self._pipeline.base_frame!r}"
        )

    def _reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._pipeline.model is None:
            response.success, response.message = False, self._pipeline.load_problem
            return response
        self._worker.run(self._restart)
        response.success = True
        response.message = "starts afresh from the initial values at the next image"
        return response

    def _restart(self) -> None:
        self._pipeline.restart()
        self._status.restarted()

    def _work(self, frames: dict[str, Frame]) -> None:
        settings = self._settings.config
        first = next(iter(frames.values()))
        try:
            outcome = self._pipeline.process(frames)
        except FrameError as error:
            self._refused(error, frames, first.image.header)
            return
        self._diagnostics.good("solver")
        latency_ns = self.get_clock().now().nanoseconds - stamp_to_ns(outcome.header.stamp)
        self._status.estimated_frame(outcome, self._pipeline.names, latency_ns * 1e-9)
        believed = self._status.believed
        if believed:
            self._outputs.estimate(outcome, publish_tf=settings.publish_tf)
        self._publish_status()
        self._check_age(outcome, settings.max_stamp_age_s)
        self._outputs.pictures(outcome, settings, believed=believed)

    def _refused(self, error: FrameError, frames: dict[str, Frame], header: Header) -> None:
        if not isinstance(error, NotReadyError):
            self._diagnostics.fault(error.topic, str(error))
        elif error.fault:
            self._diagnostics.fault(error.topic, str(error), WARN)
        reason = f"{error.topic}: {error}"
        self._status.refused_frame(header, reason, list(frames))
        self._publish_status()

    def _check_age(self, outcome: Outcome, limit_s: float) -> None:
        frame = outcome.pictures[0].frame
        age_s = (frame.received_ns - stamp_to_ns(frame.image.header.stamp)) * 1e-9
        if abs(age_s) > limit_s:
            self._diagnostics.fault(
                "image age",
                f"image stamps are {age_s:.3f} s behind this node's clock: clocks that disagree, "
                "a slow network, or a recording played without use_sim_time",
                WARN,
                cause="age",
            )
        else:
            self._diagnostics.good("image age")

    def _failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self._diagnostics.fault("solver", text)
        self._status.failed_frame(f"solver: {text}")
        self._publish_status()

    def _look_for_silence(self) -> None:
        timeout_s = self._settings.config.stale_timeout_s
        if self._status.look_for_silence(timeout_s):
            self._publish_status()
        for name, words in self._status.cameras.dark(timeout_s).items():
            self._diagnostics.fault(f"{name}/image", words, WARN, cause="dark")

    def _heartbeat(self) -> None:
        received = self._status.received_s
        if received is None and self._pipeline.model is not None:
            topics = [self.resolve_topic_name(r.topic("image")) for r in self._inputs.readers]
            self._status.note(f"waiting for an image on {', '.join(topics)}")
        if time.monotonic() - self._status_sent_s > 0.9:
            self._publish_status()

    def _publish_status(self) -> None:
        message = self._status.message(self._worker.received, self._worker.dropped)
        self._status_sent_s = time.monotonic()
        self._status_publisher.publish(message)

    def destroy_node(self) -> None:
        """End the worker, then the node."""
        self._worker.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(PoseEstimator, args)


if __name__ == "__main__":
    sys.exit(main())
