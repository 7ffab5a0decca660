"""The share of every pixel that meshes cover."""

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.coverage import LinkMeshes
from drrobot_ros.robot.visuals import Visual

CAMERA = PinholeCamera(np.array([[60.0, 0, 32.0], [0, 50.0, 24.0], [0, 0, 1]]), 64, 48)
SQUARE = np.array([[-0.3, -0.2, 0], [0.31, -0.2, 0], [0.31, 0.234, 0], [-0.3, 0.234, 0]])


def visual(vertices, faces, link=0):
    return Visual(link, np.asarray(vertices), np.asarray(faces), np.ones(4))


def pose(x=0.0, y=0.0, z=1.0):
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def test_rectangle_covers_its_pixels_by_their_share():
    meshes = LinkMeshes.of([visual(SQUARE, [[0, 1, 2], [0, 2, 3]])])
    column, row = np.arange(64), np.arange(48)
    x = np.clip(32 + 60 * 0.31 - column, 0, 1) - np.clip(32 - 60 * 0.3 - column, 0, 1)
    y = np.clip(24 + 50 * 0.234 - row, 0, 1) - np.clip(24 - 50 * 0.2 - row, 0, 1)
    soft = meshes.coverage(pose()[None], CAMERA)
    assert np.abs(soft - np.outer(y, x)).max() <= 1 / 8
    hard = meshes.coverage(pose()[None], CAMERA, hard=True)
    assert np.array_equal(hard, np.outer(y >= 0.5, x >= 0.5))


def test_each_link_has_its_own_pose_and_what_overlaps_counts_once():
    square = visual(SQUARE, [[0, 1, 2], [0, 2, 3]])
    both = LinkMeshes.of([square, visual(SQUARE, [[2, 1, 0], [3, 2, 0]], link=2)])
    alone = LinkMeshes.of([square]).coverage(pose()[None], CAMERA)
    same = both.coverage(np.stack([pose(), pose(z=-1), pose()]), CAMERA)
    np.testing.assert_array_equal(same, alone)
    apart = both.coverage(np.stack([pose(), pose(z=-1), pose(x=-0.5)]), CAMERA)
    shifted = LinkMeshes.of([square]).coverage(pose(x=-0.5)[None], CAMERA)
    assert (apart >= np.maximum(alone, shifted) - 1e-6).all() and apart.sum() > alone.sum() + 100
    with pytest.raises(InputError, match="link 2"):
        both.coverage(np.stack([pose(), pose()]), CAMERA)


def test_what_is_behind_the_camera_is_cut_off():
    floor = [[-50, 0.5, -40], [50, 0.5, -40], [50, 0.5, 40], [-50, 0.5, 40]]
    meshes = LinkMeshes.of([visual(floor, [[0, 1, 2], [0, 2, 3]])])
    image = meshes.coverage(np.eye(4)[None], CAMERA)
    horizon = 24 + 50 * 0.5 / 40
    assert (image[int(np.ceil(horizon)) :] == 1).all() and not image[: int(horizon)].any()


def test_area_of_a_robot_is_that_of_its_mask(robot):
    arm = robot("six_axis_arm")
    camera = PinholeCamera.from_fov(320, 240, np.radians(45))
    T = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
    links = arm.forward_kinematics(torch.from_numpy(np.full(arm.nq, 0.3))).numpy()
    meshes = LinkMeshes.of(arm.visuals)
    soft = meshes.coverage(np.linalg.inv(T) @ links, camera)
    hard = meshes.coverage(np.linalg.inv(T) @ links, camera, hard=True)
    assert hard.sum() > 1000 and abs(soft.sum() - hard.sum()) < 0.01 * hard.sum()
    assert ((hard > 0) == (soft > 0.5))[(soft == 0) | (soft == 1)].all()


def test_merged_vertices_keep_the_outline(robot):
    arm = robot("six_axis_arm")
    camera = PinholeCamera.from_fov(320, 240, np.radians(45))
    T = look_at((1.25, 0.7, 0.75), (0.1, 0.0, 0.35))
    links = np.linalg.inv(T) @ arm.forward_kinematics(torch.zeros(arm.nq).double()).numpy()
    exact = LinkMeshes.of(arm.visuals)
    merged = LinkMeshes.of(arm.visuals, 0.002)
    assert len(merged.vertices) < len(exact.vertices) and len(merged.faces) <= len(exact.faces)
    off = merged.coverage(links, camera, samples=4) - exact.coverage(links, camera)
    edge = (exact.coverage(links, camera) % 1) > 0
    assert abs(off[edge].mean()) < 0.02 and off[edge].std() < 0.1 and not off[~edge].any()
