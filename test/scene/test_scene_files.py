"""Scene files: MuJoCo loads them, glTF holds them, JSON gives them back."""

import mujoco
import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.scene import add_objects, read_scene, write_scene


@pytest.fixture(scope="module")
def written(small_table, small_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    return folder, write_scene(small_scene[0], folder, small_table[0].color)


def test_mjcf_loads_and_objects_stay_where_they_are(written, small_scene):
    model = mujoco.MjModel.from_xml_path(str(written[1]["mjcf"]))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for item in small_scene[0].objects:
        body = data.body(f"object_{item.name}")
        assert body.xpos == pytest.approx(item.T_scene_object[:3, 3], abs=1e-6)
        assert model.body(f"object_{item.name}").mass[0] == pytest.approx(item.mass_kg, rel=1e-3)
    before = data.body("object_box").xpos.copy()
    for _ in range(600):
        mujoco.mj_step(model, data)
    assert np.linalg.norm(data.body("object_box").xpos - before) < 0.01


def test_meshes_are_drawn_where_the_scene_has_them(written, small_scene):
    model = mujoco.MjModel.from_xml_path(str(written[1]["mjcf"]))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    item = small_scene[0].objects[1]
    visual = [g for g in range(model.ngeom) if model.geom_group[g] == 2][1]
    mesh = model.geom_dataid[visual]
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    points = model.mesh_vert[start : start + count] @ data.geom_xmat[visual].reshape(3, 3).T
    points = points + data.geom_xpos[visual]
    own = item.scene_vertices()
    assert points.max(0) == pytest.approx(own.max(0), abs=1e-4)
    assert points.min(0) == pytest.approx(own.min(0), abs=1e-4)


def test_objects_go_into_another_world(small_scene):
    spec = mujoco.MjSpec()
    T = np.eye(4)
    T[:3, 3] = (1, 2, 0.5)
    names = add_objects(spec, small_scene[0], T)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert names == ["object_box", "object_bottle"]
    expected = small_scene[0].objects[0].T_scene_object[:3, 3] + T[:3, 3]
    assert data.body(names[0]).xpos == pytest.approx(expected, abs=1e-6)


def test_gltf_has_every_object_at_its_place(written, small_scene):
    trimesh = pytest.importorskip("trimesh")
    loaded = trimesh.load(written[1]["gltf"])
    assert {"box", "bottle", "support"} <= set(loaded.graph.nodes_geometry)
    item = small_scene[0].objects[0]
    assert np.allclose(loaded.graph.get("box")[0], item.T_scene_object, atol=1e-6)


def test_a_scene_is_read_as_it_was_written(written, small_scene):
    again, scene = read_scene(written[0]), small_scene[0]
    assert again.frame == scene.frame
    assert again.confidence == scene.confidence
    for a, b in zip(again.objects, scene.objects, strict=True):
        assert a.name == b.name
        assert np.allclose(a.scene_vertices(), b.scene_vertices(), atol=1e-5)
        assert np.array_equal(a.mask, b.mask)
        assert len(a.pieces) == len(b.pieces)
        assert a.confidence == b.confidence


def test_no_scene_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot read a scene"):
        read_scene(tmp_path)
