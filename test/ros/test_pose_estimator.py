"""The pose estimator over real DDS: what it publishes, when, and with which stamps and frames."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from fake_library import GOOD_URDF
from probe import HEIGHT, WIDTH, Probe
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.ros import tf
from drrobot_ros.ros.conversions import (
    matrix_from_numbers,
    matrix_from_pose,
    matrix_from_transform,
    stamp_to_ns,
)
from drrobot_ros.ros.images import image_to_rgb

SCRIPT = str(Path(__file__).with_name("fake_library.py"))
START = [2.0, 0.1, 0.5, -1.6, 0.05, 1.5]
T_START = matrix_from_numbers(START)


@pytest.fixture(scope="module")
def process(start_node):
    return start_node(
        SCRIPT,
        "--ros-args",
        "-p",
        f"initial_camera_pose:={START}",
        "-p",
        "initial_joint_positions:=[0.5, 1.0]",
        "-p",
        "tracker.dellay_s:=1.0",
    )


@pytest.fixture(scope="module")
def probe(process):
    probe = Probe()
    probe.description_pub.publish(String(data=GOOD_URDF))
    probe.until(probe.last_status, timeout_s=20.0)
    yield probe
    probe.close()
    assert process.stop() == 0


@pytest.fixture(autouse=True)
def tracking(probe):
    probe.tracking()
    probe.clear()


def send_one(probe, names=("status", "joints", "pose", "tf")):
    """Send one image and return what came of it."""
    image = probe.send()

    def all_came():
        found = {}
        for name in names:
            for message in probe.received[name]:
                header = message.transforms[0].header if name == "tf" else message.header
                if header.stamp == image.header.stamp:
                    found[name] = message
        return found if len(found) == len(names) else None

    return image, probe.until(all_came)


def test_misspelt_parameter_is_named(process):
    assert "'tracker.dellay_s' is not known" in process.output()
    assert "did you mean tracker.delay_s" in process.output()


def test_stamps_frames_and_values(probe):
    probe.reset()
    _, found = send_one(probe)
    joints, pose, status = found["joints"], found["pose"], found["status"]
    transform = found["tf"].transforms[0]
    assert joints.header.frame_id == pose.header.frame_id == "base"
    assert list(joints.name) == list(status.joint_names) == ["shoulder", "elbow"]
    # From the initial positions; the fake tracker adds 0.01.
    assert list(joints.position) == pytest.approx([0.51, 1.01])
    assert list(status.position) == pytest.approx([0.51, 1.01])
    np.testing.assert_allclose(matrix_from_pose(pose.pose.pose), T_START, atol=1e-9)
    np.testing.assert_allclose(np.diag(np.reshape(pose.pose.covariance, (6, 6))), 1e-4)
    assert (transform.header.frame_id, transform.child_frame_id) == ("base", "optical")
    np.testing.assert_allclose(matrix_from_transform(transform.transform), T_START, atol=1e-9)
    assert (status.state, status.reason) == (EstimatorStatus.TRACKING, "")
    assert status.header.frame_id == "optical"
    assert (status.iterations, status.stop_reason) == (3, "converged")
    assert 0.0 < status.latency_s < 0.5
    assert 0.0 <= status.solve_time_s < status.latency_s
    expected = status.frames_dropped + status.frames_rejected
    assert status.frames_received > expected


def test_reset_starts_from_the_initial_values(probe):
    for _ in range(3):
        _, found = send_one(probe)
    assert found["joints"].position[0] > 0.525
    answer = probe.reset()
    assert answer.success and "initial values" in answer.message
    _, found = send_one(probe)
    assert found["joints"].position[0] == pytest.approx(0.51)


def test_encoders_are_taken_at_the_stamp_of_the_image(probe):
    start_ns = probe.node.get_clock().now().nanoseconds
    for ms, value in ((-20, 0.0), (20, 0.4)):
        probe.stamp_ns = start_ns + ms * 1_000_000
        probe.joints_pub.publish(probe.joints(["elbow", "shoulder"], [-value, value]))
    probe.spin(0.1)
    image = probe.image()
    image.header.stamp = Header().stamp
    image.header.stamp.sec, image.header.stamp.nanosec = divmod(start_ns, 10**9)
    probe.info_pub.publish(probe.info())
    probe.image_pub.publish(image)
    joints = probe.until(
        lambda: [m for m in probe.received["joints"] if stamp_to_ns(m.header.stamp) == start_ns]
    )[0]
    assert list(joints.position) == pytest.approx([0.2, -0.2], abs=1e-5)  # stamps as floats


def test_overlay(probe):
    # Nobody looks: nothing is rendered. Then somebody does.
    subscription = probe.watch("overlay", Image, "pose_estimator/overlay")
    sent = {}

    def send():
        image = probe.send(brightness=60)
        sent[stamp_to_ns(image.header.stamp)] = image

    assert probe.set(overlay_opacity=0.5, overlay_rate_hz=1000.0)[0].successful
    overlay = probe.until(lambda: probe.received["overlay"], each=send)[-1]
    assert stamp_to_ns(overlay.header.stamp) in sent
    assert overlay.header.frame_id == "optical"
    pixels = image_to_rgb(overlay)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    # The fake robot is red and covers the left half; drawn as everywhere else, with its contour.
    half = WIDTH // 2
    np.testing.assert_array_equal(pixels[:, : half - 3], np.full((HEIGHT, 29, 3), [158, 30, 30]))
    np.testing.assert_array_equal(pixels[:, half + 3 :], 60)
    alpha = np.repeat((np.arange(WIDTH) < half)[None].astype(np.float32), HEIGHT, axis=0)
    red = alpha[..., None] * [1.0, 0.0, 0.0]
    expected = overlay_image(np.full((HEIGHT, WIDTH, 3), 60, np.uint8), red, alpha, 0.5)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels[0, half - 1, 1] > 50
    # Not oftener than asked for.
    probe.set(overlay_rate_hz=4.0)
    probe.spin(0.3)
    probe.received["overlay"].clear()
    first = probe.node.get_clock().now().nanoseconds
    probe.until(lambda: probe.node.get_clock().now().nanoseconds - first > 1e9, each=send)
    assert 3 <= len(probe.received["overlay"]) <= 5
    probe.node.destroy_subscription(subscription)
    del probe.received["overlay"]


def test_parameters_change_while_it_runs(probe):
    accepted, rejected, wrong = (
        probe.set(tracker__mode="b")[0],
        probe.set(tracker__mode="c")[0],
        probe.set(initial_camera_pose=[1.0])[0],
    )
    assert accepted.successful
    assert not rejected.successful and "valid: a, b" in rejected.reason
    assert not wrong.successful and "7 numbers" in wrong.reason
    read_only = probe.set(robot="other")[0]
    assert not read_only.successful and "read-only" in read_only.reason
    assert probe.set(publish_tf=False)[0].successful
    probe.clear()
    send_one(probe, ("status", "joints", "pose"))
    probe.spin(0.2)
    assert not probe.received["tf"]
    assert probe.set(publish_tf=True)[0].successful
    send_one(probe)


def test_wrong_number_of_initial_positions_is_said_and_mended(probe):
    assert probe.set(initial_joint_positions=[0.5])[0].successful
    probe.reset()
    fault = probe.until(
        lambda: probe.fault("start", "has 1 numbers, the model has 2"), each=probe.send
    )
    assert "shoulder, elbow" in fault.message
    probe.set(initial_joint_positions=[0.5, 1.0])
    probe.tracking()


def test_slow_solver_drops_frames_and_does_not_queue(probe):
    delay = 0.15
    before = probe.tracking()
    assert probe.set(tracker__delay_s=delay)[0].successful
    probe.spin(0.3)
    probe.clear()
    start = probe.node.get_clock().now().nanoseconds
    probe.until(
        lambda: probe.node.get_clock().now().nanoseconds - start > 2e9,
        each=probe.send,
        period_s=1 / 60,
    )
    statuses = list(probe.received["status"])
    probe.set(tracker__delay_s=0.0)
    latencies = [s.latency_s for s in statuses[1:]]
    assert len(latencies) > 8
    # Below two solver periods: the frame being solved when an image comes, and its own. A queue
    # would make it longer and longer.
    assert np.median(latencies) < 2 * delay
    assert max(latencies) < 3 * delay
    last = statuses[-1]
    assert last.frames_dropped - before.frames_dropped > 50
    assert last.rate_hz == pytest.approx(1 / delay, rel=0.4)
    stamps = [stamp_to_ns(s.header.stamp) for s in statuses]
    assert stamps == sorted(stamps)


def test_camera_pose_goes_through_the_drivers_frames(probe):
    """The driver owns camera_link -> optical, so base -> camera_link is what is published."""
    T_link_optical = matrix_from_numbers([0.02, 0.03, 0.0, -np.pi / 2, 0.0, -np.pi / 2])
    driver = tf.stamped("camera_link", "optical", T_link_optical, probe.header())
    probe.tf_static_pub.publish(TFMessage(transforms=[driver]))
    probe.spin(0.3)
    probe.clear()
    _, found = send_one(probe)
    transform = found["tf"].transforms[0]
    assert (transform.header.frame_id, transform.child_frame_id) == ("base", "camera_link")
    T = matrix_from_transform(transform.transform) @ T_link_optical
    np.testing.assert_allclose(T, T_START, atol=1e-9)
    # The pose topic is still the optical frame's.
    np.testing.assert_allclose(matrix_from_pose(found["pose"].pose.pose), T_START, atol=1e-9)


def test_tf_of_somebody_else_is_left_alone_and_gives_the_start(probe):
    """Runs last: what is latched on /tf_static stays."""
    T = matrix_from_numbers([-2.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    theirs = tf.stamped("world", "camera_link", T, probe.header())
    base = tf.stamped("world", "base", np.eye(4), probe.header())
    probe.tf_static_pub.publish(TFMessage(transforms=[theirs, base]))
    probe.spin(0.3)
    probe.clear()
    send_one(probe, ("status", "joints", "pose"))
    probe.until(lambda: probe.fault("tf", "connects 'base' with 'optical' already"))
    assert not [m for m in probe.received["tf"] if m.transforms[0].header.frame_id == "base"]
    assert probe.set(initial_camera_pose=[])[0].successful
    probe.reset()
    _, found = send_one(probe, ("status", "pose"))
    assert matrix_from_pose(found["pose"].pose.pose)[0, 3] == pytest.approx(-1.98)
    # What tf says and what is published agree now: nothing is wrong.
    probe.until(lambda: probe.fault("tf", "ok"), each=probe.send)
