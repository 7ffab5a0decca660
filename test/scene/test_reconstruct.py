"""The whole way from an RGB-D image to meshes, and the input it refuses."""

import dataclasses

import numpy as np
import pytest
from scene_tables import QUICK, table
from scipy.spatial import KDTree

from drrobot_ros.errors import InputError
from drrobot_ros.scene import RobotInView, reconstruct
from drrobot_ros.scene.mesh_refinement import deepest_overlap
from drrobot_ros.scene.types import Mesh


def test_meshes_are_where_the_objects_are(small_table, small_scene):
    _, world, owner = small_table
    scene, _ = small_scene
    assert scene.frame == "base"
    assert scene.believable
    for i, (item, true) in enumerate(zip(scene.objects, world, strict=True)):
        assert item.believable, item.warnings
        own = item.scene_vertices()
        assert np.abs(own.max(0) - true.max(0)).max() < 0.008
        assert np.abs(own.min(0) - true.min(0)).max() < 0.008
        assert KDTree(own).query(true)[0].mean() < 0.007
        mask = owner == i
        assert (item.mask & mask).sum() > 0.9 * (item.mask | mask).sum()
        assert item.depth_residual_m < 0.002


def test_objects_stand_on_the_plane_and_apart(small_scene):
    scene, _ = small_scene
    meshes = [Mesh(item.scene_vertices(), item.mesh.faces) for item in scene.objects]
    assert deepest_overlap(meshes) < 1e-3
    for item in scene.objects:
        assert scene.plane.height_m(item.scene_vertices()).min() == pytest.approx(0, abs=2e-3)
    assert scene.plane.normal @ [0, 0, 1] > 0.999


def test_every_stage_has_its_picture(small_scene):
    assert set(small_scene[1]) == {"masks", "ellipsoids", "appearance", "meshes", "side"}
    before, after = small_scene[0].measures["color_error"]
    assert after < before


def test_without_a_camera_pose_the_plane_is_the_frame(small_table):
    given = dataclasses.replace(small_table[0], T_base_camera=None)
    scene = reconstruct(given, dataclasses.replace(QUICK, appearance=False, meshes=False))
    assert scene.frame == "plane"
    assert scene.plane.normal == pytest.approx([0, 0, 1], abs=1e-9)
    assert scene.plane.offset_m == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"boxes": np.array([[500.0, 10, 600, 50]]), "names": ()}, "outside the image"),
        ({"boxes": np.array([[50.0, 50, 50, 90]]), "names": ()}, "is empty"),
        ({"boxes": np.zeros((0, 4)), "names": ()}, "boxes must be"),
        ({"boxes": np.array([[50.0, 50, 90, 90]] * 2)}, "on the same object"),
        ({"depth_m": np.zeros((240, 320), np.float32)}, "every pixel is 0"),
        ({"depth_m": np.full((240, 320), 700.0)}, "millimetres"),
        ({"depth_m": np.full((240, 320), 700, np.uint16)}, "floating point metres"),
        ({"depth_m": np.ones((24, 32))}, "depth_m must be"),
        ({"names": ("one",)}, "2 boxes and 1 names"),
        ({"T_base_camera": np.ones((4, 4))}, "rigid transform"),
        ({"T_base_camera": None, "robot": RobotInView(None, None, [0])}, "only with T_base"),
    ],
)
def test_unusable_input_is_named(small_table, change, complaint):
    with pytest.raises(InputError, match=complaint):
        reconstruct(dataclasses.replace(small_table[0], **change), QUICK)


def test_no_plane_is_an_error(small_table):
    given = small_table[0]
    rng = np.random.default_rng(0)
    wild = rng.uniform(0.3, 1.5, given.depth_m.shape).astype(np.float32)
    with pytest.raises(InputError, match="no support plane"):
        reconstruct(dataclasses.replace(given, depth_m=wild), QUICK)


def test_a_transparent_object_is_not_believed(small_table):
    given, _, owner = small_table
    depth = np.where(owner == 0, 0, given.depth_m)
    scene = reconstruct(dataclasses.replace(given, depth_m=depth), QUICK)
    assert not scene.objects[0].believable
    assert any("depth" in line for line in scene.objects[0].warnings)
    assert scene.objects[1].believable


def test_a_lost_camera_is_not_believed(small_table):
    config = dataclasses.replace(QUICK, appearance=False, meshes=False)
    scene = reconstruct(dataclasses.replace(small_table[0], camera_trusted=False), config)
    assert not scene.believable
    assert not any(item.believable for item in scene.objects)


def test_an_empty_place_is_not_believed(small_table):
    given = small_table[0]
    boxes = np.vstack([given.boxes[0], [10, 180, 60, 230]])
    scene = reconstruct(
        dataclasses.replace(given, boxes=boxes, names=("box", "nothing")),
        dataclasses.replace(QUICK, appearance=False),
    )
    assert not scene.objects[1].believable


def test_a_watcher_can_stop_it(small_table):
    def stop(stage, part, pictures):
        if stage == "ellipsoids":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct(small_table[0], QUICK, stop)


def test_a_mug_is_hollow():
    given, world, _ = table(("cup",), seed=1)
    scene = reconstruct(given, dataclasses.replace(QUICK, appearance=False, cage=False))
    own = scene.objects[0].scene_vertices()
    middle = 0.5 * (world[0].min(0) + world[0].max(0))
    near_axis = np.linalg.norm((own - middle)[:, :2], axis=1) < 0.012
    # No lid: on the axis the surface is as deep as the camera sees into it.
    assert own[near_axis, 2].max() < 0.93 * world[0][:, 2].max()


def test_a_second_box_on_one_object_is_not_believed(small_table):
    given = small_table[0]
    first = given.boxes[0]
    inside = np.array([first[0] + 6, first[1] + 12, first[2] - 6, first[3] - 12])
    scene = reconstruct(
        dataclasses.replace(given, boxes=np.stack([first, inside]), names=("one", "again")),
        dataclasses.replace(QUICK, appearance=False),
    )
    assert min(item.confidence for item in scene.objects) < 0.5
