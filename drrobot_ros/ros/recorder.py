"""Hears what a simulated robot and an estimator publish, and keeps it."""

from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.demo.recording import Recording
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import matrix_from_pose, stamp_to_s
from drrobot_ros.ros.images import image_to_rgb

ROBOT = "simulated_robot"
ESTIMATOR = "pose_estimator"
IMAGES_FILE = "images.rgb"
OVERLAYS_FILE = "overlays.rgb"


class Recorder(Node):
    """Keeps truth, estimates and status; images and overlays go straight to files.

    Args:
        folder: for the files of images.
        images: keep the camera's images and the overlays.
    """

    def __init__(self, folder: Path, *, images: bool) -> None:
        super().__init__("session_recorder")
        self.joint_names: tuple[str, ...] = ()
        self.events: list[tuple[str, float]] = []
        self.truth: list[tuple[float, Any]] = []
        self.estimates: list[tuple[float, float, Any]] = []
        #: Stamp of the newest image in which the arm was tracked, s.
        self.tracked_s = 0.0
        self._true_camera = np.eye(4)
        self._cameras: list[tuple[float, Any]] = []
        self._status: list[tuple[Any, ...]] = []
        self._stamps: dict[str, list[float]] = {IMAGES_FILE: [], OVERLAYS_FILE: []}
        self._files: list[Any] = []
        truth = f"{ROBOT}/ground_truth"
        for kind, topic, callback in (
            (JointState, f"{truth}/joint_states", self._add_truth),
            (PoseStamped, f"{truth}/camera_pose", self._add_true_camera),
            (JointState, f"{ESTIMATOR}/joint_states", self._add_estimate),
            (PoseWithCovarianceStamped, f"{ESTIMATOR}/camera_pose", self._add_camera),
            (EstimatorStatus, f"{ESTIMATOR}/status", self._add_status),
        ):
            qos.subscribe(self, kind, topic, callback, qos.OUTPUT)
        if images:
            for topic, name in (("image", IMAGES_FILE), (f"{ESTIMATOR}/overlay", OVERLAYS_FILE)):
                file = (folder / name).open("wb")
                self._files.append(file)
                stamps = self._stamps[name]

                def spool(message: Image, file: Any = file, stamps: list[float] = stamps) -> None:
                    file.write(image_to_rgb(message).tobytes())
                    stamps.append(stamp_to_s(message.header.stamp))

                qos.subscribe(self, Image, topic, spool, qos.OUTPUT)

    def now_s(self) -> float:
        """Return the time of the nodes' clock, s."""
        return self.get_clock().now().nanoseconds * 1e-9

    def note(self, event: str) -> float:
        """Keep that something happened now, and return when."""
        now = self.now_s()
        self.events.append((event, now))
        return now

    def recording(self) -> Recording:
        """Return all that was heard so far."""
        n = len(self.joint_names)
        columns = list(zip(*self._status, strict=True)) or [[]] * 6
        for file in self._files:
            file.flush()
        return Recording(
            joint_names=self.joint_names,
            truth_stamp=np.array([t for t, _ in self.truth]),
            truth=np.array([q for _, q in self.truth]).reshape(-1, n),
            true_camera=self._true_camera,
            estimate_stamp=np.array([t for t, _, _ in self.estimates]),
            estimate_received=np.array([t for _, t, _ in self.estimates]),
            estimate=np.array([q for _, _, q in self.estimates]).reshape(-1, n),
            camera_stamp=np.array([t for t, _ in self._cameras]),
            camera=np.array([T for _, T in self._cameras]).reshape(-1, 4, 4),
            status_stamp=np.array(columns[0]),
            status_received=np.array(columns[1]),
            state=np.array(columns[2], np.int64),
            solve_time=np.array(columns[3]),
            latency=np.array(columns[4]),
            counts=np.array(columns[5], np.int64).reshape(-1, 3),
            image_stamp=np.array(self._stamps[IMAGES_FILE]),
            overlay_stamp=np.array(self._stamps[OVERLAYS_FILE]),
            events=tuple(self.events),
        )

    def destroy_node(self) -> None:
        """Close the files, end the node."""
        for file in self._files:
            file.close()
        super().destroy_node()

    def _positions(self, message: JointState) -> Any:
        self.joint_names = self.joint_names or tuple(message.name)
        position = dict(zip(message.name, message.position, strict=True))
        return [position[name] for name in self.joint_names]

    def _add_truth(self, message: JointState) -> None:
        self.truth.append((stamp_to_s(message.header.stamp), self._positions(message)))

    def _add_true_camera(self, message: PoseStamped) -> None:
        self._true_camera = matrix_from_pose(message.pose)

    def _add_estimate(self, message: JointState) -> None:
        stamp = stamp_to_s(message.header.stamp)
        self.estimates.append((stamp, self.now_s(), self._positions(message)))

    def _add_camera(self, message: PoseWithCovarianceStamped) -> None:
        stamp = stamp_to_s(message.header.stamp)
        self._cameras.append((stamp, matrix_from_pose(message.pose.pose)))

    def _add_status(self, message: EstimatorStatus) -> None:
        counts = (message.frames_received, message.frames_dropped, message.frames_rejected)
        stamp = stamp_to_s(message.header.stamp)
        if message.state == EstimatorStatus.TRACKING:
            self.tracked_s = max(self.tracked_s, stamp)
        times = (message.solve_time_s, message.latency_s)
        self._status.append((stamp, self.now_s(), message.state, *times, counts))
