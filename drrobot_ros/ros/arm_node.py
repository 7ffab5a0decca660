"""What the nodes that move an arm by sight share: robot, camera, estimate, safety, controller."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, JointState

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.following import FollowingConfig
from drrobot_ros.control.obstacles import read_obstacles
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.servo import OffsetObserver, ServoConfig
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.ros import qos, tf
from drrobot_ros.ros.arm_executor import WATCH_S, ArmExecutor
from drrobot_ros.ros.arm_interface import make_interface
from drrobot_ros.ros.camera_reader import lens_from_info
from drrobot_ros.ros.control_settings import ArmNodeSettings, ExecutionConfig
from drrobot_ros.ros.controllers import find_controller
from drrobot_ros.ros.conversions import matrix_from_numbers, matrix_from_pose
from drrobot_ros.ros.diagnostics import OK, WARN, Diagnostics
from drrobot_ros.ros.estimate_input import EstimateInput, Seen
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.parameters import Parameters
from drrobot_ros.ros.robot_source import RobotSource
from drrobot_ros.ros.smooth_clock import SmoothClock
from drrobot_ros.ros.timers import steady_timer

Vector = NDArray[np.float64]

#: An offset that is known less well than this is not added, rad or m.
_KNOWN = 0.03


@dataclasses.dataclass(frozen=True)
class ControlLibrary:
    """The parts of the library behind the nodes, so that tests can put something else there.

    Attributes:
        load_robot: (settings, description or None) -> (model, gaussians).
        planner: (model, gaussians, gate, text model) -> planner.
    """

    load_robot: Callable[..., tuple[Any, Any]]
    planner: Callable[..., Any]


def control_library() -> ControlLibrary:
    """Return the real parts."""
    import torch

    from drrobot_ros.control.planning import Planner
    from drrobot_ros.control.text.encoder import OWN, load_encoder
    from drrobot_ros.ros.robots import load_robot

    torch.set_num_threads(1)

    def planner(model: Any, gaussians: Any, gate: SafetyGate, text_model: str) -> Any:
        return Planner(model, gaussians, gate, load_encoder(text_model or OWN))

    return ControlLibrary(load_robot, planner)


@dataclasses.dataclass
class Robot:
    """A robot that was loaded, and what belongs to it.

    Attributes:
        model: its model.
        gaussians: its splats.
        joints: its joint states.
        estimate: where the camera sees it.
        offsets: of its encoders, as far as the camera told.
        gate: checks its motions.
        executor: moves it.
    """

    model: Any
    gaussians: Any
    joints: JointInput
    estimate: EstimateInput
    offsets: OffsetObserver
    gate: SafetyGate
    executor: ArmExecutor


class ArmNode(Node):
    """A node that moves an arm by sight.

    Subscribes: joint_states, camera_info, pose_estimator/status, pose_estimator/camera_pose;
    robot_description unless the parameter robot is set.

    Callbacks only store, or stop the arm; a worker thread thinks.

    Args:
        name: of the node.
        settings: class of its settings.
        library: the parts of the library behind it; None: the real ones.

    Attributes:
        rectified: whether the camera's images are, and what goals show.

    Raises:
        InputError: a parameter's start value is not valid, or the controller is not known.
    """

    def __init__(
        self,
        name: str,
        settings: type[ArmNodeSettings],
        library: ControlLibrary | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.library = library or control_library()
        self.settings: Parameters[Any] = Parameters(self, settings)
        self._safety = Parameters(self, SafetyConfig, "safety.", read_only=True).config
        self._execution = Parameters(self, ExecutionConfig, "execution.", read_only=True).config
        self._following = Parameters(self, FollowingConfig, "following.", read_only=True).config
        self.law = Parameters(self, ServoConfig, "servo.")
        given = self.settings.config
        self.diagnostics = Diagnostics(self)
        self.diagnostics.set_summary(self._summary)
        self._controller = find_controller(given.controller, given.controllers_file)
        self._interface = make_interface(self, self._controller)
        self._obstacles = read_obstacles(given.obstacles_file) if given.obstacles_file else []
        self._frames = tf.listen(self)
        self.clock = SmoothClock(self)
        self.robot: Robot | None = None
        self._info: CameraInfo | None = None
        self.rectified = True
        self._camera_pose: PoseWithCovarianceStamped | None = None
        self.busy = threading.Lock()
        self.worker: LatestWorker[Callable[[], None]] = LatestWorker(
            lambda job: job(), self._failed, "control"
        )
        qos.subscribe(self, JointState, "joint_states", self._joint_state, qos.STREAM_INPUT)
        qos.subscribe(self, CameraInfo, "camera_info", self._camera_info, qos.IMAGE_INPUT)
        estimator = "pose_estimator"
        qos.subscribe(
            self, EstimatorStatus, f"{estimator}/status", self._estimate, qos.STREAM_INPUT
        )
        qos.subscribe(
            self,
            PoseWithCovarianceStamped,
            f"{estimator}/camera_pose",
            self._camera_moved,
            qos.STREAM_INPUT,
        )
        steady_timer(self, WATCH_S, self._watch_arm)
        self._source = RobotSource(self, given.robot, self.diagnostics, self.worker, self._load)

    # -- the robot -------------------------------------------------------------------------------

    def _load(self, description: str | None) -> tuple[str, str]:
        model, gaussians = self.library.load_robot(self.settings.config, description)
        robot = self._robot_of(model, gaussians)
        self.loaded(robot)
        self.robot = robot
        return model.name, (
            f"ready; controller {self._controller.name!r} on {self._controller.topic}"
        )

    def _robot_of(self, model: Any, gaussians: Any) -> Robot:
        settings = self.settings.config
        joints = JointInput(model, settings.joint_prefix, self.diagnostics)
        gate = SafetyGate(model, self._safety, self._obstacles, settings.allowed_pairs)
        executor = ArmExecutor(
            interface=self._interface,
            controller=self._controller,
            joints=joints,
            model=model,
            gate=gate,
            clock=self.clock,
            config=self._execution,
            following=self._following,
            trouble=self._trouble,
        )
        estimate = EstimateInput(joints.names, settings.seen_patience_s)
        observer = OffsetObserver(model.nq, self.law.config)
        return Robot(model, gaussians, joints, estimate, observer, gate, executor)

    def loaded(self, robot: Robot) -> None:
        """Prepare what else belongs to a robot; in the worker's thread."""

    def ready_robot(self) -> Robot:
        """Return the robot.

        Raises:
            InputError: there is none yet.
        """
        if self.robot is None:
            raise InputError(self._source.problem)
        return self.robot

    # -- where it is -----------------------------------------------------------------------------

    def _joint_state(self, message: JointState) -> None:
        if self.robot is not None:
            self.robot.joints.add(message)
            self.robot.executor.heard()

    def _camera_info(self, message: CameraInfo) -> None:
        self._info = message

    @property
    def info(self) -> CameraInfo | None:
        """The newest message of the camera."""
        return self._info

    def _camera_moved(self, message: PoseWithCovarianceStamped) -> None:
        self._camera_pose = message

    def _estimate(self, message: EstimatorStatus) -> None:
        robot = self.robot
        if robot is None:
            return
        seen = robot.estimate.add(message)
        if seen is None:
            return
        encoders = robot.joints.at(seen.stamp_s)
        speed = robot.joints.rate(seen.stamp_s)
        robot.offsets.see(seen.stamp_s, seen.q, seen.sigma, encoders, speed)
        self.seen(robot, seen, encoders)

    def seen(self, robot: Robot, seen: Seen, encoders: Vector) -> None:
        """Take note of a new believed estimate, and of the encoders at its stamp."""

    def uses_estimate(self) -> bool:
        """Return whether the arm moves only while the camera sees it."""
        return True

    def _trouble(self) -> str:
        robot = self.robot
        return robot.estimate.problem() if robot is not None and self.uses_estimate() else ""

    def known_offsets(self, robot: Robot) -> Vector:
        """Return encoder minus true position [nq], 0 where the camera did not tell."""
        if not self.uses_estimate():
            return np.zeros(robot.model.nq)
        observer = robot.offsets
        return np.where(observer.sigma < _KNOWN, observer.offsets, 0.0)

    def eye(self) -> tuple[Lens, NDArray[np.float64]]:
        """Return the camera's lens, and its pose in the base frame [4, 4].

        Raises:
            InputError: it is not known.
        """
        info = self._info
        if info is None:
            topic = self.resolve_topic_name("camera_info")
            raise InputError(f"the camera is not known: nothing came on {topic}")
        lens = lens_from_info(info, rectified=self.rectified)
        settings = self.settings.config
        if settings.camera_pose:
            return lens, matrix_from_numbers(settings.camera_pose)
        if self._camera_pose is not None:
            return lens, matrix_from_pose(self._camera_pose.pose.pose)
        robot = self.ready_robot()
        base = settings.base_frame or robot.model.base_link
        T = self._frames.lookup(base, info.header.frame_id)
        if T is None:
            raise InputError(
                "where the camera is, is not known: set camera_pose, run the pose estimator, or "
                f"connect {base!r} with {info.header.frame_id!r} on tf"
            )
        return lens, T

    # -- looking after it --------------------------------------------------------------------------

    def _watch_arm(self) -> None:
        if self.robot is not None:
            self.robot.executor.watch()

    def _failed(self, error: Exception) -> None:
        self.diagnostics.fault("control", f"{type(error).__name__}: {error}")

    def state(self) -> tuple[str, dict[str, str]]:
        """Return what the node is doing, for diagnostics."""
        return "idle", {}

    def _summary(self) -> tuple[bytes, str, dict[str, str]]:
        if self.robot is None:
            return WARN, self._source.problem, {}
        text, values = self.state()
        if not self._interface.is_there():
            return WARN, f"{text}; the controller is not there", values
        return OK, text, values

    def destroy_node(self) -> None:
        """Stop the arm, end the worker, then the node."""
        if self.robot is not None:
            self.robot.executor.stop("the node ends")
        self.worker.stop()
        super().destroy_node()
