"""The pipeline without a node: starts, rectification, configuration."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

import rclpy
from fake_library import GOOD_URDF, LIBRARY, FakeConfig
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.ros import joint_input
from drrobot_ros.ros import pipeline as module
from drrobot_ros.ros.camera_reader import CameraReader
from drrobot_ros.ros.conversions import info_from_camera, matrix_from_numbers, ns_to_stamp
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.frame_errors import FrameError, NotReadyError
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.ros.pipeline import Pipeline
from drrobot_ros.ros.settings import CameraSettings, PoseEstimatorSettings
from drrobot_ros.ros.synchronizer import Frame

CAMERA = PinholeCamera.from_fov(64, 48, 0.8)
POSE = (2.0, 0.0, 0.5, -np.pi / 2, 0.0, np.pi / 2)


class Bench:
    """A pipeline with a robot, and what it was told."""

    def __init__(self, node, rectified=True, T_tf=None, cameras=None, **settings) -> None:
        start = settings.pop("initial_camera_pose", ())
        self.settings = PoseEstimatorSettings(**settings)
        self.cameras = cameras or {"": CameraSettings(initial_camera_pose=start)}
        self.config = FakeConfig()
        self.diagnostics = Diagnostics(node)
        self.ms = 1000
        self.pipeline = Pipeline(
            library=LIBRARY,
            settings=lambda: self.settings,
            config=lambda: self.config,
            diagnostics=self.diagnostics,
            camera_from_tf=lambda base, optical: T_tf,
            readers=[
                CameraReader(n, lambda n=n: self.cameras[n], self.diagnostics, rectified=rectified)
                for n in self.cameras
            ],
        )
        self.pipeline.load(GOOD_URDF)

    def process(self, frame, name=""):
        return self.pipeline.process({name: frame})

    def T(self, outcome, name=""):
        return outcome.estimate.cameras[name].T

    def frame(self, **info_changes):
        self.ms += 33
        header = Header(stamp=ns_to_stamp(self.ms * 1_000_000), frame_id="optical")
        info = info_from_camera(CAMERA, header)
        for name, value in info_changes.items():
            setattr(info, name, value)
        return Frame(rgb_to_image(np.full((48, 64, 3), 50, np.uint8), header), info, {})

    def fault(self, topic):
        entry = self.diagnostics._topics.get(topic)
        return (entry.level, entry.message) if entry else None


@pytest.fixture
def bench(ros):
    node = rclpy.create_node("bench")
    yield lambda **arguments: Bench(node, **arguments)
    node.destroy_node()


def test_start_needs_a_camera_pose(bench):
    b = bench()
    with pytest.raises(NotReadyError, match=r"set initial_camera_pose, or connect 'base' with"):
        b.process(b.frame())
    b.cameras[""] = CameraSettings(initial_camera_pose=POSE)
    outcome = b.process(b.frame())
    assert b.T(outcome)[0, 3] == 2.0
    assert outcome.pictures[0].camera.width == 64


def test_start_from_tf(bench):
    T = matrix_from_numbers(POSE)
    T[0, 3] = 3.0
    assert bench(T_tf=T).pipeline is not None
    b = bench(T_tf=T)
    assert b.T(b.process(b.frame()))[0, 3] == 3.0


def test_start_waits_for_joint_states_that_somebody_publishes(bench, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    b = bench(initial_camera_pose=POSE)
    b.pipeline.expect_joint_states = lambda: True
    with pytest.raises(NotReadyError, match="waiting for the first joint_states") as error:
        b.process(b.frame())
    assert not error.value.fault
    state = JointState(name=["elbow"], position=[0.7])
    state.header.stamp = ns_to_stamp((b.ms + 33) * 1_000_000)
    b.pipeline.add_joint_state(state)
    q = b.process(b.frame()).estimate.q
    # The elbow as measured; the shoulder from the neutral configuration.
    np.testing.assert_allclose(q, [0.01, 0.7])


def test_start_does_not_wait_for_another_robots_joint_states_for_ever(bench, monkeypatch):
    now = [1.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    b = bench(initial_camera_pose=POSE)
    b.pipeline.expect_joint_states = lambda: True
    with pytest.raises(NotReadyError):
        b.process(b.frame())
    now[0] += module.JOINTS_WAIT_S + 0.1
    np.testing.assert_allclose(b.process(b.frame()).estimate.q, [0.01, 0.01])


def test_raw_image_of_a_distorting_lens_is_rectified(bench):
    b = bench(rectified=False, initial_camera_pose=POSE)
    k = [50.0, 0, 32, 0, 50, 24, 0, 0, 1]
    picture = b.process(b.frame(d=[-0.3, 0, 0, 0, 0], k=k)).pictures[0]
    assert picture.camera.fx == 50.0  # K, not P
    assert picture.view.camera.width > 64
    # A raw image shows more than the rectified one of the same intrinsics: here all is covered.
    assert picture.raw[0, 0, 0] == picture.image[24, 32, 0] == 50
    picture = b.process(b.frame(d=[0.5, 0, 0, 0, 0], k=k)).pictures[0]
    # Beyond the raw image's edge nothing is known, and it is not looked at.
    assert picture.image[0, 0, 0] == 0 and picture.planes["ignore_mask"][0, 0] == 1
    assert picture.planes["ignore_mask"][24, 32] == 0
    # The same camera, rectified by a driver.
    b = bench(initial_camera_pose=POSE)
    picture = b.process(b.frame(d=[0.5, 0, 0, 0, 0], k=k)).pictures[0]
    assert picture.image is picture.raw and "ignore_mask" not in picture.planes


def test_wrong_distortion_is_refused_and_the_calibration_before_kept(bench):
    b = bench(rectified=False, initial_camera_pose=POSE)
    with pytest.raises(FrameError, match=r"unknown distortion model 'squint'.*plumb_bob"):
        b.process(b.frame(distortion_model="squint"))
    with pytest.raises(FrameError, match="8 or 12 or 14 coefficients, got 3"):
        b.process(b.frame(distortion_model="rational_polynomial", d=[0.1, 0.2, 0.3]))
    assert b.process(b.frame()).estimate is not None


def test_robot_behind_or_beside_the_camera_is_refused(bench):
    b = bench(initial_camera_pose=(2.0, 0.0, 0.5, -np.pi / 2, 0.0, -np.pi / 2))
    with pytest.raises(NotReadyError, match="whole robot is behind the camera") as error:
        b.process(b.frame())
    assert error.value.fault and "optical frame" in str(error.value)
    b.cameras[""] = CameraSettings(initial_camera_pose=(2.0, 9.0, 0.5, -np.pi / 2, 0, np.pi / 2))
    with pytest.raises(NotReadyError, match="none of the robot is in the image"):
        b.process(b.frame())
    b.cameras[""] = CameraSettings(initial_camera_pose=POSE)
    assert b.process(b.frame()).estimate.q[0] == pytest.approx(0.01)


def test_joint_states_of_another_robot_only_are_a_fault(bench, monkeypatch):
    now = [1.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    b = bench(initial_camera_pose=POSE)
    other = JointState(name=["left_knee"], position=[0.7])
    b.pipeline.add_joint_state(other)
    now[0] += 0.5 * joint_input.FOREIGN_AFTER_S
    b.pipeline.add_joint_state(other)
    assert b.fault("joint_states") is None
    now[0] += joint_input.FOREIGN_AFTER_S
    b.pipeline.add_joint_state(other)
    level, message = b.fault("joint_states")
    assert level == WARN and "left_knee" in message and "shoulder, elbow" in message


def test_time_offset_of_a_camera(bench):
    b = bench(cameras={"": CameraSettings(initial_camera_pose=POSE, time_offset_s=0.05)})
    for ms, position in ((0, 0.0), (100, 1.0)):
        state = JointState(name=["shoulder", "elbow"], position=[position, position])
        state.header.stamp = ns_to_stamp((b.ms + 33 + ms) * 1_000_000)
        b.pipeline.add_joint_state(state)
    np.testing.assert_allclose(b.process(b.frame()).estimate.q, [0.5, 0.5], atol=1e-6)


TWO = {
    "front": CameraSettings(initial_camera_pose=POSE),
    "hand": CameraSettings(
        initial_camera_pose=(0.0, 0.0, 0.1, 0.0, 0.0, 0.0), camera_link="lower", estimate_pose="no"
    ),
}


def test_cameras_side_by_side(bench):
    b = bench(cameras=TWO)
    mounts = b.pipeline._tracker.mounts
    assert (mounts["front"].link, mounts["front"].estimate) == (None, None)
    assert (mounts["hand"].link, mounts["hand"].estimate) == ("lower", False)
    frame = b.frame()
    outcome = b.pipeline.process({"hand": frame, "front": frame})
    assert [p.name for p in outcome.pictures] == ["front", "hand"]
    assert b.T(outcome, "hand")[2, 3] == pytest.approx(0.1)
    assert (b.pipeline.parent_frame("front"), b.pipeline.parent_frame("hand")) == ("base", "lower")
    # One goes dark: the other is enough.
    assert [p.name for p in b.process(b.frame(), "hand").pictures] == ["hand"]


def test_a_camera_that_cannot_be_used_is_left_out(bench):
    b = bench(cameras=TWO)
    wrong = b.frame(width=128, height=96)
    outcome = b.pipeline.process({"front": wrong, "hand": b.frame()})
    assert [p.name for p in outcome.pictures] == ["hand"]
    assert "camera_info says 128x96" in outcome.refused["front"]
    level, message = b.fault("front/camera_info")
    assert level == WARN and "going on without this camera" in message
    resets = b.pipeline._tracker.resets
    # It comes later, and is given its place without disturbing the other.
    outcome = b.pipeline.process({"front": b.frame(), "hand": b.frame()})
    assert [p.name for p in outcome.pictures] == ["front", "hand"]
    assert b.pipeline._tracker.resets == resets
    with pytest.raises(FrameError, match="128x96") as error:
        b.process(b.frame(width=128, height=96), "front")
    assert error.value.topic == "front/camera_info"


def test_unknown_camera_link_is_named(bench):
    with pytest.raises(InputError, match=r"unknown link 'wrist'.*lower"):
        bench(cameras={"": CameraSettings(camera_link="wrist")})


def test_calibration_that_changes_is_used(bench):
    b = bench(initial_camera_pose=POSE)
    b.process(b.frame())
    other = info_from_camera(PinholeCamera.from_fov(64, 48, 0.4), Header())
    outcome = b.process(b.frame(k=other.k, p=other.p))
    assert outcome.pictures[0].camera.fx == pytest.approx(PinholeCamera.from_fov(64, 48, 0.4).fx)


def test_no_stamp_and_the_same_stamp_are_refused(bench):
    b = bench(initial_camera_pose=POSE)
    frame = b.frame()
    b.process(frame)
    with pytest.raises(FrameError, match=r"a second image of stamp 1\.033000"):
        b.process(frame)
    frame.image.header.stamp = ns_to_stamp(0)
    with pytest.raises(FrameError, match="no stamp"):
        b.process(frame)


def test_configuration_reaches_the_tracker(bench):
    b = bench(initial_camera_pose=POSE)
    b.process(b.frame())
    b.config = FakeConfig(mode="b")
    b.process(b.frame())
    assert b.pipeline._tracker.config.mode == "b"
