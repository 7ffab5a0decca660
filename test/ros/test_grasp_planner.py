"""The action GraspObject over DDS: dry runs, an arm that moves, refusals, cancelling."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

import rclpy
from action_msgs.msg import GoalStatus
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import MultiThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from waiting import answered, until

from drrobot_msgs.action import GraspObject
from drrobot_msgs.msg import Scene, SceneObject
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import ns_to_stamp, pose_from_matrix
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm, Sway
from drrobot_ros.ros.scene_messages import mesh_message
from drrobot_ros.ros.trajectory_action import TrajectoryInterface

sys.path.insert(0, str(Path(__file__).parents[1] / "grasping"))

from gantry import box, gantry_urdf

R = GraspObject.Result
NODE = "drrobot_ros.ros.nodes.grasp_planner"
HOME = np.array([0.0, 0, 0, 0, 0, 0, 0.04])


class World:
    """An arm behind a trajectory controller, a gripper, a scene, the node and its client."""

    def __init__(self, start_node, urdf: Path) -> None:
        self.node = node = rclpy.create_node("simulated_robot")
        self.model = RobotModel.load(gantry_urdf())
        self.names = names = JointNames.of(self.model)
        limits = (self.model.lower, self.model.upper)
        self.arm = Arm(Sway(HOME, names, limits), time.time())
        self.interface = TrajectoryInterface(
            node, self.arm, names, limits, Diagnostics(node, "fake")
        )
        self.joints = node.create_publisher(JointState, "joint_states", qos.OUTPUT)
        self.scenes = node.create_publisher(Scene, "scene_reconstructor/scene", qos.LATCHED)
        self.client = ActionClient(node, GraspObject, "grasp_planner/grasp_object")
        self.gripper = ActionServer(node, GripperCommand, "gripper/command", self.grip)
        self.holds_m, self.commands = 0.04, []
        node.create_timer(0.01, self.tell)
        self.feedback: list = []
        self.executor = MultiThreadedExecutor(2)
        self.executor.add_node(node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        self.start_node, self.urdf = start_node, urdf
        self.process = self.start()

    def start(self, **more):
        given = {
            "robot": self.urdf,
            "grasp.samples": 120,
            "grasp.ranked": 20,
            "grasp.tried": 3,
            "grasp.speed": 0.5,
            "safety.max_velocity": 2.0,
            "safety.max_acceleration": 10.0,
            "safety.max_jerk": 200.0,
            "safety.velocity_scale": 1.0,
            "execution.lead_s": 0.1,
            "following.silence_s": 1.5,
            **more,
        }
        words = [word for k, v in given.items() for word in ("-p", f"{k}:={v}")]
        process = self.start_node("-m", NODE, "--ros-args", *words)
        self.until(lambda: "gripper:" in process.output(), 60.0, process)
        assert self.client.wait_for_server(timeout_sec=20.0), process.output()
        return process

    def restart(self, **more) -> None:
        assert self.process.stop() == 0
        self.process = self.start(**more)

    def now(self) -> float:
        return self.node.get_clock().now().nanoseconds * 1e-9

    def tell(self) -> None:
        now = self.node.get_clock().now()
        q = self.arm.at(now.nanoseconds * 1e-9)
        self.joints.publish(self.names.write(q, Header(stamp=now.to_msg())))

    def grip(self, goal):
        command = goal.request.command
        self.commands.append((command.position, command.max_effort))
        goal.succeed()
        reached = max(command.position, self.holds_m)
        stalled = reached > command.position
        return GripperCommand.Result(position=reached, stalled=stalled, reached_goal=not stalled)

    def publish(self, *things, confidence=0.9, age_s=0.0, frame="base", **more) -> None:
        stamp = ns_to_stamp(int((self.now() - age_s) * 1e9))
        message = Scene(header=Header(stamp=stamp, frame_id=frame), confidence=confidence, **more)
        message.plane = [0.0, 0.0, 1.0, 0.0]
        message.camera_pose = pose_from_matrix(np.eye(4))
        for thing in things:
            mesh = mesh_message(thing.vertices, thing.faces)
            message.objects.append(
                SceneObject(
                    name=thing.name,
                    pose=pose_from_matrix(thing.T_base_object),
                    mesh=mesh,
                    pieces=[mesh],
                    mass=0.2,
                    friction=0.6,
                    confidence=thing.confidence,
                )
            )
        self.scenes.publish(message)
        time.sleep(0.3)

    def until(self, condition, timeout_s=30.0, process=None):
        return until(condition, timeout_s, (process or self.process).output)

    def send(self, **goal):
        self.feedback.clear()
        hear = lambda m: self.feedback.append(m.feedback)  # noqa: E731
        goal_message = GraspObject.Goal(**goal)
        return answered(self.executor, self.client, goal_message, self.process.output, hear)

    def result(self, handle):
        answer = self.until(handle.get_result_async().result, 60.0)
        return answer.status, answer.result

    def run(self, **goal):
        return self.result(self.send(**goal))

    def home(self) -> None:
        self.arm = self.interface._arm = Arm(
            Sway(HOME, self.names, (self.model.lower, self.model.upper)), time.time()
        )
        time.sleep(0.4)


@pytest.fixture(scope="module")
def world(start_node, tmp_path_factory):
    urdf = tmp_path_factory.mktemp("robot") / "gantry.urdf"
    urdf.write_text(gantry_urdf())
    world = World(start_node, urdf)
    yield world
    assert world.process.alive()
    assert world.process.stop() == 0
    world.executor.shutdown()
    world.node.destroy_node()


def test_before_a_scene_came(world):
    status, result = world.run()
    assert (status, result.outcome, result.reason) == (
        GoalStatus.STATUS_ABORTED,
        R.REFUSED,
        "scene",
    )
    assert "no scene" in result.message


def test_dry_run(world):
    world.publish(box(), box("other", xy=(0.1, 0.16)))
    before = world.arm.at(world.now())
    status, result = world.run(object="box")
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    assert (result.outcome, result.success, result.object) == (R.PLANNED, True, "box")
    assert list(result.phases)[-2:] == ["approach", "lift"]
    assert result.width == pytest.approx(0.04, abs=5e-3) and result.hold > 0.5
    assert list(result.trajectories[0].joint_names) == list(world.names.index)
    assert result.grasp.header.frame_id == "base"
    np.testing.assert_array_equal(world.arm.at(world.now()), before)
    assert {f.phase for f in world.feedback} >= {"candidates", "physics"}


def test_arm_grasps_and_lifts(world):
    world.home()
    world.publish(box())
    status, result = world.run(object="box", execute=True, lift=0.08)
    assert status == GoalStatus.STATUS_SUCCEEDED, result.message
    assert (result.outcome, result.reason) == (R.LIFTED, "")
    order = [p.split(",")[0] for p in result.phases]
    assert order == sorted(order, key=["reach", "approach", "close", "lift"].index)
    q = world.arm.at(world.now())
    grasp = np.array([getattr(result.grasp.pose.position, k) for k in "xyz"])
    tool = world.model.link_pose(world.model.neutral().new_tensor(q), "palm").numpy()
    tip = tool[:3, 3] + tool[:3, 2] * 0.09
    np.testing.assert_allclose(tip, grasp + np.array([0, 0, 0.08]), atol=3e-3)
    assert q[6] * 2 == pytest.approx(result.width - 0.002, abs=2e-3)


def test_cancelled_in_motion(world):
    world.home()
    world.publish(box())
    handle = world.send(object="box", execute=True)
    assert not world.send(object="box").accepted  # one at a time
    world.until(lambda: np.abs(world.arm.at(world.now())[:6] - HOME[:6]).max() > 0.02)
    world.until(handle.cancel_goal_async().result)
    status, result = world.result(handle)
    assert (status, result.outcome) == (GoalStatus.STATUS_CANCELED, R.CANCELED)
    q = world.arm.at(world.now())
    time.sleep(0.2)
    np.testing.assert_allclose(world.arm.at(world.now()), q, atol=1e-6)


@pytest.mark.parametrize(
    ("scene", "goal", "reason", "words"),
    [
        (dict(confidence=0.1, warnings=["lost"]), {}, "confidence", "lost"),
        (dict(age_s=500.0), {}, "scene", "s old"),
        (dict(frame="camera"), {}, "scene", "not in 'base'"),
        ({}, dict(object="cup"), "scene", "unknown object 'cup'; valid: box"),
        ({}, dict(lift=-1.0), "scene", "lift must be 0 or more"),
    ],
)
def test_refusals(world, scene, goal, reason, words):
    world.home()
    world.publish(box(), **scene)
    _, result = world.run(execute=True, **goal)
    assert (result.outcome, result.reason) == (R.REFUSED, reason)
    assert words in result.message
    np.testing.assert_array_equal(world.arm.at(world.now()), HOME)


def test_out_of_reach(world):
    world.home()
    world.publish(box(xy=(1.4, 0.0)))
    _, result = world.run(execute=True)
    assert (result.outcome, result.reason) == (R.REFUSED, "reach")
    np.testing.assert_array_equal(world.arm.at(world.now()), HOME)


def test_gripper_command(world):
    world.restart(gripper_interface="command", gripper_action="gripper/command")
    world.home()
    world.publish(box())
    _, result = world.run(object="box", execute=True, force=20.0)
    assert result.outcome == R.LIFTED, result.message
    (opened, _), (closed, force) = world.commands
    assert opened > result.width > closed and force == 20.0
    # Nothing between the pads.
    world.home()
    world.publish(box())
    world.holds_m = 0.0
    _, result = world.run(object="box", execute=True)
    assert (result.outcome, result.success) == (R.MISSED, False)
    assert "lift" not in result.phases
