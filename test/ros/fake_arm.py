"""An arm behind a trajectory controller, whose encoders are wrong, and what sees it: in one node.

Everything it executes is kept, to be judged.
"""

import threading
import time
from collections.abc import Callable

import numpy as np
import rclpy
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, GoalResponse
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import info_from_camera, ns_to_stamp, stamp_to_s
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm, Sway
from drrobot_ros.ros.trajectory_action import TrajectoryInterface
from drrobot_ros.simulation.referee import Referee

HOME = np.array([0.0, 0.4, 0.8, 0.0, 0.5, 0.0])
STEP_S = 0.01
CAMERA = PinholeCamera.from_fov(96, 72, 0.8)
T_BASE_CAMERA = look_at(np.array([1.5, 0.7, 0.8]), np.array([0.0, 0.0, 0.4]))


class RecordedArm(Arm):
    """Keeps all that it was told, and when.

    Attributes:
        told: [(time, steady time, trajectory, when it counts from, when it was to begin)].
    """

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.told: list = []
        self.start = HOME

    def follow(self, trajectory, begin_s) -> None:
        joined = np.array_equal(trajectory.q[0], self.at(begin_s)) and len(trajectory.times_s) > 1
        starts_s = begin_s + (trajectory.times_s[1] if joined else 0.0)
        self.told.append((time.time(), time.monotonic(), trajectory, begin_s, starts_s))
        super().follow(trajectory, begin_s)

    def commanded(self, begin_s: float, end_s: float) -> np.ndarray:
        """Return the positions that it was told to have, every STEP_S.

        Each trajectory counts from when it was to begin, or from when it came where that was
        later. What a controller does to join them is its own.
        """
        out, parts = (
            [],
            [(max(told, starts), motion, zero) for told, _, motion, zero, starts in self.told],
        )
        for t in np.arange(begin_s, end_s, STEP_S):
            by_then = [x for x in parts if x[0] <= t]
            out.append(by_then[-1][1].at(t - by_then[-1][2]) if by_then else self.start)
        return np.array(out)


class FakeArm:
    """Spins in a thread of its own, with whatever other nodes are given.

    Args:
        urdf: of the robot.
        offsets: of its encoders [nq].
        nodes: further nodes to spin.
    """

    def __init__(self, urdf, offsets, nodes=()) -> None:
        self.model = RobotModel.load(urdf)
        self.referee = Referee(urdf, self.model.joint_names)
        self.offsets = np.asarray(offsets, float)
        self.node = node = rclpy.create_node("simulated_robot")
        names = JointNames.of(self.model)
        limits = (self.model.lower, self.model.upper)
        self.arm = RecordedArm(Sway(HOME + self.offsets, names, limits), time.time())
        self.arm.start = HOME + self.offsets
        self.names = names
        self.interface = TrajectoryInterface(
            node, self.arm, names, limits, Diagnostics(node, "fake")
        )
        self._joints = node.create_publisher(JointState, "joint_states", qos.OUTPUT)
        self._status = node.create_publisher(EstimatorStatus, "pose_estimator/status", qos.OUTPUT)
        self._info = node.create_publisher(CameraInfo, "camera_info", qos.OUTPUT)
        self._image = node.create_publisher(Image, "image", qos.OUTPUT)
        self._random = np.random.default_rng(0)
        self.state, self.silent = EstimatorStatus.TRACKING, False
        self.stuck: np.ndarray | None = None
        self.sees = True
        self.camera, self.bias, self.stddev = CAMERA, np.zeros(len(HOME)), 0.003
        #: What the camera sees at true positions; None: nobody publishes images.
        self.draw: Callable[[np.ndarray], np.ndarray] | None = None
        self._looks = 0
        node.create_timer(0.01, self._publish_joints)
        node.create_timer(1 / 20, self._publish_estimate)
        self.executor = SingleThreadedExecutor()
        for each in (node, *nodes):
            self.executor.add_node(each)
        self._thread = threading.Thread(target=self.executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.executor.shutdown()
        self._thread.join(5.0)
        self.node.destroy_node()

    def true_q(self) -> np.ndarray:
        return self.arm.at(time.time()) - self.offsets

    def reset(self) -> None:
        """Be well again."""
        self.state, self.silent, self.stuck, self.sees = EstimatorStatus.TRACKING, False, None, True
        self.bias, self.stddev, self.draw = np.zeros(len(HOME)), 0.003, None

    def _now(self, late_s: float = 0.0):
        return ns_to_stamp(time.time_ns() - round(late_s * 1e9))

    def _publish_joints(self) -> None:
        if self.silent:
            return
        header = Header(stamp=self._now())
        q = self.arm.at(time.time()) if self.stuck is None else self.stuck
        self._joints.publish(self.names.write(q, header))

    def _publish_estimate(self) -> None:
        late_s = 0.05
        header = Header(stamp=self._now(late_s), frame_id="camera")
        self._info.publish(info_from_camera(self.camera, header))
        if not self.sees:
            return
        q = self.arm.at(stamp_to_s(header.stamp)) - self.offsets
        self._looks += 1
        if self.draw is not None and self._looks % 2:
            self._image.publish(rgb_to_image(self.draw(q), header))
        q = q + self.bias + self._random.normal(0, np.deg2rad(0.15), len(q))
        self._status.publish(
            EstimatorStatus(
                header=header,
                state=self.state,
                reason="" if self.state == EstimatorStatus.TRACKING else "as the test has it",
                joint_names=list(self.names.index),
                position=q.tolist(),
                position_stddev=[self.stddev] * len(q),
            )
        )

    def faults(self, begin_s: float, limits) -> list[str]:
        """Return what the judge has against what was commanded since a time.

        A trajectory that comes after it should have begun makes any controller jump. That is a
        busy machine's doing, and nothing is judged then.
        """
        late_s = [told - starts for told, _, _, _, starts in self.arm.told if told > begin_s]
        if late_s and max(late_s) > 0:
            print(f"not judged: a trajectory came {max(late_s):.3f} s late")
            return []
        q = self.arm.commanded(begin_s, time.time())
        rates = {n: getattr(limits, n) for n in ("velocity", "acceleration", "jerk")}
        verdict = self.referee.judge(q, STEP_S, true_q=q - self.offsets, **rates)
        return verdict.faults(1.05)


class Rejecting:
    """A controller that takes nothing, as another action server would."""

    def __init__(self, node, name: str) -> None:
        self.server = ActionServer(
            node,
            FollowJointTrajectory,
            name,
            execute_callback=lambda goal: FollowJointTrajectory.Result(),
            goal_callback=lambda _: GoalResponse.REJECT,
        )
