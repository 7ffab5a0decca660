"""The whole demonstration, short, on our own arm: real nodes over real DDS."""

import numpy as np
import pytest

from drrobot_ros.cli import main
from drrobot_ros.demo.recording import Recording
from drrobot_ros.errors import BackendError
from drrobot_ros.media import read_sequence
from drrobot_ros.simulation.gl import make_context

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(180)]
pytestmark.append(pytest.mark.flaky(reruns=1))  # real time
pytest.importorskip("rclpy", reason="ROS 2 is not installed")


@pytest.fixture
def graphics():
    try:
        make_context(16, 16).free()
    except BackendError as error:
        pytest.skip(str(error))


def test_demo_ends_with_picture_video_and_report(models_root, tmp_path, graphics, capsys):
    arm = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    words = ["demo", "--robot", str(arm), "--output", str(tmp_path), "--seconds", "3"]
    main([*words, "--rate-hz", "15", "--no-shadows"])  # a busy machine may be too slow to find it
    out = capsys.readouterr().out
    for name in ("overlay.png", "overlay.mp4", "report.md"):
        assert f"{tmp_path / name}" in out
    picture = next(read_sequence(tmp_path / "overlay.png", 0.0)[1])
    assert picture.shape == (480, 3 * 640 + 12, 3)
    frames = sum(1 for _ in read_sequence(tmp_path / "overlay.mp4", 0.0)[1])
    assert frames > 100
    assert "joint_6" in (tmp_path / "report.md").read_text()
    recording = Recording.load(tmp_path / "session")
    assert len(recording.estimate) > 5
    assert len(recording.overlay_stamp) > 2
    assert set(recording.estimate_stamp) <= set(recording.truth_stamp)
    moved = np.ptp(recording.truth, axis=0)
    assert moved.min() > 0.05
    assert not list((tmp_path / "session").glob("*.rgb"))


def test_a_robot_that_cannot_be_loaded_ends_the_demo(tmp_path, capsys):
    words = ["demo", "--robot", "nothing.urdf", "--output", str(tmp_path)]
    assert main(words) == 2
    assert "nothing.urdf" in capsys.readouterr().err


def test_a_node_that_dies_ends_the_demo_with_its_log(models_root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    arm = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    assert main(["demo", "--robot", str(arm), "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "the node simulated_robot ended with status" in error
    assert "nonsense" in error
