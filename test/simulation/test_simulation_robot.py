"""The simulated robot and its scene."""

import dataclasses

import mujoco
import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.simulation.bodies import merge_vertices
from drrobot_ros.simulation.renderer import Renderer

CAMERA = PinholeCamera.from_fov(160, 120, 0.9)
T_BASE_CAMERA = look_at((1.4, -1.0, 0.9), (0.1, 0, 0.35))
PLAIN = SceneConfig(background="plain", shadows=False)


@pytest.fixture
def arm(robot, graphics):
    return robot("six_axis_arm")


def make(arm, scene=PLAIN):
    return SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, scene)


def test_looks_like_the_model_drawn_by_mujoco(arm):
    q = arm.random_configuration(1, 3)[0]
    with make(arm) as simulated:
        frame = simulated.render(q)
    data = mujoco.MjData(arm.mj_model)
    data.qpos[:] = arm.mj_qpos(q)
    mujoco.mj_kinematics(arm.mj_model, data)
    renderer = Renderer(arm.mj_model, CAMERA)
    renderer._option.geomgroup[3:] = 0  # collision shapes
    renderer.update(data, arm.T_world_base @ T_BASE_CAMERA, shadows=False)
    geoms, depth = renderer.segmentation_and_depth()
    renderer.close()
    want = geoms >= 0
    assert want.mean() > 0.01
    assert (frame.mask & want).sum() / (frame.mask | want).sum() > 0.99
    both = frame.mask & want
    assert np.median(np.abs(frame.depth_m[both] - depth[both])) < 1e-3


def test_camera_pose_is_in_the_base_frame(graphics):
    turned = RobotModel.from_mjcf(
        """<mujoco><worldbody><body name="base" pos="0.5 -0.3 0.4" quat="0.8 0 0 0.6">
        <geom type="box" size="0.1 0.02 0.02" rgba="1 0 0 1"/></body></worldbody></mujoco>""",
        base_link="base",
    )
    camera = PinholeCamera.from_fov(64, 48, 0.7)
    T_base_camera = look_at((0, 0, 1), (0, 0, 0), up=(0, 1, 0))
    with SimulatedRobot(turned, camera, T_base_camera, PLAIN) as simulated:
        rows, columns = np.nonzero(simulated.render(np.zeros(0)).mask)
    assert abs(rows.mean() + 0.5 - 24) < 0.3
    assert abs(columns.mean() + 0.5 - 32) < 0.3
    assert np.ptp(columns) > 3 * np.ptp(rows)  # along the x axis of the base


def test_colors_are_those_of_the_visuals(arm):
    scene = SceneConfig(background="plain", shadows=False, ambient=1.0, lamp=0.0, headlight=0.0)
    with make(arm, scene) as simulated:
        frame = simulated.render(arm.neutral())
    seen = np.unique(frame.rgb[frame.mask], axis=0) / 255
    colors = np.array([v.color[:3] for v in arm.visuals if v.face_colors is None])
    distance = np.abs(seen[:, None] - colors[None]).max(axis=2).min(axis=1)
    assert np.median(distance) < 0.02


def test_moving_joint_and_camera_move_the_image(arm):
    q = arm.neutral().numpy().copy()
    with make(arm) as simulated:
        still = simulated.render(q)
        again = simulated.render(q)
        assert (still.rgb == again.rgb).all()
        q[0] += 0.5
        moved = simulated.render(q)
        assert (still.mask != moved.mask).sum() > 50
        assert (moved.q == q).all()
        nearer = simulated.render(q, T_base_camera=look_at((0.9, -0.7, 0.7), (0.1, 0, 0.35)))
        assert nearer.mask.sum() > 1.3 * moved.mask.sum()
        assert simulated.render(q, truth=False).mask is None


def test_mask_is_the_robot_only(arm):
    q = arm.neutral()
    with make(arm) as simulated:
        alone = simulated.render(q)
    room = SceneConfig(background="clutter", second_robot=True, noise=0.02, seed=4)
    with make(arm, room) as simulated:
        crowded = simulated.render(q)
        waving = simulated.render(q, second_q=arm.random_configuration(1, 8)[0])
        changed = np.abs(waving.rgb.astype(int) - crowded.rgb).max(axis=2) > 60
        assert (changed & ~crowded.mask).sum() > 30
    assert crowded.mask.sum() <= alone.mask.sum()
    assert (crowded.mask & ~alone.mask).sum() == 0
    assert (crowded.depth_m > 0).all()  # walls all around
    assert crowded.rgb[~crowded.mask].std() > 10


def test_occluder_hides_the_robot(arm):
    q = arm.neutral()
    with make(arm, SceneConfig(background="plain", shadows=False, occluders=1)) as simulated:
        T = np.eye(4)
        T[:3, 3] = T_BASE_CAMERA[:3, 3] + 0.5 * T_BASE_CAMERA[:3, 2]
        simulated.set_occluder(0, T)
        hidden = simulated.render(q)
        T[:3, 3] = T_BASE_CAMERA[:3, 3] - 2.0 * T_BASE_CAMERA[:3, 2]
        simulated.set_occluder(0, T)
        seen = simulated.render(q)
        assert hidden.mask.sum() < 0.8 * seen.mask.sum()
        with pytest.raises(InputError, match="no occluder 1"):
            simulated.set_occluder(1, T)


def test_light_and_noise_do_what_they_say(arm):
    q = arm.neutral()

    def mean(**settings):
        with make(arm, SceneConfig(background="plain", shadows=False, **settings)) as simulated:
            frame = simulated.render(q)
        return frame.rgb[frame.mask].astype(float).mean(axis=0)

    normal, dim, warm = mean(), mean(brightness=0.5), mean(warmth=1.0)
    assert dim.mean() < 0.7 * normal.mean()
    assert warm[0] / warm[2] > 1.2 * normal[0] / normal[2]
    with make(arm, SceneConfig(background="plain", noise=0.05, seed=1)) as simulated:
        a, b = simulated.render(q).rgb.astype(float), simulated.render(q).rgb.astype(float)
    assert 0.03 < (a - b)[:10, :10].std() / 255 / 2**0.5 < 0.06


@pytest.mark.parametrize("q", [[0.0], [np.nan] * 6, "abc"])
def test_bad_joint_positions(arm, q):
    with make(arm) as simulated, pytest.raises((InputError, ValueError)):
        simulated.render(q)


def test_bad_settings(arm):
    with pytest.raises(InputError, match=r"background.*plain"):
        SceneConfig(background="beach")
    with pytest.raises(InputError, match="rigid transform"):
        SimulatedRobot(arm, CAMERA, np.diag([2.0, 1, 1, 1]), PLAIN)


def test_coarse_meshes_look_the_same_with_fewer_triangles(arm):
    coarse = dataclasses.replace(PLAIN, coarseness_m=0.01)
    with make(arm) as simulated, make(arm, coarse) as other:
        seen, merged = simulated.render(arm.neutral()), other.render(arm.neutral())
        assert other._scene_model.nmeshface < 0.8 * simulated._scene_model.nmeshface
    overlap = (seen.mask & merged.mask).sum() / (seen.mask | merged.mask).sum()
    assert overlap > 0.97
    both = seen.mask & merged.mask
    assert np.median(np.abs(seen.rgb[both].astype(int) - merged.rgb[both])) < 6


def test_merged_vertices_are_their_mean_and_lost_faces_are_told():
    vertices = np.array([[0.1, 0, 0], [0.3, 0, 0], [2.0, 0, 0], [0, 2.0, 0]])
    faces = np.array([[0, 2, 3], [0, 1, 2], [1, 2, 3]])  # the second becomes an edge
    merged, left, kept = merge_vertices(vertices, faces, 1.0)
    assert kept.tolist() == [0]  # the third is then the same as the first
    np.testing.assert_allclose(merged[left[0]], [[0.2, 0, 0], [2, 0, 0], [0, 2, 0]])
    assert merge_vertices(vertices, faces, 0.0)[1] is faces
