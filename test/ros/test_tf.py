"""Frames: chains, and where a camera pose may be hung."""

import sys
import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("tf2_msgs", reason="tf2_msgs is not installed")

from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.ros import tf


def pose(seed):
    T = np.eye(4)
    T[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    T[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return T


def table(*edges):
    out = tf.TransformTable()
    for seed, (parent, child) in enumerate(edges):
        out.set(tf.stamped(parent, child, pose(seed), Header()))
    return out


CAMERA = (("camera_link", "color_frame"), ("color_frame", "optical"))


def test_lookup_through_a_common_ancestor():
    t = table(("world", "base"), ("world", "camera_link"), ("camera_link", "optical"))
    expected = np.linalg.inv(pose(0)) @ pose(1) @ pose(2)
    np.testing.assert_allclose(t.lookup("base", "optical"), expected, atol=1e-12)
    np.testing.assert_allclose(t.lookup("optical", "base"), np.linalg.inv(expected), atol=1e-12)
    assert t.lookup("base", "elsewhere") is None
    assert t.parent("optical") == "camera_link"
    assert t.parent("world") is None


def test_static_transforms_are_not_replaced():
    t = table()
    t.set(tf.stamped("camera_link", "optical", pose(0), Header()), static=True)
    t.set(tf.stamped("base", "optical", pose(1), Header()))
    assert t.parent("optical") == "camera_link"


def test_loops_end():
    t = table(("a", "b"), ("b", "a"))
    assert t.lookup("a", "c") is None
    assert t.lookup("a", "b") is not None
    assert tf.camera_attachment(t, "base", "a", None) is not None


def test_nonsense_is_refused():
    t = table()
    with pytest.raises(InputError, match="'x' from 'x'"):
        t.set(tf.stamped("x", "x", np.eye(4), Header()))
    broken = tf.stamped("x", "y", np.eye(4), Header())
    broken.transform.rotation.w = 0.0
    with pytest.raises(InputError, match="rotation"):
        t.set(broken)


def test_camera_hangs_by_the_root_of_its_own_tree():
    child, T = tf.camera_attachment(table(*CAMERA), "base", "optical", None)
    assert child == "camera_link"
    np.testing.assert_allclose(T, pose(0) @ pose(1), atol=1e-12)


def test_camera_without_a_tree_hangs_by_its_optical_frame():
    child, T = tf.camera_attachment(table(), "base", "optical", None)
    assert child == "optical"
    np.testing.assert_array_equal(T, np.eye(4))


@pytest.mark.parametrize(
    "edges",
    [
        [("base", "camera_link")],  # a calibration somebody publishes
        [("base", "wrist"), ("wrist", "camera_link")],  # a camera on the robot
        [("world", "base"), ("world", "camera_link")],  # both in one world
    ],
)
def test_nothing_is_published_where_somebody_else_does(edges):
    assert tf.camera_attachment(table(*CAMERA, *edges), "base", "optical", None) is None


def test_our_own_transform_does_not_count_as_somebody_elses():
    t = table(*CAMERA, ("base", "camera_link"))
    assert tf.camera_attachment(t, "base", "optical", "camera_link")[0] == "camera_link"
    # A driver that comes late takes the optical frame; we move to its root.
    t = table(("base", "optical"))
    assert tf.camera_attachment(t, "base", "optical", "optical")[0] == "optical"
    t = table(("base", "optical"), *CAMERA)
    assert tf.camera_attachment(t, "base", "optical", "optical")[0] == "camera_link"


def test_parents_from_tf2():
    text = (
        "camera_link: \n  parent: 'base'\n  broadcaster: 'default_authority'\n"
        "optical: \n  parent: 'camera_link'\n  rate: 10.000\n"
    )
    assert tf.parents_of_yaml(text) == {"camera_link": "base", "optical": "camera_link"}
    assert tf.parents_of_yaml("[]") == {}


def test_tf2_is_used_where_it_is_installed(monkeypatch):
    fake = types.ModuleType("tf2_ros")
    sent = []

    class TransformException(Exception):  # noqa: N818
        pass

    class Buffer:
        def lookup_transform(self, target, source, time):
            assert time.nanoseconds == 0
            if source == "unknown":
                raise TransformException
            return tf.stamped(target, source, pose(0), Header())

        def all_frames_as_yaml(self):
            return "optical: \n  parent: 'camera_link'\n"

    fake.TransformException, fake.Buffer = TransformException, Buffer
    fake.TransformListener = lambda buffer, node: None
    fake.TransformBroadcaster = lambda node: types.SimpleNamespace(sendTransform=sent.append)
    fake.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "tf2_ros", fake)
    tree = tf.listen(None)
    np.testing.assert_allclose(tree.lookup("base", "optical"), pose(0), atol=1e-12)
    assert tree.lookup("base", "unknown") is None
    assert tree.parent("optical") == "camera_link"
    tf.Broadcaster(None).send("a transform")
    assert sent == ["a transform"]
