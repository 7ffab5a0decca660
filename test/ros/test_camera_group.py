"""Frames of several cameras: which belong together, and who is waited for."""

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from drrobot_ros.ros.camera_board import CameraBoard
from drrobot_ros.ros.camera_group import CameraGroup
from drrobot_ros.ros.conversions import ns_to_stamp, stamp_to_ns
from drrobot_ros.ros.synchronizer import Frame

MS = 1_000_000


class Rig:
    def __init__(self, names="ab", tolerance_ms=10):
        self.out = []
        self.group = CameraGroup(self._keep, names, tolerance_ms * MS)

    def _keep(self, frames):
        stamps = {n: stamp_to_ns(f.image.header.stamp) // MS for n, f in frames.items()}
        self.out.append(stamps)

    def add(self, name, ms):
        image = Image(header=Header(stamp=ns_to_stamp(ms * MS)))
        self.group.add(name, Frame(image, None, {}))


def test_together_in_the_order_of_the_cameras():
    rig = Rig()
    rig.add("b", 1000)  # nobody else is alive yet
    rig.add("b", 1033)
    rig.add("a", 1036)
    assert rig.out == [{"b": 1000}, {"b": 1033}]
    rig.add("b", 1066)  # now a is waited for ... and its frame of before was not near
    rig.add("a", 1068)
    rig.add("b", 1099)
    rig.add("a", 1101)
    assert rig.out[-2:] == [{"a": 1068, "b": 1066}, {"a": 1101, "b": 1099}]
    assert list(rig.out[-1]) == ["a", "b"]


def test_half_the_rate():
    rig = Rig()
    for k in range(20):
        rig.add("a", 1000 + 33 * k)
        if k % 2 == 0:
            rig.add("b", 1001 + 33 * k)
    assert {"a": 1264, "b": 1265} in rig.out
    assert {"a": 1297} in rig.out
    assert sum(len(moment) for moment in rig.out) >= 28  # each frame once, but the last


def test_a_dark_camera_is_not_waited_for():
    rig = Rig()
    rig.add("a", 1000)
    rig.add("b", 1000)
    for k in range(1, 30):
        rig.add("a", 1000 + 33 * k)
    assert rig.out[-1] == {"a": 1000 + 33 * 29}  # at once
    rig.add("b", 1000 + 33 * 29 + 5)
    rig.add("a", 1000 + 33 * 30)
    rig.add("b", 1000 + 33 * 30 + 5)
    assert set(rig.out[-1]) == {"a", "b"}


def test_a_clock_that_jumps_back():
    rig = Rig()
    for ms in (5000, 5033, 100, 133):
        rig.add("a", ms)
        rig.add("b", ms)
    assert rig.out[-1] == {"a": 133, "b": 133}


def test_board_tells_dark_from_never_seen(monkeypatch):
    from drrobot_ros.ros import camera_board as module

    now = [10.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    board = CameraBoard(["front", "side", "top"])
    assert board.dark(1.0) == {}
    for name in ("front", "side"):
        board.received(name, f"{name}_optical")
    board.looked_at(["front"], {"side": "image is 64x48, but ..."})
    states = {m.name: m.state for m in board.messages()}
    assert states == {"front": 1, "side": 3, "top": 0}
    now[0] += 2.0
    board.received("front", "front_optical")
    said = board.dark(1.0)
    assert said["side"] == "no image for 2.0 s; going on with front"
    assert said["top"] == "no image yet for 2.0 s; going on with front"
    by_name = {m.name: m for m in board.messages()}
    assert (by_name["side"].state, by_name["side"].frame_id) == (2, "side_optical")
    assert by_name["side"].age_s == 2.0 and by_name["top"].age_s != by_name["top"].age_s
    now[0] += 2.0
    assert board.dark(1.0) == {}  # all are: the node is stale, and says that
