"""The demo's arm, motion, pictures and report."""

import numpy as np
import pytest
from test_analysis import START, made_up

from drrobot_ros.demo import drawing
from drrobot_ros.demo.analysis import tracking
from drrobot_ros.demo.arm import arm_urdf, models_folder
from drrobot_ros.demo.config import DemoConfig
from drrobot_ros.demo.motion import swinging
from drrobot_ros.demo.report import report
from drrobot_ros.demo.scenario import make_scenario, make_session
from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.robot import RobotModel


@pytest.fixture(scope="module")
def ur5e():
    if models_folder() is None:
        pytest.skip("airo-models is not installed")
    return RobotModel.load(arm_urdf())


def test_the_arm_is_a_ur5e_that_holds_a_gripper(ur5e):
    assert ur5e.nq == 6
    q = ur5e.neutral()
    T = ur5e.forward_kinematics(q)
    tool, gripper = ur5e.link_index("tool0"), ur5e.link_index("gripper_base_link")
    np.testing.assert_allclose(T[tool], T[gripper], atol=1e-9)
    # Turning the last joint must be visible: the gripper is no body of revolution.
    fingers = [i for i, n in enumerate(ur5e.link_names) if "inner_finger" in n and "pad" not in n]
    q[5] += 1.0
    moved = (ur5e.forward_kinematics(q) - T)[fingers, :3, 3].norm(dim=1)
    assert len(fingers) == 2
    assert moved.min() > 0.03
    seen = {ur5e.link_names[v.link] for v in ur5e.visuals}
    assert {"forearm_link", "gripper_left_outer_knuckle"} <= seen


def test_swinging_begins_and_ends_at_rest_within_limits():
    start, low, high = np.array([0.0, 0.9, 0.2]), np.array([-1.0] * 3), np.array([1.0] * 3)
    way = swinging(start, low, high, duration_s=6.0, amplitude_rad=0.6, period_s=3.0)
    np.testing.assert_allclose(way.positions[[0, -1]], [start, start], atol=1e-9)
    np.testing.assert_array_equal(way.velocities[[0, -1]], 0)
    assert (way.positions >= low).all()
    assert (way.positions <= high).all()
    assert np.ptp(way.positions, axis=0).min() > 0.8  # a quarter of the range, both ways
    slope = np.gradient(way.positions, way.times_s, axis=0)
    np.testing.assert_allclose(way.velocities[2:-2], slope[2:-2], atol=0.15)
    assert (np.diff(way.times_s) > 0).all()


def test_the_start_is_wrong_by_the_offset_in_every_joint(models_root, tmp_path):
    file = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    scenario = make_scenario(str(file), 320, 240, tmp_path)
    starts = [scenario.wrong_start(10.0, seed) for seed in range(4)]
    for start in starts:
        np.testing.assert_allclose(np.rad2deg(np.abs(start - scenario.q_start)), 10.0)
        assert (start >= scenario.model.lower).all()
        assert (start <= scenario.model.upper).all()
    assert len({tuple(start) for start in starts}) >= 3  # drawn signs
    session = make_session(DemoConfig(), scenario, tmp_path / "s.npz")
    assert session.estimator["subscribe_joint_states"] is False
    assert session.robot["motion"] == "hold"
    known, unknown = session.robot["camera_pose"], session.estimator["initial_camera_pose"]
    np.testing.assert_allclose(known, unknown)
    config = DemoConfig(estimate_camera=True)
    moved = make_session(config, scenario, tmp_path / "s.npz").estimator["initial_camera_pose"]
    assert np.linalg.norm(np.subtract(moved, known)[:3]) == pytest.approx(0.02, rel=0.05)


def test_report_tells_what_was_measured():
    t = tracking(made_up(np.full(60, 0.4)), (START + 1, START + 3))
    text = report(DemoConfig(offset_deg=7), "some arm", t, 0.734)
    assert "some arm, 320x240" in text
    assert "7 degrees off" in text
    assert "| a | 0.40 / 0.40 |" in text
    assert "0.73 s" in text
    assert "| 80, 40, 40, 0 |" in text
    assert "its pose was given" in text
    lost = report(DemoConfig(estimate_camera=True), "some arm", t, None)
    assert "not reached" in lost
    assert "0.0 / 0.0 mm" in lost


def test_bars_are_as_long_as_errors_and_colored_by_them():
    strip = drawing.error_bars(("shoulder_pan_joint", "b"), np.array([0.5, 9.0]), 1200, "error")
    good = (strip == drawing._GOOD).all(axis=2).sum()
    bad = (strip == drawing._BAD).all(axis=2).sum()
    assert 10 < bad / good < 25
    empty = drawing.error_bars(("a", "b"), None, 1200, "error")
    assert not (empty == drawing._GOOD).all(axis=2).any()


def test_overlay_blends_inside_and_draws_the_contour():
    image = np.full((120, 160, 3), 100, np.uint8)
    alpha = np.zeros((120, 160))
    alpha[40:80, 50:110] = 1.0
    rgb = np.ones((120, 160, 3))
    out = overlay_image(image, rgb, alpha, opacity=0.5, edge_color=(1.0, 0.0, 0.0))
    np.testing.assert_array_equal(out[60, 80], [178, 178, 178])
    np.testing.assert_array_equal(out[10, 10], [100, 100, 100])
    assert out[60, 49:51, 0].min() > 150
    assert out[60, 49:51, 1].max() < 120
    plain = overlay_image(image, rgb, alpha, opacity=0.5, edge_color=None)
    np.testing.assert_array_equal(plain[60, 51], [178, 178, 178])
    np.testing.assert_array_equal(plain[60, 49], [100, 100, 100])
