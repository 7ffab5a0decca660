"""An arm with a gripper and objects in a world with physics, behind ROS."""

import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import MultiThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from drrobot_ros.demo.grasp_cell import (
    GraspDemoConfig,
    arm_description,
    cameras,
    load_gripper,
    make_world,
    waiting,
)
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import info_from_camera
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.images import depth_to_image, rgb_to_image
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm, Sway
from drrobot_ros.ros.trajectory_action import TrajectoryInterface
from drrobot_ros.simulation.depth_noise import DepthNoiseConfig, add_color_noise, add_depth_noise

_AHEAD_S = 0.05  # motors lag behind what they are told


class GraspCell:
    """Steps the world as the clock goes; the arm's motors follow what its controller is told.

    Args:
        kinds: shapes of the objects.
        seed: of where they lie.
    """

    def __init__(self, kinds: str, seed: int) -> None:
        config = GraspDemoConfig(kinds=kinds, seed=seed, width=320, height=240)
        self.gripper = load_gripper(config)
        self.world = make_world(self.gripper, config)
        self.camera, self.T_base_camera = cameras(config)["rgbd"]
        frame = self.world.render(self.camera, self.T_base_camera)
        rng, noise = np.random.default_rng(seed), DepthNoiseConfig()
        self._rgb = add_color_noise(frame.rgb, rng, noise)
        self._depth = add_depth_noise(frame.depth_m, self.camera, rng, noise)
        self.masks = frame.masks
        model = self.gripper.model
        self.node = node = rclpy.create_node("simulated_robot")
        self.names = names = JointNames.of(model)
        limits = (model.lower, model.upper)
        self.arm = Arm(Sway(waiting(self.gripper, config), names, limits), time.time())
        self.interface = TrajectoryInterface(
            node, self.arm, names, limits, Diagnostics(node, "fake")
        )
        self._joints = node.create_publisher(JointState, "joint_states", qos.OUTPUT)
        self._image = node.create_publisher(Image, "image", qos.OUTPUT)
        self._depths = node.create_publisher(Image, "depth", qos.OUTPUT)
        self._info = node.create_publisher(CameraInfo, "camera_info", qos.OUTPUT)
        node.create_timer(0.02, self._tell)
        node.create_timer(0.2, self._show)
        self.executor = MultiThreadedExecutor(2)
        self.executor.add_node(node)
        self._run = True
        self._threads = [
            threading.Thread(target=f, daemon=True) for f in (self.executor.spin, self._live)
        ]
        for thread in self._threads:
            thread.start()

    def box(self, name: str) -> tuple[float, float, float, float]:
        """Return an object's box in the image: centre and size."""
        mask = self.masks[name]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
        return (x0 + x1) / 2.0, (y0 + y1) / 2.0, float(x1 - x0), float(y1 - y0)

    def height(self, name: str) -> float:
        """Return how high an object is, m."""
        return float(self.world.solid_pose(name)[2, 3])

    def urdf(self, path: Path) -> Path:
        """Write the robot's description."""
        path.write_text(arm_description())
        return path

    def close(self) -> None:
        """End."""
        self._run = False
        self.executor.shutdown()
        for thread in self._threads:
            thread.join(5.0)
        self.node.destroy_node()
        self.world.close()

    def _live(self) -> None:
        begin_s, zero = time.time(), self.world.time_s
        while self._run:
            behind = time.time() - begin_s - (self.world.time_s - zero)
            if behind <= 0:
                time.sleep(0.002)
                continue
            self.world.target(self.arm.at(time.time() + _AHEAD_S))
            self.world.step(min(behind, 0.02))

    def _tell(self) -> None:
        header = Header(stamp=self.node.get_clock().now().to_msg())
        self._joints.publish(self.names.write(self.world.q(), header))

    def _show(self) -> None:
        header = Header(stamp=self.node.get_clock().now().to_msg(), frame_id="camera")
        self._info.publish(info_from_camera(self.camera, header))
        self._image.publish(rgb_to_image(self._rgb, header))
        self._depths.publish(depth_to_image(self._depth, header))
