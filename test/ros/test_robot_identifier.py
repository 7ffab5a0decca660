"""The robot identifier over real DDS: records, says what it could not keep, fits and writes."""

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed")

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from drrobot_ros.errors import InputError
from drrobot_ros.identification import read_recording
from drrobot_ros.robot import RobotModel
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import ns_to_stamp
from drrobot_ros.ros.joint_recorder import JointRecorder

ROD = """<mujoco model="rod"><compiler angle="radian"/><worldbody>
<body name="upper"><joint name="shoulder" axis="0 1 0" range="-3 3"/>
<inertial pos="0.1 0 0.2" mass="{mass}" diaginertia="0.03 0.04 0.02"/>
<geom type="capsule" fromto="0 0 0 0 0 0.4" size="0.03"/>
<body name="lower" pos="0 0 0.4"><joint name="elbow" axis="0 1 0" range="-3 3"/>
<inertial pos="0 0 0.15" mass="1.5" diaginertia="0.01 0.01 0.005"/>
<geom type="capsule" fromto="0 0 0 0 0 0.3" size="0.02"/></body></body></worldbody></mujoco>"""
RATE_HZ, SECONDS = 100.0, 6.0
NAMES = ("shoulder", "elbow")


def motion():
    """Return times, q, v and a of a motion that shows much."""
    t = np.arange(0.0, SECONDS, 1 / RATE_HZ)
    q, v, a = (np.zeros((len(t), 2)) for _ in range(3))
    for joint, waves in enumerate((((0.8, 2.1), (0.4, 5.0)), ((0.7, 3.3), (0.5, 6.1)))):
        for size, rate in waves:
            q[:, joint] += size * np.sin(rate * t)
            v[:, joint] += size * rate * np.cos(rate * t)
            a[:, joint] -= size * rate**2 * np.sin(rate * t)
    return t, q, v, a


def message(stamp_s, q, v, tau, names=NAMES):
    header = Header(stamp=ns_to_stamp(round(stamp_s * 1e9)))
    out = JointState(header=header, name=list(names))
    out.position, out.velocity, out.effort = (list(map(float, x)) for x in (q, v, tau))
    return out


@pytest.fixture(scope="module")
def messages():
    """Return joint states of a rod heavier than the one that the node loads."""
    model = RobotModel.load(ROD.format(mass=2.6))
    t, q, v, a = motion()
    with torch.no_grad():
        tau = model.inverse_dynamics(*(torch.from_numpy(x) for x in (q, v, a))).numpy()
    tau = tau + np.random.default_rng(0).normal(size=tau.shape) * 0.01 * tau.std(0)
    # Backwards and with a joint of another robot: order and strangers must not matter.
    names = ("gripper", *NAMES[::-1])
    return [
        message(100 + t[i], *([0.0, *x[i, ::-1]] for x in (q, v, tau)), names=names)
        for i in range(len(t))
    ]


class TestRecorder:
    def test_keeps_what_is_the_robots_and_counts_the_rest(self, messages):
        recorder = JointRecorder(NAMES)
        for m in messages[:100]:
            assert recorder.add(m, 0.0) is None
        assert recorder.add(message(200, [1], [0], [0], names=["gripper"]), 0.0) is None
        bad = message(200, [0, np.nan], [0, 0], [0, 0])
        assert "position of joint 'elbow' is not finite" in recorder.add(bad, 0.0)
        bad = message(200, [0], [0], [0], names=["elbow"])
        assert "lack shoulder" in recorder.add(bad, 0.0)
        assert "no effort" in recorder.add(message(200, [0, 0], [0, 0], []), 0.0)
        assert "not later" in recorder.add(messages[50], 0.0)
        c = recorder.counts
        assert (c.kept, c.other, c.incomplete, c.not_finite, c.out_of_order) == (100, 1, 2, 1, 1)
        found = recorder.recording()
        _, q, v, _ = motion()
        np.testing.assert_allclose(found.q, q[:100])
        np.testing.assert_allclose(found.v, v[:100])
        assert found.joint_names == NAMES
        assert "1 with values not finite" in found.notes[0]

    def test_uses_the_longest_stretch_without_a_gap(self, messages):
        recorder = JointRecorder(NAMES)
        for m in messages[:100] + messages[150:400] + messages[500:]:
            recorder.add(m, 0.0)
        found = recorder.recording()
        assert len(found.time_s) == 250
        np.testing.assert_allclose(found.q, motion()[1][150:400])
        assert "2 gaps" in found.notes[0] and "2.49 of 5.99 s" in found.notes[0]

    def test_too_little(self, messages):
        recorder = JointRecorder(NAMES, prefix="left_")
        for m in messages:
            recorder.add(m, 0.0)
        with pytest.raises(InputError, match=r"0 joint states kept.*600 of other robots"):
            recorder.recording()

    def test_a_recording_has_an_end(self, messages):
        recorder = JointRecorder(NAMES, limit_s=1.0)
        complaints = [recorder.add(m, 0.0) for m in messages]
        assert complaints[-1] == "the recording is full: 1 s"
        assert recorder.duration_s == pytest.approx(1.0)


class Client:
    """The other side: a driver and somebody who asks."""

    def __init__(self):
        self.node = rclpy.create_node("identifier_client")
        self.joints = self.node.create_publisher(JointState, "joint_states", qos.OUTPUT)
        self.status = []
        self.node.create_subscription(
            DiagnosticStatus, "robot_identifier/status", self.status.append, qos.OUTPUT
        )
        self.services = {
            name: self.node.create_client(Trigger, f"robot_identifier/{name}")
            for name in ("start", "fit")
        }

    def until(self, condition, timeout_s=30.0):
        end = self.node.get_clock().now().nanoseconds + timeout_s * 1e9
        while self.node.get_clock().now().nanoseconds < end:
            rclpy.spin_once(self.node, timeout_sec=0.02)
            result = condition()
            if result:
                return result
        raise AssertionError(f"nothing in {timeout_s} s; last status: {self.status[-1:]}")


def values(status):
    return {pair.key: pair.value for pair in status.values}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("identify")


@pytest.fixture(scope="module")
def process(start_node, folder):
    source = folder / "rod.xml"
    source.write_text(ROD.format(mass=2.0))
    chosen = {"robot": str(source), "folder": str(folder / "fits")}
    arguments = [word for k, v in chosen.items() for word in ("-p", f"{k}:={v}")]
    return start_node("-m", "drrobot_ros.ros.nodes.robot_identifier", "--ros-args", *arguments)


@pytest.fixture(scope="module")
def client(process):
    client = Client()
    client.until(lambda: client.status, timeout_s=40.0)
    yield client
    client.node.destroy_node()
    assert process.stop() == 0, process.output()


def ask(client, name):
    client.until(client.services[name].service_is_ready)
    future = client.services[name].call_async(Trigger.Request())
    client.until(future.done, timeout_s=60.0)
    return future.result()


def play(client, messages):
    for i, m in enumerate(messages):
        client.joints.publish(m)
        if i % 10 == 9:  # the node keeps 50 that it has not read yet
            wanted = client.node.get_clock().now().nanoseconds + 20_000_000
            client.until(lambda end=wanted: client.node.get_clock().now().nanoseconds > end)


def test_nothing_recorded_is_said(client):
    answer = ask(client, "fit")
    assert not answer.success and "call start first" in answer.message
    assert values(client.status[-1])["state"] == "idle"


def test_records_fits_and_writes(client, folder, messages):
    client.until(lambda: client.joints.get_subscription_count() > 0)
    answer = ask(client, "start")
    assert answer.success and "recording shoulder, elbow" in answer.message
    bad = message(99.0, [np.nan, 0], [0, 0], [0, 0])
    play(client, [bad, *messages])
    last = client.until(
        lambda: (
            client.status
            and float(values(client.status[-1]).get("duration_s", 0)) > 5.9
            and client.status[-1]
        )
    )
    told = values(last)
    assert told["state"] == "recording" and told["not finite"] == "1"
    assert last.level == DiagnosticStatus.WARN
    # While it fits the node goes on: status, a second call is answered at once.
    fit = client.services["fit"].call_async(Trigger.Request())
    client.until(lambda: values(client.status[-1])["state"] == "fitting")
    second = ask(client, "fit")
    assert not fit.done() and not second.success
    assert "a fit is still running" in second.message
    client.until(fit.done, timeout_s=60.0)
    answer = fit.result()
    assert answer.success, answer.message
    assert answer.message.startswith("good: "), answer.message
    assert "1 with values not finite" in answer.message
    (fit,) = (folder / "fits").iterdir()
    assert str(fit) in answer.message
    assert "Verdict: **good**" in (fit / "report.md").read_text()
    assert len(read_recording(fit / "recording.csv").time_s) > 300
    (path,) = fit.glob("*.xml")
    found, true = RobotModel.load(path), RobotModel.load(ROD.format(mass=2.6))
    q, v, a = (torch.tensor(x) for x in ([0.3, -0.8], [0.5, 1.0], [1.0, -2.0]))
    q, v, a = q.double(), v.double(), a.double()
    with torch.no_grad():
        wanted, got = true.inverse_dynamics(q, v, a), found.inverse_dynamics(q, v, a)
    assert torch.allclose(got, wanted, rtol=0.05, atol=0.05)


def test_a_robot_that_did_not_move_is_said(client, messages):
    assert ask(client, "start").success
    still = [message(300 + 0.01 * i, [0.1, 0.2], [0, 0], [1, 1]) for i in range(60)]
    play(client, still)
    client.until(lambda: float(values(client.status[-1]).get("duration_s", 0)) > 0.5)
    answer = ask(client, "fit")
    assert not answer.success and "too little motion: 'shoulder'" in answer.message


def test_settings_are_checked():
    from drrobot_ros.ros.settings import RobotIdentifierSettings

    with pytest.raises(InputError, match="held_joints has 1 names, held_positions has 0"):
        RobotIdentifierSettings(held_joints=("a",))
