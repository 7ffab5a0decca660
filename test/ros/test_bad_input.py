"""Bad input over real DDS: a clear message, a diagnostic, and the node lives on and recovers."""

import array
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_library import CRASH, GOOD_URDF, LOST, MISSING_MESH_URDF, UNCERTAIN
from probe import HEIGHT, WIDTH, Probe
from std_msgs.msg import String

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.ros.conversions import stamp_to_ns
from drrobot_ros.ros.images import depth_to_image, mask_to_image

SCRIPT = str(Path(__file__).with_name("fake_library.py"))
ERROR, WARN = DiagnosticStatus.ERROR, DiagnosticStatus.WARN


@pytest.fixture(scope="module")
def process(start_node):
    return start_node(
        SCRIPT,
        "--ros-args",
        "-p",
        "initial_camera_pose:=[2.0, 0.0, 0.5, -1.5708, 0.0, 1.5708]",
        "-p",
        "stale_timeout_s:=0.6",
        "-p",
        "subscribe_depth:=true",
        "-p",
        "subscribe_mask:=true",
        "-p",
        "subscribe_ignore_mask:=true",
    )


@pytest.fixture(scope="module")
def shared(process):
    probe = Probe()
    probe.description_pub.publish(String(data=GOOD_URDF))
    probe.until(probe.last_status, timeout_s=20.0)
    yield probe
    probe.close()


@pytest.fixture
def probe(shared, process):
    """A node that tracks; it must live and track again when the test is over."""
    shared.tracking()
    shared.clear()
    yield shared
    shared.tracking()
    assert process.alive()


def wrong_encoding(probe):
    image = probe.image()
    image.encoding = "nv12"
    return image, "nv12", "rgb8, bgr8"


def empty(probe):
    image = probe.image()
    image.width = image.height = image.step = 0
    image.data = array.array("B")
    return image, "empty", "0x0"


def truncated(probe):
    image = probe.image()
    image.data = image.data[:1000]
    return image, "truncated", f"needs {WIDTH * HEIGHT * 3} bytes"


def short_step(probe):
    image = probe.image()
    image.step = 10
    return image, "step is 10 bytes", str(WIDTH * 3)


@pytest.mark.parametrize("spoil", [wrong_encoding, empty, truncated, short_step])
def test_unusable_image(probe, process, spoil):
    def send():
        probe.info_pub.publish(probe.info())
        probe.image_pub.publish(spoil(probe)[0])

    _, *words = spoil(probe)
    fault = probe.until(lambda: probe.fault("image", words[0], ERROR), each=send)
    assert words[1] in fault.message
    assert any(words[0] in s.reason for s in probe.received["status"])
    assert words[0] in process.output()
    # Once per cause in the log, however many there were.
    assert process.output().count(f"image: {fault.message}") == 1
    before = probe.last_status().frames_rejected
    assert before > 2
    probe.tracking()
    assert probe.until(lambda: probe.fault("image", "ok"))
    assert probe.last_status().frames_rejected >= before


def test_size_disagrees_with_camera_info(probe, process):
    other = PinholeCamera.from_fov(128, 96, 0.8)

    def send():
        probe.image_pub.publish(probe.image())
        probe.info_pub.publish(probe.info(other))

    fault = probe.until(lambda: probe.fault("camera_info", "image is 64x48", ERROR), each=send)
    assert "128x96" in fault.message
    assert "128x96" in process.output()


def test_uncalibrated_camera(probe, process):
    def send():
        info = probe.info()
        info.k = [0.0] * 9
        probe.info_pub.publish(info)
        probe.image_pub.publish(probe.image())

    fault = probe.until(lambda: probe.fault("camera_info", "not calibrated", ERROR), each=send)
    assert "fx = 0.0" in fault.message
    assert "not calibrated" in process.output()


def test_joint_not_finite(probe, process):
    def send():
        probe.send()
        probe.joints_pub.publish(probe.joints(["shoulder", "elbow"], [0.5, np.nan]))

    fault = probe.until(lambda: probe.fault("joint_states", "no finite position", ERROR), each=send)
    assert "elbow" in fault.message and "shoulder" not in fault.message
    assert "elbow" in process.output()

    def seen():
        status = probe.last_status()
        names = list(status.joint_names)
        std = dict(zip(names, status.position_stddev, strict=True))
        # The tracker was given the shoulder, and not the elbow.
        return std["shoulder"] == pytest.approx(0.1) and std["elbow"] == pytest.approx(0.5)

    probe.until(seen, each=send)


def test_joints_missing(probe):
    probe.reset()
    probe.spin(2.2)  # what was known of the elbow is too old by then

    def send():
        probe.send()
        probe.joints_pub.publish(probe.joints(["shoulder"], [0.5]))

    def seen():
        status = probe.last_status()
        return status and list(status.position_stddev) == pytest.approx([0.1, 0.5])

    probe.until(seen, each=send)
    # And when no joint states come at all, that is said.
    probe.clear()
    fault = probe.until(
        lambda: probe.fault("joint_states age", "older than the image; going on without", WARN),
        each=probe.send,
    )
    assert fault.message.startswith("the newest joint state is")


def test_joint_arrays_of_unequal_length(probe, process):
    def send():
        probe.send()
        message = probe.joints(["shoulder", "elbow"], [0.5])
        probe.joints_pub.publish(message)

    probe.until(
        lambda: probe.fault("joint_states", "2 names but 1 position values", ERROR), each=send
    )
    assert "2 names but 1" in process.output()


def test_joints_in_another_order_of_several_robots(probe):
    names = ["elbow", "left_wheel", "shoulder", "gripper"]

    def send():
        probe.send()
        probe.joints_pub.publish(probe.joints(names, [-0.7, 11.0, 0.4, 12.0]))
        probe.joints_pub.publish(probe.joints(["left_wheel"], [13.0]))

    def seen():
        if not probe.received["joints"]:
            return False
        last = probe.received["joints"][-1]
        values = dict(zip(last.name, last.position, strict=True))
        return values == pytest.approx({"shoulder": 0.4, "elbow": -0.7})

    probe.until(seen, each=send)
    assert not probe.fault("joint_states", "", ERROR)
    assert not probe.fault("joint_states", "", WARN)


def test_stamps_jump_back(probe, process):
    resets = probe.tracking().residual
    back_ns = probe.stamp_ns - 60 * 10**9
    sent = 0

    def send():
        nonlocal sent
        image = probe.image()
        image.header.stamp.sec -= 60
        probe.info_pub.publish(probe.info())
        probe.image_pub.publish(image)
        sent += 1

    def tracked():
        last = probe.last_status()
        old = abs(stamp_to_ns(last.header.stamp) - back_ns) < 30 * 10**9
        return last if old and last.state == EstimatorStatus.TRACKING else None

    status = probe.until(tracked, each=send)
    # It goes on from there, and does not start afresh.
    probe.until(lambda: sent > 5, each=send)
    assert probe.last_status().residual == status.residual == resets
    # Said, and old stamps are said to be old.
    assert probe.until(lambda: probe.fault("stamps", "jumped back by", WARN), each=send)
    assert probe.until(
        lambda: probe.fault("image age", "behind this node's clock", WARN), each=send
    )
    assert "stamps jumped back by" in process.output()
    last = probe.received["joints"][-1]
    assert abs(stamp_to_ns(last.header.stamp) - back_ns) < 30 * 10**9


@pytest.mark.parametrize(
    ("description", "words"),
    [("<robot name='x'><link", ""), (MISSING_MESH_URDF, "arm.stl"), ("", "empty")],
    ids=["does not parse", "missing mesh", "empty"],
)
def test_robot_description(probe, process, description, words):
    probe.description_pub.publish(String(data=description))
    fault = probe.until(lambda: probe.fault("robot_description", "cannot load", ERROR))
    assert words in fault.message
    assert "robot_description: cannot load the robot" in process.output()
    # The robot there was before is still tracked ...
    probe.tracking()
    # ... and the next good description makes it well.
    probe.clear()
    probe.description_pub.publish(String(data=GOOD_URDF + f"<!-- {words} -->"))
    assert probe.until(lambda: probe.fault("robot_description", "ok", DiagnosticStatus.OK))


def test_camera_gone_for_five_seconds(probe):
    assert probe.tracking().state == EstimatorStatus.TRACKING
    probe.until(lambda: probe.last_status().state == EstimatorStatus.STALE, timeout_s=1.5)
    probe.clear()
    probe.spin(4.5)
    states = [s.state for s in probe.received["status"]]
    assert 3 <= len(states) <= 6  # once a second
    assert set(states) == {EstimatorStatus.STALE}
    assert "no image for" in probe.last_status().reason
    assert probe.summary("stale").level == DiagnosticStatus.STALE
    assert not probe.received["joints"] and not probe.received["tf"]
    image = probe.send()
    probe.until(lambda: probe.last_status().state == EstimatorStatus.TRACKING)
    assert probe.last_status().header.stamp == image.header.stamp
    assert probe.received["joints"][0].header.stamp == image.header.stamp


@pytest.mark.parametrize(
    ("brightness", "state", "level", "words"),
    [
        (UNCERTAIN, EstimatorStatus.UNCERTAIN, WARN, "occluded"),
        (LOST, EstimatorStatus.LOST, ERROR, "diverged"),
    ],
)
def test_occluded_and_diverged_are_told_apart(probe, brightness, state, level, words):
    probe.until(
        lambda: probe.last_status() and probe.last_status().state == state,
        each=lambda: probe.send(brightness),
    )
    probe.clear()
    summary = probe.until(lambda: probe.summary(words), each=lambda: probe.send(brightness))
    assert summary.level == level
    # Only what is believed is published.
    published = [bool(probe.received[name]) for name in ("joints", "pose", "tf")]
    assert published == [state == EstimatorStatus.UNCERTAIN] * 3


def test_a_first_estimate_is_only_believed_when_the_robot_was_seen_clearly(probe):
    """An image without a robot gives an estimate too: an uncertain one."""
    probe.reset()
    probe.until(
        lambda: probe.last_status() and "since the start" in probe.last_status().reason,
        each=lambda: probe.send(UNCERTAIN),
    )
    probe.clear()
    probe.until(lambda: len(probe.received["status"]) > 5, each=lambda: probe.send(UNCERTAIN))
    assert not probe.received["joints"] and not probe.received["tf"]
    assert "not published" in probe.last_status().reason
    # Seen clearly once, it may be hidden for a while.
    probe.tracking()
    probe.until(
        lambda: "occluded" in probe.last_status().reason, each=lambda: probe.send(UNCERTAIN)
    )
    probe.clear()
    probe.until(lambda: probe.received["joints"], each=lambda: probe.send(UNCERTAIN))


def test_solver_fails(probe, process):
    probe.until(
        lambda: probe.fault("solver", "the solver blew up", ERROR), each=lambda: probe.send(CRASH)
    )
    probe.until(
        lambda: probe.last_status().state == EstimatorStatus.LOST, each=lambda: probe.send(CRASH)
    )
    assert "the solver blew up" in probe.last_status().reason
    assert process.output().count("the solver blew up") == 1


def test_depth_of_another_size_is_left_out(probe):
    def send(size):
        image = probe.image()
        probe.info_pub.publish(probe.info())
        depth = depth_to_image(np.full(size, 2.0, np.float32), image.header)
        probe.depth_pub.publish(depth)
        probe.image_pub.publish(image)

    probe.until(
        lambda: probe.fault("depth", "depth is 32x24, but image is 64x48", ERROR),
        each=lambda: send((24, 32)),
    )
    assert probe.last_status().state == EstimatorStatus.TRACKING
    # The fake tracker reports what depth it got.
    probe.until(lambda: probe.last_status().residual > 1000, each=lambda: send((HEIGHT, WIDTH)))


def test_masks_reach_the_tracker(probe):
    resets = probe.tracking().residual
    half = np.zeros((HEIGHT, WIDTH))
    half[:, : WIDTH // 2] = 1.0

    def send():
        image = probe.image()
        probe.info_pub.publish(probe.info())
        probe.mask_pub.publish(mask_to_image(half, image.header))
        probe.ignore_pub.publish(mask_to_image(1.0 - 0.5 * half, image.header))
        probe.image_pub.publish(image)

    expected = resets + 0.5 * 0.5 + 0.25 * 0.75
    probe.until(lambda: abs(probe.last_status().residual - expected) < 2e-3, each=send)


def test_unusable_parameter_ends_it_with_one_line(start_node):
    node = start_node(SCRIPT, "--ros-args", "-p", "overlay_opacity:=1.5", "-r", "__node:=other")
    assert node.process.wait(timeout=20) == 2
    lines = [line for line in node.output().splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and "overlay_opacity" in lines[0] and "1.5" in lines[0]
    assert "Traceback" not in node.output()


def test_a_node_that_still_loads_ends_when_told(start_node):
    process = start_node(
        str(Path(__file__).parent / "slow_loader.py"), "--ros-args", "-p", "robot:=x"
    )
    end = time.monotonic() + 60.0
    while "loading" not in process.output() and time.monotonic() < end:
        time.sleep(0.05)
    begin = time.monotonic()
    assert process.stop() == 0, process.output()
    assert time.monotonic() - begin < 5.0  # after which `ros2 launch` becomes impatient
