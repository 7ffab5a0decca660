"""The node ``simulated_robot``: an arm and a camera behind the topics of real ones."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.conversions import matrix_from_numbers
from drrobot_ros.ros.diagnostics import OK, Diagnostics
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm, Sway
from drrobot_ros.ros.parameters import Parameters, warn_of_unknown
from drrobot_ros.ros.robots import load_model
from drrobot_ros.ros.runner import run
from drrobot_ros.ros.settings import SimulatedRobotSettings
from drrobot_ros.ros.simulated_camera import SimulatedCamera
from drrobot_ros.ros.trajectory_action import TrajectoryInterface
from drrobot_ros.simulation.config import EncoderConfig, SceneConfig
from drrobot_ros.simulation.robot import SimulatedRobot

#: A camera body looks along x (REP 103), its optical frame along z.
T_LINK_OPTICAL = matrix_from_numbers([0.0, 0.0, 0.0, -math.pi / 2, 0.0, -math.pi / 2])


class SimulatedRobotNode(Node):
    """A MuJoCo arm in front of a MuJoCo camera.

    Publishes: image, camera_info, depth, joint_states, robot_description, the camera's frames on
    /tf_static, ~/ground_truth/{joint_states, camera_pose, mask}, /diagnostics.
    Follows: the topic ~/joint_trajectory and the action ~/follow_joint_trajectory.

    Raises:
        InputError: a parameter's start value is not valid, or the robot cannot be loaded.
        BackendError: there is no off-screen OpenGL.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("simulated_robot", **kwargs)
        self._settings = Parameters(self, SimulatedRobotSettings, on_change=self._use)
        self._encoders = Parameters(self, EncoderConfig, "encoders.", read_only=True).config
        scene = Parameters(self, SceneConfig, "scene.", read_only=True).config
        settings = self._settings.config
        model = load_model(settings.robot, settings.package_paths, settings.base_link)
        self._diagnostics = Diagnostics(self, model.name)
        self._diagnostics.set_summary(lambda: (OK, "ok", {}))
        self._names = JointNames.of(model, settings.joint_prefix)
        limits = (model.lower, model.upper)
        start = self._start_of(model, settings)
        self._offsets = self._offsets_of(model)
        start_s = self.get_clock().now().nanoseconds * 1e-9
        self._arm = Arm(Sway(start + self._offsets, self._names, limits), start_s)
        self._use(settings)
        self._rng = np.random.default_rng(self._encoders.seed)
        self._bias = self._rng.normal(0.0, 1.0, model.nq) * self._encoders.bias
        self._joints = qos.publisher(self, JointState, "joint_states", qos.OUTPUT)
        self.create_timer(1.0 / settings.joint_rate_hz, self._publish_joints)
        self._interface = TrajectoryInterface(
            self, self._arm, self._names, limits, self._diagnostics
        )
        if settings.publish_description:
            self._publish_description(settings.robot)
        self._start_camera(model, start, settings, scene)
        warn_of_unknown(self)
        self.get_logger().info(f"robot {model.name!r}: {', '.join(model.joint_names)}")

    @staticmethod
    def _start_of(model: Any, settings: SimulatedRobotSettings) -> Any:
        given = np.array(settings.start_positions)
        if not len(given):
            return model.home().numpy()
        if len(given) != model.nq:
            raise InputError(
                f"start_positions has {len(given)} numbers, {model.name!r} has {model.nq}: "
                f"{', '.join(model.joint_names)}"
            )
        return np.clip(given, model.lower, model.upper)

    def _offsets_of(self, model: Any) -> Any:
        """Return by how much the encoders, and so the arm's controller, are wrong [nq]."""
        given = np.array(self._encoders.offsets)
        if len(given) not in (0, model.nq):
            raise InputError(
                f"encoders.offsets has {len(given)} numbers, {model.name!r} has {model.nq}: "
                f"{', '.join(model.joint_names)}"
            )
        return given if len(given) else np.zeros(model.nq)

    def _use(self, settings: SimulatedRobotSettings) -> None:
        sway = settings.motion == "sway"
        self._arm.amplitude = settings.motion_amplitude if sway else 0.0
        self._arm.period_s = settings.motion_period_s

    def _start_camera(
        self, model: Any, start: Any, settings: SimulatedRobotSettings, scene: SceneConfig
    ) -> None:
        camera = PinholeCamera.from_fov(
            settings.width, settings.height, math.radians(settings.vertical_fov_deg)
        )
        if settings.camera_pose:
            T = matrix_from_numbers(settings.camera_pose)
        else:
            T = pose_that_sees(model, start, camera)
        self._publish_frames(T, model.base_link, settings)
        self._camera = SimulatedCamera(
            self,
            lambda: SimulatedRobot(model, camera, T, scene),
            lambda time_s: self._arm.at(time_s) - self._offsets,
            names=self._names,
            frames=(model.base_link, settings.optical_frame),
            rate_hz=settings.rate_hz,
        )

    def _publish_frames(self, T: Any, base: str, settings: SimulatedRobotSettings) -> None:
        header = Header(stamp=self.get_clock().now().to_msg())
        transforms, parent, T_parent = [], settings.camera_frame, T @ np.linalg.inv(T_LINK_OPTICAL)
        if parent:
            transforms.append(tf.stamped(parent, settings.optical_frame, T_LINK_OPTICAL, header))
        else:
            parent, T_parent = settings.optical_frame, T
        if settings.publish_camera_tf:
            transforms.append(tf.stamped(base, parent, T_parent, header))
        if transforms:
            self._frames = tf.broadcast_static(self, transforms)

    def _publish_description(self, source: str) -> None:
        if "<" not in source and not source.endswith(".urdf"):
            return
        text = source if "<" in source else Path(source).read_text()
        self._description = qos.publisher(self, String, "robot_description", qos.LATCHED)
        self._description.publish(String(data=text))

    def _publish_joints(self) -> None:
        now = self.get_clock().now()
        q = self._arm.at(now.nanoseconds * 1e-9) + self._bias
        if self._encoders.noise:
            q += self._rng.normal(0.0, self._encoders.noise, len(q))
        self._joints.publish(self._names.write(q, Header(stamp=now.to_msg())))

    def destroy_node(self) -> None:
        """End the camera, then the node."""
        self._camera.stop()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(SimulatedRobotNode, args)


if __name__ == "__main__":
    sys.exit(main())
