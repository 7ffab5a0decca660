"""Antipodal candidates: where they are, what they keep clear of, what they prefer."""

import dataclasses

import numpy as np
import pytest
from gantry import box, scene, thing

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.grasping import surface
from drrobot_ros.grasping.candidates import find_candidates
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import find_gripper
from drrobot_ros.grasping.lifting import met_when_lifted
from drrobot_ros.grasping.scene import GraspObject
from drrobot_ros.robot import RobotModel, primitives

QUICK = GraspConfig(samples=200)


def test_lines_leave_a_box():
    vertices, faces = primitives.box(np.array([0.1, 0.2, 0.3]))
    rows, hit, far = surface.crossings(
        np.array([[0.0, 0.05, 0.02], [-0.1, 0.01, 0.02], [0.5, 0, 0]]),
        np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]),
        vertices,
        faces,
    )
    assert set(rows) == {0, 1}
    np.testing.assert_allclose(far[rows == 0], 0.1)
    np.testing.assert_allclose(far[rows == 1], 0.2)
    corners = vertices[faces[hit]]
    np.testing.assert_allclose(corners[..., 0], 0.1)


def test_samples_lie_on_the_surface_evenly():
    vertices, faces = primitives.box(np.array([0.1, 0.1, 0.3]))
    points, normals, _ = surface.sample(vertices, faces, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(np.abs(points / [0.1, 0.1, 0.3]).max(1), 1.0)
    assert (np.abs(normals[:, 2]) > 0.5).mean() == pytest.approx(0.04 / (0.04 + 0.24), abs=0.01)
    assert surface.area(vertices, faces) == pytest.approx(2 * 0.04 + 4 * 0.12)


def test_box_is_held_across_its_narrow_side(gripper):
    target = box(half=(0.02, 0.055, 0.03))
    found = find_candidates(gripper, scene(target), target, QUICK)
    assert len(found) > 10 and (np.diff(found.score) <= 1e-12).all()
    np.testing.assert_allclose(found.width_m[:10], 0.04, atol=3e-3)
    R = target.T_base_object[:3, :3].T @ found.T_base_tool[:, :3, :3]
    assert (np.abs(R[:10, 0, 1]) > 0.97).all()  # the closing axis is the box's x
    np.testing.assert_allclose(np.linalg.det(found.T_base_tool[:, :3, :3]), 1)
    # The best one holds it near the middle, from above.
    assert np.linalg.norm(found.T_base_tool[0, :2, 3] - target.T_base_object[:2, 3]) < 0.015
    assert found.T_base_tool[0, 2, 2] < -0.9


def test_what_is_too_wide_has_none(gripper):
    target = box(half=(0.05, 0.06, 0.045))
    assert len(find_candidates(gripper, scene(target), target, QUICK)) == 0


def test_hand_keeps_clear(gripper):
    target = box(half=(0.02, 0.03, 0.05), yaw=0.0)
    wall = box("wall", half=(0.005, 0.1, 0.1), xy=(0.1 + 0.036, 0.0), yaw=0.0)
    alone = find_candidates(gripper, scene(target), target, QUICK)
    beside = find_candidates(gripper, scene(target, wall), target, QUICK)
    assert 0 < len(beside) < len(alone)
    rng = np.random.default_rng(0)
    cloud = surface.sample(wall.base_vertices, wall.faces, 20000, rng)[0]
    for T, gap in zip(beside.T_base_tool, beside.gap_m, strict=True):
        own = (cloud - T[:3, 3]) @ T[:3, :3]
        for low, high, _ in zip(*gripper.boxes_at(gap), strict=True):
            inside = ((own > low + 1e-3) & (own < high - 1e-3)).all(1)
            assert not inside.any()
    lowest = [
        ((np.concatenate(gripper.boxes_at(g)[:2]) @ T[:3, :3].T + T[:3, 3])[:, 2]).min()
        for T, g in zip(alone.T_base_tool, alone.gap_m, strict=True)
    ]
    assert min(lowest) > 0


def test_seen_side_is_preferred(gripper):
    target = thing("ball", primitives.sphere(0.025), [0.1, 0, 0.025])
    T = look_at((0.9, 0.0, 0.02), (0.1, 0, 0.02))
    found = find_candidates(gripper, scene(target, T_base_camera=T), target, QUICK)
    across = np.abs(found.T_base_tool[:, 0, 1])  # fingers before and behind, seen from the camera
    assert found.seen[across > 0.8].max(initial=0) <= 0.5
    assert found.score[across < 0.3].max() > found.score[across > 0.8].max(initial=0)


def test_objects_are_checked():
    vertices, faces = primitives.box(np.full(3, 0.02))
    with pytest.raises(InputError, match="rows of vertices"):
        GraspObject("a", vertices, faces + 5, np.eye(4), (vertices,))
    with pytest.raises(InputError, match="no convex pieces"):
        GraspObject("a", vertices, faces, np.eye(4), ())
    with pytest.raises(InputError, match="unknown object 'b'; valid: box"):
        scene(box()).find("b")


def test_fingers_that_go_forward_stay_above_the_ground():
    """The pads of a 2F-85 come 14 mm forward as they close: onto the table, under a flat thing."""
    airo_models = pytest.importorskip("airo_models", reason="airo-models is not installed")
    from drrobot_ros.simulation.assembly import mount

    files = [airo_models.get_urdf_path(n) for n in ("ur5e", "robotiq_2f_85")]
    hand = find_gripper(RobotModel.load(mount(*files, "tool0")))
    target = box(half=(0.015, 0.04, 0.014))
    found = find_candidates(hand, scene(target), target, GraspConfig(samples=150))
    assert len(found) > 5
    for T, width in zip(found.T_base_tool, found.width_m, strict=True):
        low, high, _ = hand.boxes_at(width)
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        points = (low[:, None] + corners * (high - low)[:, None]).reshape(-1, 3)
        assert (points @ T[:3, :3].T + T[:3, 3])[:, 2].min() > 0.002


def test_what_leans_over_it_is_met_when_lifted():
    target = box(half=(0.02, 0.03, 0.02))
    beside, above = box("beside", xy=(0.1, 0.12)), box("above", xy=(0.1, 0.04))
    T = above.T_base_object.copy()
    T[2, 3] += 0.07
    above = dataclasses.replace(above, T_base_object=T)
    assert met_when_lifted(scene(target, beside), target, 0.12) == ""
    assert met_when_lifted(scene(target, beside, above), target, 0.12) == "above"
    assert met_when_lifted(scene(target, beside, above), target, 0.01) == ""
