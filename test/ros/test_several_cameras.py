"""Two cameras over real DDS, one carried by the arm: pictures, poses, tf, and one going dark."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_library import GOOD_URDF, LOST
from geometry_msgs.msg import PoseWithCovarianceStamped
from probe import CAMERA, HEIGHT, WIDTH, Probe
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from drrobot_msgs.msg import CameraStatus, EstimatorStatus
from drrobot_ros.ros import qos
from drrobot_ros.ros.conversions import info_from_camera, matrix_from_pose, matrix_from_transform
from drrobot_ros.ros.images import depth_to_image, image_to_depth, image_to_mask, rgb_to_image

SCRIPT = str(Path(__file__).with_name("fake_library.py"))
PARAMETERS = {
    "cameras": "[front, hand]",
    "initial_joint_positions": "[0.5, 1.0]",
    "stale_timeout_s": 1.2,
    "subscribe_depth": "true",
    "filter_margin_px": 0,
    "front.initial_camera_pose": "[2.0, 0.1, 0.5, -1.6, 0.05, 1.5]",
    "front.image_rectified": "no",
    "hand.camera_link": "lower",
    "hand.initial_camera_pose": "[0.0, 0.0, 0.1, 0.0, 0.0, 0.0]",
    "hand.subscribe_depth": "false",
}
PICTURES = ("robot_mask", "robot_depth", "depth_without_robot", "overlay")


class TwoCameras(Probe):
    """Publishes the images of two cameras; the front one has a lens that distorts."""

    def __init__(self) -> None:
        super().__init__()
        node = self.node
        self.pubs = {}
        for name in ("front", "hand"):
            self.pubs[name] = (
                node.create_publisher(CameraInfo, f"{name}/camera_info", qos.OUTPUT),
                node.create_publisher(Image, f"{name}/image", qos.OUTPUT),
                node.create_publisher(Image, f"{name}/depth", qos.OUTPUT),
            )
            topic = f"pose_estimator/{name}/camera_pose"
            self.watch(f"{name} pose", PoseWithCovarianceStamped, topic)
        self.dark: set[str] = set()
        self.brightness = 50
        self.frame = 0

    def states(self) -> list[int]:
        """Return the state of each camera."""
        last = self.last_status()
        return [camera.state for camera in last.cameras] if last else []

    def send(self, brightness: int | None = None) -> None:
        brightness = self.brightness if brightness is None else brightness
        self.stamp_ns = max(self.node.get_clock().now().nanoseconds, self.stamp_ns + 1)
        for name, (info_pub, image_pub, depth_pub) in self.pubs.items():
            if name in self.dark:
                continue
            header = self.header(f"{name}_optical")
            info = info_from_camera(CAMERA, header)
            if name == "front":
                info.d = [-0.2, 0.0, 0.0, 0.0, 0.0]
                depth_pub.publish(depth_to_image(scene_depth(), header))
            info_pub.publish(info)
            image_pub.publish(
                rgb_to_image(np.full((HEIGHT, WIDTH, 3), brightness, np.uint8), header)
            )


def scene_depth():
    """The robot 2 m away in the left half, a wall behind, a hand before the robot."""
    depth = np.full((HEIGHT, WIDTH), 3.0, np.float32)
    depth[:, : WIDTH // 2] = 2.01
    depth[10:20, 5:15] = 1.2
    return depth


@pytest.fixture(scope="module")
def process(start_node):
    words = [word for k, v in PARAMETERS.items() for word in ("-p", f"{k}:={v}")]
    return start_node(SCRIPT, "--ros-args", *words)


@pytest.fixture(scope="module")
def probe(process):
    probe = TwoCameras()
    probe.description_pub.publish(String(data=GOOD_URDF))
    probe.until(probe.last_status, timeout_s=30.0)
    yield probe
    probe.close()
    assert process.stop() == 0


@pytest.fixture(autouse=True)
def tracking(probe):
    probe.dark.clear()
    probe.brightness = 50
    probe.until(lambda: probe.states() == [CameraStatus.USED] * 2, each=probe.send, timeout_s=20.0)
    probe.clear()


def test_poses_and_tf_of_both(probe):
    got = probe.received
    probe.until(lambda: got["front pose"] and got["hand pose"] and got["tf"], each=probe.send)
    front, hand = got["front pose"][-1], got["hand pose"][-1]
    assert (front.header.frame_id, hand.header.frame_id) == ("base", "lower")
    assert matrix_from_pose(hand.pose.pose)[2, 3] == pytest.approx(0.1)
    probe.until(
        lambda: (
            {m.transforms[0].child_frame_id for m in got["tf"]} >= {"front_optical", "hand_optical"}
        ),
        each=probe.send,
    )
    by_child = {m.transforms[0].child_frame_id: m.transforms[0] for m in got["tf"]}
    assert by_child["front_optical"].header.frame_id == "base"
    assert by_child["hand_optical"].header.frame_id == "lower"
    T = matrix_from_transform(by_child["front_optical"].transform)
    np.testing.assert_allclose(T, matrix_from_pose(front.pose.pose), atol=1e-9)


def test_self_filter(probe):
    """In the geometry of the raw image, with its stamp; nothing while nobody believes it."""
    watched = [probe.watch(n, Image, f"pose_estimator/front/{n}") for n in PICTURES]

    def of_one_stamp():
        for mask in probe.received["robot_mask"]:
            found = {
                name: m
                for name in PICTURES
                for m in probe.received[name]
                if m.header.stamp == mask.header.stamp
            }
            if len(found) == len(PICTURES):
                return found
        return None

    probe.set(overlay_rate_hz=1000.0)
    found = probe.until(of_one_stamp, each=probe.send)
    assert {m.header.frame_id for m in found.values()} == {"front_optical"}
    mask, robot = image_to_mask(found["robot_mask"]), image_to_depth(found["robot_depth"])
    half = WIDTH // 2
    assert mask.shape == (HEIGHT, WIDTH)
    # To the very edge, though a rectified image of the same intrinsics would not reach it.
    assert (mask[:, : half - 1] == 1).all() and (mask[:, half + 1 :] == 0).all()
    np.testing.assert_allclose(robot[:, : half - 1], 2.0)
    assert np.isnan(robot[:, half + 1 :]).all()
    left = found["depth_without_robot"]
    depth = image_to_depth(left)
    assert left.encoding == "32FC1"
    np.testing.assert_allclose(depth[10:20, 5:15], 1.2)  # what is before the robot
    assert (depth[:, half + 1 :] == 3.0).all()
    depth[10:20, 5:15] = np.nan
    assert np.isnan(depth[:, : half - 1]).all()
    # An estimate that is not believed takes nothing out.
    probe.brightness = LOST
    probe.until(lambda: probe.last_status().state == EstimatorStatus.LOST, each=probe.send)
    probe.spin(0.2)
    probe.clear()
    probe.until(lambda: len(probe.received["overlay"]) > 2, each=probe.send)
    assert [len(probe.received[n]) for n in PICTURES[:3]] == [0, 0, 0]
    for subscription in watched:
        probe.node.destroy_subscription(subscription)
    for name in PICTURES:
        del probe.received[name]


def test_one_camera_goes_dark_and_the_other_goes_on(probe, process):
    probe.dark.add("front")
    fault = probe.until(
        lambda: probe.fault("front/image", "going on with hand", DiagnosticStatus.WARN),
        each=probe.send,
    )
    assert "no image for" in fault.message
    status = probe.last_status()
    assert status.state == EstimatorStatus.TRACKING
    front, hand = status.cameras
    assert (front.name, front.state, hand.state) == ("front", CameraStatus.DARK, CameraStatus.USED)
    assert "going on with hand" in front.reason and front.age_s > 1.0
    probe.clear()
    probe.until(lambda: len(probe.received["hand pose"]) > 5, each=probe.send)
    assert probe.received["joints"] and not probe.received["front pose"]
    summary = probe.until(lambda: probe.summary("camera front"), each=probe.send)
    assert summary.level == DiagnosticStatus.WARN
    # Both dark: stale. Then both come back.
    probe.dark.add("hand")
    probe.until(lambda: probe.last_status().state == EstimatorStatus.STALE)
    probe.dark.clear()
    probe.until(lambda: len(probe.received["front pose"]) > 2, each=probe.send)
    assert "front/image: no image for" in process.output()


def test_a_camera_of_another_resolution_is_left_out(probe):
    def send():
        probe.dark.add("front")
        probe.send()
        header = probe.header("front_optical")
        info = info_from_camera(CAMERA.resized(128, 96), header)
        probe.pubs["front"][0].publish(info)
        image = rgb_to_image(np.full((HEIGHT, WIDTH, 3), 50, np.uint8), header)
        probe.pubs["front"][1].publish(image)

    words = "going on without this camera"
    fault = probe.until(lambda: probe.fault("front/camera_info", words), each=send)
    assert "128x96" in fault.message
    probe.until(
        lambda: (
            [c.state for c in probe.last_status().cameras]
            == [CameraStatus.REFUSED, CameraStatus.USED]
        ),
        each=send,
    )


def test_what_is_not_observable_is_said(probe):
    probe.until(lambda: probe.last_status() and probe.last_status().unobservable, each=probe.send)
    assert list(probe.last_status().unobservable) == ["elbow does not move any visible pixel"]
    summary = probe.until(lambda: probe.summary("tracking"), each=probe.send)
    values = {pair.key: pair.value for pair in summary.values}
    assert values["not observable"] == "elbow does not move any visible pixel"
    assert values["standard deviation of elbow"] == "0.50000"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (("cameras:=[a, a]",), "different names"),
        (("cameras:=['a/b']",), "cannot be a camera's name"),
        (("cameras:=[a]", "initial_camera_pose:=[1.0,0.0,0.0,0.0,0.0,0.0]"),
         "set a.initial_camera_pose"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_said(start_node, parameters, words):
    given = [word for parameter in parameters for word in ("-p", parameter)]
    node = start_node(SCRIPT, "--ros-args", *given, "-r", "__ns:=/other")
    assert node.process.wait(timeout=40) == 2
    assert words in node.output()
