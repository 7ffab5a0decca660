"""The thread that draws and publishes the images of a simulated robot."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import info_from_camera, pose_from_matrix
from drrobot_ros.ros.images import depth_to_image, mask_to_image, rgb_to_image
from drrobot_ros.ros.joints import JointNames


class SimulatedCamera:
    """Publishes image, camera_info, depth and the truth at a rate; stamps are the capture's.

    Args:
        node: whose topics and clock they are.
        make: returns the :class:`~drrobot_ros.simulation.robot.SimulatedRobot`; called in the
            thread, as OpenGL wants.
        position_at: (time on the node's clock, s) -> positions [nq].
        names: the robot's joints.
        frames: base frame, optical frame.
        rate_hz: images a second.

    Raises:
        Exception: whatever ``make`` raised.
    """

    def __init__(
        self,
        node: Node,
        make: Callable[[], Any],
        position_at: Callable[[float], Any],
        *,
        names: JointNames,
        frames: tuple[str, str],
        rate_hz: float,
    ) -> None:
        self._node, self._make, self._position_at = node, make, position_at
        self._names, self._frames, self._period_s = names, frames, 1.0 / rate_hz
        self._image = qos.publisher(node, Image, "image", qos.OUTPUT)
        self._info = qos.publisher(node, CameraInfo, "camera_info", qos.OUTPUT)
        self._depth = qos.publisher(node, Image, "depth", qos.OUTPUT)
        self._mask = qos.publisher(node, Image, "~/ground_truth/mask", qos.OUTPUT)
        self._joints = qos.publisher(node, JointState, "~/ground_truth/joint_states", qos.OUTPUT)
        self._pose = qos.publisher(node, PoseStamped, "~/ground_truth/camera_pose", qos.OUTPUT)
        self._stop = threading.Event()
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="camera", daemon=True)
        self._thread.start()
        ready.result()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5.0)

    def _run(self, ready: "Future[None]") -> None:
        try:
            robot = self._make()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        next_s = time.monotonic()
        with robot:
            while not self._stop.is_set():
                self._capture(robot)
                # A camera that is late skips, it does not catch up.
                next_s = max(next_s + self._period_s, time.monotonic())
                self._stop.wait(next_s - time.monotonic())

    def _capture(self, robot: Any) -> None:
        now = self._node.get_clock().now()
        header = Header(stamp=now.to_msg(), frame_id=self._frames[1])
        wanted = self._depth.get_subscription_count() + self._mask.get_subscription_count() > 0
        frame = robot.render(self._position_at(now.nanoseconds * 1e-9), truth=wanted)
        if self._stop.is_set():
            return
        base = Header(stamp=header.stamp, frame_id=self._frames[0])
        self._joints.publish(self._names.write(frame.q, base))
        self._pose.publish(PoseStamped(header=base, pose=pose_from_matrix(frame.T_base_camera)))
        self._info.publish(info_from_camera(robot.camera, header))
        if wanted:
            # 0 is "nothing there" in the simulation, NaN in REP 118.
            depth = np.where(frame.depth_m > 0, frame.depth_m, np.nan).astype(np.float32)
            self._depth.publish(depth_to_image(depth, header))
            self._mask.publish(mask_to_image(frame.mask, header))
        self._image.publish(rgb_to_image(frame.rgb, header))
