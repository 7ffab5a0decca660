"""What is computed from a recording, on recordings made up so that the answer is known."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.demo.analysis import convergence_s, joint_errors, tracking
from drrobot_ros.demo.recording import Recording
from drrobot_ros.errors import InputError

START = 1000.0


def made_up(errors_deg, latency_s=0.05, dropped_each=1, camera_offset=None):
    """Return a recording at 20 Hz of two joints whose estimates are off by errors_deg [E]."""
    errors = np.asarray(errors_deg, float)
    n = len(errors)
    stamps = START + np.arange(n) / 20
    truth = np.stack([np.sin(stamps), np.cos(stamps)], axis=1)
    estimate = truth + np.deg2rad(errors)[:, None] * [1.0, -0.5]
    camera = np.tile(np.eye(4), (n, 1, 1))
    if camera_offset is not None:
        camera = camera @ camera_offset
    counts = np.stack([np.arange(n) * (1 + dropped_each), np.arange(n) * dropped_each], axis=1)
    return Recording(
        joint_names=("a", "b"),
        truth_stamp=stamps,
        truth=truth,
        true_camera=np.eye(4),
        estimate_stamp=stamps,
        estimate_received=stamps + latency_s,
        estimate=estimate,
        camera_stamp=stamps,
        camera=camera,
        status_stamp=stamps,
        status_received=stamps + latency_s,
        state=np.ones(n, np.int64),
        solve_time=np.full(n, 0.03),
        latency=np.full(n, latency_s),
        counts=np.concatenate([counts, np.zeros((n, 1), np.int64)], axis=1),
        image_stamp=stamps,
        overlay_stamp=stamps,
        events=(("motion start", START + 1), ("motion end", START + 3)),
    )


def test_errors_belong_to_the_image_of_the_estimate():
    recording = made_up([1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.rad2deg(joint_errors(recording)[:, 0]), [1, 2, 3], atol=1e-9)
    late = dataclasses.replace(recording, truth_stamp=recording.truth_stamp + 0.01)
    assert np.isnan(joint_errors(late)).all()
    fewer = dataclasses.replace(
        recording, truth=recording.truth[1:], truth_stamp=recording.truth_stamp[1:]
    )
    assert np.isnan(joint_errors(fewer)).tolist() == [[True] * 2, [False] * 2, [False] * 2]


def test_tracking_looks_at_the_span_alone():
    errors = np.full(100, 50.0)
    errors[20:60] = np.linspace(0, 2, 40)
    t = tracking(made_up(errors), (START + 1, START + 3))
    assert t.joint_error_deg["a"].median == pytest.approx(1.0)
    assert t.joint_error_deg["a"].p90 == pytest.approx(1.8)
    assert t.joint_error_deg["b"].median == pytest.approx(0.5)
    assert t.estimates == 40
    assert t.rate_hz == pytest.approx(20)
    assert t.camera_rate_hz == pytest.approx(20)
    assert t.latency_s.median == pytest.approx(0.05)
    assert (t.received, t.dropped, t.rejected) == (80, 40, 0)
    with pytest.raises(InputError, match=r"no estimate in the 2\.0 s"):
        tracking(made_up(errors), (START + 50, START + 52))


def test_camera_error_is_distance_and_angle():
    offset = np.eye(4)
    angle = np.deg2rad(3)
    offset[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    offset[:3, 3] = [0.003, 0.004, 0]
    t = tracking(made_up(np.zeros(40), camera_offset=offset), (START, START + 2))
    assert t.camera_error_mm.median == pytest.approx(5.0)
    assert t.camera_error_deg.median == pytest.approx(3.0)


def test_convergence_is_the_first_of_three_good_ones():
    errors = [10, 1, 9, 5, 1, 1.4, 1, 1, 8, 1]
    recording = made_up(errors)
    # The good one at index 1 stands alone; those from index 4 on are three in a row.
    assert convergence_s(recording, START, [0]) == pytest.approx(4 / 20 + 0.05)
    assert convergence_s(recording, START + 0.2, [0]) == pytest.approx(0.05)
    assert convergence_s(recording, START, [0], START + 0.3) is None
    assert convergence_s(recording, START + 0.4, [0]) is None
    # Joint b is off by half as much: good from the fourth on.
    assert convergence_s(made_up([10, 9, 8, 2.8, 2.8, 2.8, 9]), START, [1]) is not None
    assert convergence_s(made_up([10, 9, 8, 2.8, 2.8, 2.8, 9]), START, [0, 1]) is None


def test_recording_is_read_as_it_was_saved(tmp_path):
    recording = made_up([1.0, 2.0])
    recording.save(tmp_path)
    again = Recording.load(tmp_path)
    for field in dataclasses.fields(Recording):
        a, b = getattr(recording, field.name), getattr(again, field.name)
        assert (a == b) if isinstance(a, tuple) else np.array_equal(a, b), field.name
    assert again.spans("motion") == [(START + 1, START + 3)]
    with pytest.raises(InputError, match="there is no recording"):
        Recording.load(tmp_path / "nowhere")
