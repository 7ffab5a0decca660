"""The pipeline without a node: starts, rectification, configuration."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")

import rclpy
from fake_library import GOOD_URDF, LIBRARY, FakeConfig
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.ros import pipeline as module
from drrobot_ros.ros.conversions import info_from_camera, ns_to_stamp
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.images import rgb_to_image
from drrobot_ros.ros.pipeline import FrameError, NotReadyError, Pipeline
from drrobot_ros.ros.settings import PoseEstimatorSettings
from drrobot_ros.ros.synchronizer import Frame

CAMERA = PinholeCamera.from_fov(64, 48, 0.8)
POSE = (1.0, 0.0, 0.5, 0.0, 0.0, 0.0)


class Bench:
    """A pipeline with a robot, and what it was told."""

    def __init__(self, node, rectified=True, T_tf=None, **settings) -> None:
        self.settings = PoseEstimatorSettings(**settings)
        self.config = FakeConfig()
        self.diagnostics = Diagnostics(node)
        self.ms = 1000
        self.pipeline = Pipeline(
            library=LIBRARY,
            settings=lambda: self.settings,
            config=lambda: self.config,
            diagnostics=self.diagnostics,
            camera_from_tf=lambda base, optical: T_tf,
            rectified=rectified,
        )
        self.pipeline.load(GOOD_URDF)

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
        b.pipeline.process(b.frame())
    b.settings = PoseEstimatorSettings(initial_camera_pose=POSE)
    outcome = b.pipeline.process(b.frame())
    assert outcome.estimate.T_base_camera[0, 3] == 1.0
    assert outcome.camera.width == 64


def test_start_from_tf(bench):
    T = np.eye(4)
    T[0, 3] = 3.0
    assert bench(T_tf=T).pipeline is not None
    b = bench(T_tf=T)
    assert b.pipeline.process(b.frame()).estimate.T_base_camera[0, 3] == 3.0


def test_start_waits_for_joint_states_that_somebody_publishes(bench, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    b = bench(initial_camera_pose=POSE)
    b.pipeline.expect_joint_states = lambda: True
    with pytest.raises(NotReadyError, match="waiting for the first joint_states") as error:
        b.pipeline.process(b.frame())
    assert not error.value.fault
    state = JointState(name=["elbow"], position=[0.7])
    state.header.stamp = ns_to_stamp((b.ms + 33) * 1_000_000)
    b.pipeline.add_joint_state(state)
    q = b.pipeline.process(b.frame()).estimate.q
    # The elbow as measured; the shoulder from the neutral configuration.
    np.testing.assert_allclose(q, [0.01, 0.7])


def test_start_does_not_wait_for_another_robots_joint_states_for_ever(bench, monkeypatch):
    now = [1.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    b = bench(initial_camera_pose=POSE)
    b.pipeline.expect_joint_states = lambda: True
    with pytest.raises(NotReadyError):
        b.pipeline.process(b.frame())
    now[0] += module.JOINTS_WAIT_S + 0.1
    np.testing.assert_allclose(b.pipeline.process(b.frame()).estimate.q, [0.01, 0.01])


def test_raw_image_of_a_distorting_lens(bench):
    b = bench(rectified=False, initial_camera_pose=POSE)
    k = [50.0, 0, 32, 0, 50, 24, 0, 0, 1]
    outcome = b.pipeline.process(b.frame(d=[0.1, 0, 0, 0, 0], k=k))
    assert outcome.camera.fx == 50.0  # K, not P
    level, message = b.fault("calibration")
    assert level == WARN and "not rectified" in message and "0.1" in message
    straight = bench(rectified=False, initial_camera_pose=POSE)
    straight.pipeline.process(straight.frame())
    assert straight.fault("calibration") is None


def test_calibration_that_changes_is_used(bench):
    b = bench(initial_camera_pose=POSE)
    b.pipeline.process(b.frame())
    other = info_from_camera(PinholeCamera.from_fov(64, 48, 0.4), Header())
    outcome = b.pipeline.process(b.frame(k=other.k, p=other.p))
    assert outcome.camera.fx == pytest.approx(PinholeCamera.from_fov(64, 48, 0.4).fx)


def test_no_stamp_and_the_same_stamp_are_refused(bench):
    b = bench(initial_camera_pose=POSE)
    frame = b.frame()
    b.pipeline.process(frame)
    with pytest.raises(FrameError, match=r"a second image of stamp 1\.033000"):
        b.pipeline.process(frame)
    frame.image.header.stamp = ns_to_stamp(0)
    with pytest.raises(FrameError, match="no stamp"):
        b.pipeline.process(frame)


def test_configuration_reaches_the_tracker(bench):
    b = bench(initial_camera_pose=POSE)
    b.pipeline.process(b.frame())
    b.config = FakeConfig(mode="b")
    b.pipeline.process(b.frame())
    assert b.pipeline._tracker.config.mode == "b"
