"""The newest-item worker and the synchronizer."""

import threading

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

from drrobot_ros.ros.conversions import ns_to_stamp
from drrobot_ros.ros.latest import LatestWorker
from drrobot_ros.ros.synchronizer import Synchronizer


def test_drops_all_but_the_newest():
    started, go, done = threading.Event(), threading.Event(), threading.Event()
    seen = []

    def work(item):
        seen.append(item)
        started.set()
        go.wait(5)
        if item == 9:
            done.set()

    worker = LatestWorker(work, lambda error: None)
    worker.put(0)
    assert started.wait(5)
    for i in range(1, 10):
        worker.put(i)
    go.set()
    assert done.wait(5)
    worker.stop()
    assert seen == [0, 9]
    assert (worker.received, worker.dropped) == (10, 8)


def test_survives_errors_and_does_every_job():
    errors, seen, done = [], [], threading.Event()

    def on_error(error):
        errors.append(str(error))
        if len(errors) == 2:
            raise RuntimeError("even this")

    def work(item):
        if item == "bad":
            raise ValueError(item)
        seen.append(item)
        done.set()

    worker = LatestWorker(work, on_error)
    jobs = threading.Event()
    worker.put("bad")
    worker.run(lambda: seen.append("job 1"))
    worker.run(lambda: 1 / 0)
    worker.run(lambda: (seen.append("job 2"), jobs.set()))
    assert jobs.wait(5)
    worker.put("good")
    assert done.wait(5)
    worker.stop()
    assert [s for s in seen if s.startswith("job")] == ["job 1", "job 2"]
    assert seen[-1] == "good"
    assert "division by zero" in errors


def image(ms, width=64, height=48):
    out = Image(width=width, height=height)
    out.header.stamp = ns_to_stamp(ms * 1_000_000)
    return out


def info(ms, width=64, height=48):
    out = CameraInfo(width=width, height=height)
    out.header.stamp = ns_to_stamp(ms * 1_000_000)
    return out


@pytest.fixture
def frames():
    return []


def test_waits_for_the_first_info(frames):
    sync = Synchronizer(frames.append)
    sync.add_image(image(10))
    assert not frames
    first = info(10)
    sync.add_info(first)
    assert frames[0].info is first
    # After that the last one serves, without waiting.
    sync.add_image(image(20))
    assert len(frames) == 2 and frames[1].info is first
    sync.add_info(info(20))
    assert len(frames) == 2


def test_every_image_comes_out_without_info_too(frames):
    sync = Synchronizer(frames.append)
    sync.add_image(image(10))
    sync.add_image(image(20))
    assert len(frames) == 1 and frames[0].info is None


def test_waits_for_the_info_of_another_size(frames):
    sync = Synchronizer(frames.append)
    sync.add_info(info(10))
    sync.add_image(image(20, 128, 96))
    assert not frames
    matching = info(20, 128, 96)
    sync.add_info(matching)
    assert frames[0].info is matching


def test_info_of_the_stamp_counts_even_if_it_disagrees(frames):
    sync = Synchronizer(frames.append)
    sync.add_info(info(10, 128, 96))
    sync.add_image(image(10))
    assert len(frames) == 1  # for the pipeline to complain about


def test_size_after_binning_and_region(frames):
    sync = Synchronizer(frames.append)
    binned = info(5, 640, 480)
    binned.binning_x = binned.binning_y = 2
    binned.roi = RegionOfInterest(width=128, height=96)
    sync.add_info(binned)
    sync.add_image(image(10))
    assert frames[0].info is binned


def test_waits_for_living_extras_only(frames):
    sync = Synchronizer(frames.append, ["depth"], alive_ns=100_000_000)
    sync.add_info(info(0))
    sync.add_image(image(10))
    assert frames.pop().extras == {}  # no depth has ever come
    depth = image(20)
    sync.add_extra("depth", depth)
    sync.add_image(image(20))
    assert frames.pop().extras == {"depth": depth}
    sync.add_image(image(30))
    assert not frames
    late = image(30)
    sync.add_extra("depth", late)
    assert frames.pop().extras == {"depth": late}
    sync.add_image(image(40))
    sync.add_image(image(50))  # its depth never came
    assert frames.pop().extras == {}
    sync.add_image(image(200))
    frames.clear()
    sync.add_image(image(300))  # silent for too long: not waited for
    assert frames.pop().image.header.stamp == ns_to_stamp(300_000_000)
