"""Finding and reading the meshes of a URDF."""

import logging

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals

from drrobot_ros.errors import ModelError
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.meshes import load_mesh
from drrobot_ros.robot.packages import FileFinder

CUBE = trimesh.creation.box((1.0, 2.0, 3.0))


def urdf(filename: str, more: str = "", material: str = "") -> str:
    return (
        f'<robot name="r"><link name="a"><visual><geometry><mesh filename="{filename}" {more}/>'
        f"</geometry>{material}</visual></link></robot>"
    )


@pytest.fixture(autouse=True)
def no_ros_environment(monkeypatch):
    monkeypatch.delenv("ROS_PACKAGE_PATH", raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)


@pytest.fixture
def workspace(tmp_path):
    """Folders laid out like an installed ROS package."""
    package = tmp_path / "install" / "share" / "arm_description"
    for folder in ("urdf", "meshes"):
        (package / folder).mkdir(parents=True)
    CUBE.export(package / "meshes" / "cube.stl")
    return package


def extent(model: RobotModel) -> list[float]:
    vertices = np.concatenate([v.vertices for v in model.visuals])
    return np.ptp(vertices, axis=0).round(6).tolist()


URI = "package://arm_description/meshes/cube.stl"


def test_package_is_found_above_the_urdf(workspace):
    path = workspace / "urdf" / "arm.urdf"
    path.write_text(urdf(URI))
    assert extent(RobotModel.load(path)) == [1, 2, 3]


def test_package_beside_the_urdfs_package_is_found(workspace):
    other = workspace.parent / "arm_bringup" / "urdf" / "arm.urdf"
    other.parent.mkdir(parents=True)
    other.write_text(urdf(URI))
    assert extent(RobotModel.load(other)) == [1, 2, 3]


@pytest.mark.parametrize("up", [0, 1])
def test_package_paths_hold_the_package_or_are_it(workspace, up):
    folder = [workspace, workspace.parent][up]
    assert extent(RobotModel.from_urdf_string(urdf(URI), package_paths=[folder])) == [1, 2, 3]


def test_package_is_known_by_its_package_xml(workspace, tmp_path):
    renamed = workspace.rename(tmp_path / "checkout")
    (renamed / "package.xml").write_text("<package><name>arm_description</name></package>")
    assert FileFinder(renamed / "urdf").find(URI) == renamed / "meshes" / "cube.stl"
    assert FileFinder(None, [renamed]).find(URI) == renamed / "meshes" / "cube.stl"


def test_ros_environment_is_searched(workspace, monkeypatch):
    monkeypatch.setenv("ROS_PACKAGE_PATH", f"/nowhere:{workspace.parent}")
    assert FileFinder(None).find(URI).is_file()
    monkeypatch.setenv("ROS_PACKAGE_PATH", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/none:{workspace.parent.parent}")
    assert FileFinder(None).find(URI).is_file()


def test_package_paths_come_first(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_PACKAGE_PATH", str(workspace.parent))
    other = tmp_path / "overlay" / "arm_description" / "meshes"
    other.mkdir(parents=True)
    CUBE.copy().apply_scale(2).export(other / "cube.stl")
    path = workspace / "urdf" / "arm.urdf"
    path.write_text(urdf(URI))
    model = RobotModel.load(path, package_paths=[tmp_path / "overlay"])
    assert extent(model) == [2, 4, 6]


def test_relative_absolute_and_file_names(workspace):
    mesh = workspace / "meshes" / "cube.stl"
    path = workspace / "urdf" / "arm.urdf"
    for name in ("../meshes/cube.stl", str(mesh), f"file://{mesh}"):
        path.write_text(urdf(name))
        assert extent(RobotModel.load(path)) == [1, 2, 3]


def test_missing_mesh_names_the_file_and_the_places(workspace):
    path = workspace / "urdf" / "arm.urdf"
    path.write_text(urdf("package://arm_description/meshes/gone.stl"))
    with pytest.raises(ModelError) as caught:
        RobotModel.load(path)
    for word in ("link 'a', visual 1", "gone.stl", str(workspace / "meshes"), "package_paths"):
        assert word in str(caught.value)


def test_missing_mesh_can_be_left_out(workspace, caplog):
    path = workspace / "urdf" / "arm.urdf"
    path.write_text(urdf("meshes/gone.stl"))
    with caplog.at_level(logging.WARNING):
        model = RobotModel.load(path, missing_meshes="skip")
    assert model.visuals == []
    assert "gone.stl" in caplog.text
    with pytest.raises(ModelError, match="'ignore'; valid: error, skip"):
        RobotModel.load(path, missing_meshes="ignore")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("package://nowhere/x.stl", "searched: no folder.*AMENT_PREFIX_PATH"),
        ("http://host/x.stl", "unknown scheme 'http'; valid: package"),
        ("x.stl", "URDF string has no folder"),
    ],
)
def test_unfindable_names(name, words):
    with pytest.raises(ModelError, match=words):
        FileFinder(None).find(name)


def test_scale_and_mirror(workspace):
    mesh = workspace / "meshes" / "cube.stl"
    text = urdf(str(mesh), 'scale="0.1 -0.2 0.3"')
    visual = RobotModel.from_urdf_string(text).visuals[0]
    np.testing.assert_allclose(np.ptp(visual.vertices, axis=0), [0.1, 0.4, 0.9], rtol=1e-6)
    mirrored = trimesh.Trimesh(visual.vertices, visual.faces)
    assert mirrored.volume == pytest.approx(0.036, rel=1e-5)  # faces still look outwards


def test_two_files_of_one_name_stay_apart(workspace):
    other = workspace / "meshes" / "big"
    other.mkdir()
    CUBE.copy().apply_scale(3).export(other / "cube.stl")
    text = urdf(URI).replace(
        "</link>", urdf(f"{other}/cube.stl").split('"a">')[1].split("</li")[0] + "</link>"
    )
    model = RobotModel.from_urdf_string(text, package_paths=[workspace])
    assert [np.ptp(v.vertices[:, 0]).round(5) for v in model.visuals] == [1, 3]


MATERIAL = '<material name="m"><color rgba="0.2 0.4 0.6 1"/></material>'


def test_colour_of_the_urdf_is_for_meshes_without_their_own(workspace):
    (workspace / "meshes" / "a.mtl").write_text("newmtl red\nKd 1 0 0\n")
    (workspace / "meshes" / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nusemtl red\nf 1 2 3\nf 1 3 4\n"
    )
    own = urdf(str(workspace / "meshes" / "a.obj"), material=MATERIAL)
    np.testing.assert_allclose(RobotModel.from_urdf_string(own).visuals[0].color, [1, 0, 0, 1])
    plain = urdf(str(workspace / "meshes" / "cube.stl"), material=MATERIAL)
    color = RobotModel.from_urdf_string(plain).visuals[0].color
    np.testing.assert_allclose(color, [0.2, 0.4, 0.6, 1], atol=1e-6)


def test_texture_of_the_urdf_is_baked_where_the_mesh_has_coordinates(tmp_path):
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[:2, :, 1] = 255  # the upper half, v above 0.5, is green
    Image.fromarray(image).save(tmp_path / "half.png")
    (tmp_path / "a.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
        "f 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"
    )
    material = '<material name="t"><texture filename="half.png"/></material>'
    text = urdf("a.obj", material=material)
    visual = RobotModel.from_urdf_string(text, directory=tmp_path).visuals[0]
    assert visual.face_colors is not None
    y = visual.vertices[visual.faces].mean(axis=1)[:, 1]
    assert (visual.face_colors[y > 0.52, 1] > 0.9).all()
    assert (visual.face_colors[y < 0.48, 1] < 0.1).all()


def test_byte_order_mark_and_declared_encoding_are_no_obstacle(tmp_path):
    text = urdf("a.obj").replace("a.obj", "ä.obj")
    (tmp_path / "ä.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    path = tmp_path / "a.urdf"
    header = '<?xml version="1.0" encoding="us-ascii"?>\n'
    path.write_text(header + text, encoding="utf-8-sig")
    assert len(RobotModel.load(path).visuals) == 1


def test_obj_materials_stay_apart(models_root):
    parts = load_mesh(models_root / "six_axis_arm" / "meshes" / "upper_arm.obj")
    colors = sorted(np.round(part.color, 2).tolist() for part in parts if part.color is not None)
    assert colors == [[0.15, 0.16, 0.18, 1.0], [0.92, 0.55, 0.10, 1.0]]


DAE = """<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1"><asset>
<unit meter="{unit}"/><up_axis>{up}</up_axis></asset>
<library_effects><effect id="e"><profile_COMMON><technique sid="t"><lambert><diffuse>{look}
</diffuse></lambert></technique></profile_COMMON></effect></library_effects>
<library_materials><material id="m"><instance_effect url="#e"/></material></library_materials>
<library_geometries><geometry id="g"><mesh><source id="p"><float_array id="pa" count="12">
0 0 0 1 0 0 0 1 0 0 0 1</float_array><technique_common><accessor source="#pa" count="4" stride="3">
<param name="X" type="float"/><param name="Y" type="float"/><param name="Z" type="float"/>
</accessor></technique_common></source>
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<triangles material="s" count="2"><input semantic="VERTEX" source="#v" offset="0"/>
<p>0 1 2 0 2 3</p></triangles></mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="scene"><node id="outer"><translate>0 0 10</translate>
<node id="inner"><scale>1 1 2</scale><instance_geometry url="#g"><bind_material><technique_common>
<instance_material symbol="s" target="#{target}"/></technique_common></bind_material>
</instance_geometry></node></node></visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#scene"/></scene></COLLADA>"""
GREEN = "<color>0 0.5 0 1</color>"


@pytest.mark.parametrize("up", ["Z_UP", "Y_UP"])
def test_collada_unit_and_nodes_count_and_up_axis_does_not(tmp_path, up):
    path = tmp_path / "a.dae"
    path.write_text(DAE.format(unit=0.01, up=up, look=GREEN, target="m"))
    (part,) = load_mesh(path)
    expected = [[0, 0, 0.10], [0.01, 0, 0.10], [0, 0.01, 0.10], [0, 0, 0.12]]
    np.testing.assert_allclose(part.vertices, expected, atol=1e-12)
    assert part.color is not None
    np.testing.assert_allclose(part.color, [0, 0.5, 0, 1])


def test_collada_with_a_broken_material_is_drawn_without_it(tmp_path):
    path = tmp_path / "a.dae"
    path.write_text(DAE.format(unit=1, up="Z_UP", look=GREEN, target="gone"))
    (part,) = load_mesh(path)
    assert len(part.faces) == 2
    assert part.color is None


def test_collada_of_the_arm_has_its_three_colours(robot):
    model = robot("six_axis_arm")
    row = model.link_index("forearm")
    forearm = [v for v in model.visuals if v.link == row]
    assert len({tuple(v.color.round(2)) for v in forearm}) == 3
    heights = np.concatenate([v.vertices for v in forearm])[:, 2]
    assert heights.max() == pytest.approx(0.24, abs=1e-4)  # millimetres in the file


def test_flat_and_single_triangle_meshes_load(tmp_path):
    (tmp_path / "one.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3\nf 1 3 4\n")
    for name, faces in (("one", 1), ("flat", 2)):
        model = RobotModel.from_urdf_string(urdf(str(tmp_path / f"{name}.obj")))
        assert len(model.visuals[0].faces) == faces


def test_vertex_colours_become_face_colours(tmp_path):
    mesh = trimesh.creation.box((1, 1, 1))
    front = mesh.face_normals[:, :1] > 0.5
    rgba = np.where(front, [[255, 0, 0, 255]], [[0, 0, 255, 255]])
    mesh.visual = ColorVisuals(mesh, face_colors=rgba)
    mesh.export(tmp_path / "a.ply")
    visual = RobotModel.from_urdf_string(urdf(str(tmp_path / "a.ply"))).visuals[0]
    assert visual.face_colors is not None
    corners = visual.vertices[visual.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    red = normals[:, 0] > 0.5 * np.linalg.norm(normals, axis=1)
    np.testing.assert_allclose(visual.face_colors[red, :3], [[1, 0, 0]] * red.sum(), atol=0.01)
    np.testing.assert_allclose(visual.face_colors[~red, :3], [[0, 0, 1]] * (~red).sum(), atol=0.01)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.mesh", b"x", "unknown format '.mesh'; valid: .dae, .stl"),
        ("a.dae", b"<broken", "cannot be read"),
        ("a.stl", b"", "cannot be read|no triangle"),
        ("a.obj", b"v 0 0 0\n", "no triangle|cannot be read"),
    ],
)
def test_unreadable_meshes_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        RobotModel.from_urdf_string(urdf(str(tmp_path / name)))
    assert name in str(caught.value)


def test_collision_shapes_are_no_visuals(robot):
    model = robot("every_joint.urdf")
    sizes = [np.ptp(v.vertices, axis=0).max() for v in model.visuals if v.link == 0]
    assert sizes == pytest.approx([0.3])  # the box; not the sphere of 1 m
    groups = model.mj_model.geom_group[model.mj_model.geom_contype == 1]
    assert groups.tolist() == [3]
