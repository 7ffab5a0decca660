"""The executor against a clock, a controller and joint states that a test makes up."""

import functools
import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("control_msgs", reason="control_msgs is not installed")

from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.control.following import FollowingConfig
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.errors import InputError
from drrobot_ros.ros.arm_executor import ArmExecutor
from drrobot_ros.ros.control_settings import ExecutionConfig
from drrobot_ros.ros.controllers import Controller, find_controller, read_controllers
from drrobot_ros.ros.conversions import ns_to_stamp, stamp_to_s
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.smooth_clock import SmoothClock

HOME = np.array([0.0, 0.4, 0.8, 0.0, 0.5, 0.0])
THERE = HOME + np.array([0.8, -0.3, 0.2, 0.4, -0.2, 0.5])


@functools.cache
def _gate(model) -> SafetyGate:
    return SafetyGate(model)


class World:
    """A node's clock that goes when told to, and what the executor sends."""

    def __init__(self, model, monkeypatch, **config) -> None:
        self.ros_s = self.steady_s = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.steady_s)
        self.there, self.sent, self.ended = True, [], []
        self.trouble, self.finished = "", []
        silent = SimpleNamespace(fault=lambda *_, **__: None, good=lambda *_: None)
        self.joints = JointInput(model, "", silent)  # pyright: ignore[reportArgumentType]
        self.executor = ArmExecutor(
            interface=self,
            controller=Controller("made up", "action", "made_up"),
            joints=self.joints,
            model=model,
            gate=_gate(model),
            clock=SmoothClock(self),  # pyright: ignore[reportArgumentType]
            config=ExecutionConfig(**config),
            following=FollowingConfig(),
            trouble=lambda: self.trouble,
        )
        self.follows = True
        self.q = HOME

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=round(self.ros_s * 1e9)))

    def is_there(self) -> bool:
        return self.there

    def send(self, trajectory, ended) -> None:
        self.sent.append(trajectory)
        self.ended.append(ended)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.ros_s += 0.01
            self.steady_s += 0.01
            if self.executor.active and self.follows:
                self.q = self.executor.motion.at(self.ros_s)[0]
            header = Header(stamp=ns_to_stamp(round(self.ros_s * 1e9)))
            self.joints.add(
                JointState(
                    header=header, name=list(self.joints.names.index), position=self.q.tolist()
                )
            )
            self.executor.heard()
            self.executor.watch()

    def go(self):
        self.run(0.1)
        motion = self.executor.begin(np.zeros(6), self.finished.append)
        _, begin_s = self.executor.lead()
        assert self.executor.follow(motion.to(THERE, begin_s), begin_s)
        return motion


@pytest.fixture(scope="module")
def model(robot):
    return robot("six_axis_arm")


def test_does_what_it_is_told_and_says_when(model, monkeypatch) -> None:
    world = World(model, monkeypatch)
    world.go()
    message = world.sent[0]
    assert stamp_to_s(message.header.stamp) == pytest.approx(world.ros_s + 0.03)
    np.testing.assert_allclose(message.points[-1].positions, THERE, atol=1e-9)
    assert len(message.points[0].accelerations) == 6
    with pytest.raises(InputError, match="still moving"):
        world.executor.begin(np.zeros(6), lambda _: None)
    world.run(3.0)
    assert world.finished == [""] and not world.executor.active and len(world.sent) == 1


def test_without_stamps_it_begins_when_it_arrives(model, monkeypatch) -> None:
    world = World(model, monkeypatch, use_stamps=False)
    world.go()
    assert stamp_to_s(world.sent[0].header.stamp) == 0.0
    assert stamp_to_s(world.sent[0].points[0].time_from_start) == pytest.approx(0.03)


@pytest.mark.parametrize("jump_s", [-100.0, 100.0])
def test_a_clock_that_jumps_stops_the_arm(model, monkeypatch, jump_s: float) -> None:
    world = World(model, monkeypatch)
    motion = world.go()
    world.run(0.5)
    world.follows = False
    world.ros_s += jump_s
    world.run(0.02)
    assert len(world.sent) == 2
    stop = world.sent[1]
    assert stamp_to_s(stop.header.stamp) == 0.0  # stamps mean nothing now
    assert stamp_to_s(stop.points[-1].time_from_start) < 0.8
    assert np.abs(stop.points[-1].positions[0] - THERE[0]) > 0.1
    np.testing.assert_allclose(stop.points[-1].positions, motion.goal, atol=1e-9)
    world.run(1.0)
    assert f"the clock jumped by {jump_s:+.1f}" in world.finished[0]


def test_a_controller_that_blinks_is_not_gone(model, monkeypatch) -> None:
    world = World(model, monkeypatch)
    world.go()
    for _ in range(3):
        world.run(0.2)
        world.there = False
        world.run(0.2)
        world.there = True
    world.run(3.0)
    assert world.finished == [""] and len(world.sent) == 1


def test_a_controller_that_dies_or_gives_up(model, monkeypatch) -> None:
    world = World(model, monkeypatch)
    world.go()
    world.run(0.5)
    world.there = False
    world.run(1.5)
    assert world.finished == ["the controller is gone"] and len(world.sent) == 2
    world.there = True
    world.go()
    world.run(0.2)
    world.ended[-1]("the controller gave up, PATH_TOLERANCE_VIOLATED: joint_2")
    world.run(1.5)
    assert "gave up" in world.finished[1]
    assert len(world.sent) == 3  # no stop from where it is not


def test_a_stop_wins_over_a_correction_that_is_being_thought_of(model, monkeypatch) -> None:
    world = World(model, monkeypatch)
    motion = world.go()
    world.run(0.4)
    _, begin_s = world.executor.lead()
    correction = motion.to(HOME, begin_s)
    world.executor.stop("canceled")
    assert not world.executor.follow(correction, begin_s)
    world.run(1.0)
    assert world.finished == ["canceled"] and len(world.sent) == 2


def test_readiness_is_said(model, monkeypatch) -> None:
    world = World(model, monkeypatch)
    with pytest.raises(InputError, match=r"no joint state of joint_1"):
        world.executor.check_ready()
    world.run(0.1)
    world.executor.check_ready()
    world.trouble = "the pose estimator is lost"
    with pytest.raises(InputError, match="is lost"):
        world.executor.check_ready()
    world.there = False
    with pytest.raises(InputError, match="nobody takes trajectories"):
        world.executor.check_ready()


def test_named_controllers(tmp_path) -> None:
    ur = find_controller("ur")
    assert ur.topic == "scaled_joint_trajectory_controller/follow_joint_trajectory"
    assert len(find_controller("panda").joints) == 7 == len(find_controller("xarm7").joints)
    assert find_controller("simulated").order(["a", "b"]) == ("a", "b")
    with pytest.raises(InputError, match="unknown joint 'shoulder_pan_joint'; valid: a, b"):
        ur.order(["a", "b"])
    with pytest.raises(InputError, match="unknown controller 'panad'"):
        find_controller("panad")
    for text, words in (
        ("[1]", "must hold a mapping 'controllers'"),
        ("controllers: {a: 3}", "'a' must be a mapping"),
        ("controllers: {a: {nam: x}}", r"unknown keys \['nam'\]"),
        ("controllers: {a: {interface: bus, name: x}}", "unknown interface 'bus'"),
        ("controllers: {a: {interface: topic}}", "no name of an action"),
        ("controllers: {a: {name: x, joints: [j, j]}}", "a joint twice"),
        ("controllers: {a: {name: x, joints: j}}", "list of names"),
        ("controllers: [", "cannot read controllers"),
    ):
        file = tmp_path / "controllers.yaml"
        file.write_text(text)
        with pytest.raises(InputError, match=words):
            read_controllers(file)
