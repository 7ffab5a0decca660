"""Visual meshes: where they are, which geoms they come from, and their colours."""

import mujoco
import numpy as np
import pytest

from drrobot_ros.errors import ModelError
from drrobot_ros.robot import RobotModel, Visual, primitives
from drrobot_ros.robot.menagerie import MAIN_FILES
from drrobot_ros.robot.textures import bake_texture


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    ("mesh", "expected", "extent"),
    [
        (primitives.box(np.array([1.0, 2.0, 3.0])), 48, [2, 4, 6]),
        (primitives.sphere(2.0), 4 / 3 * np.pi * 8, [4, 4, 4]),
        (primitives.ellipsoid(np.array([1.0, 2.0, 3.0])), 8 * np.pi, [2, 4, 6]),
        (primitives.cylinder(1.0, 2.0), 4 * np.pi, [2, 2, 4]),
        (primitives.capsule(1.0, 2.0), 4 * np.pi + 4 / 3 * np.pi, [2, 2, 6]),
    ],
)
def test_primitives_are_closed_and_look_outwards(mesh, expected, extent):
    vertices, faces = mesh
    assert volume(vertices, faces) == pytest.approx(expected, rel=0.02)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), extent, rtol=1e-9)
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


@pytest.mark.parametrize("name", ["every_joint.xml", "six_axis_arm", "franka_emika_panda"])
def test_visuals_are_where_mujoco_draws_them(name, robot):
    model = robot(name)
    m, data = model.mj_model, mujoco.MjData(model.mj_model)
    q = model.random_configuration(1, seed=0)[0]
    data.qpos[:] = model.mj_qpos(q)
    mujoco.mj_kinematics(m, data)
    T = model.T_world_base @ model.forward_kinematics(q).numpy()
    geoms = [g for g in range(m.ngeom) if m.geom_group[g] == 2]
    assert len(geoms) == len(model.visuals)
    for g, visual in zip(geoms, model.visuals, strict=True):
        center, half = m.geom_aabb[g, :3], m.geom_aabb[g, 3:]
        R = data.geom_xmat[g].reshape(3, 3)
        world = visual.vertices @ T[visual.link, :3, :3].T + T[visual.link, :3, 3]
        local = (world - data.geom_xpos[g]) @ R - center
        np.testing.assert_allclose(np.abs(local).max(axis=0), half, rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("name", MAIN_FILES)
def test_every_menagerie_robot_is_seen(name, robot):
    model = robot(name)
    seen = {v.link for v in model.visuals}
    assert len(seen) > len(model.link_names) / 2
    for visual in model.visuals:
        assert np.isfinite(visual.vertices).all()
        assert np.abs(visual.vertices).max() < 2  # metres: no link is larger
        assert ((visual.color >= 0) & (visual.color <= 1)).all()
    groups = {int(g) for g in model.mj_model.geom_group}
    count = sum(model.mj_model.geom_group == 2) if 2 in groups else model.mj_model.ngeom
    assert len(model.visuals) == count


def scene(geoms: str) -> RobotModel:
    return RobotModel.load(
        '<mujoco><asset><material name="m" rgba="0.1 0.2 0.3 1"/></asset><worldbody>'
        f'<body name="a">{geoms}</body><body name="b"><geom name="only" size="1"/></body>'
        "</worldbody></mujoco>"
    )


NO_CONTACT = 'contype="0" conaffinity="0"'


@pytest.mark.parametrize(
    ("geoms", "names"),
    [
        (f'<geom name="v" {NO_CONTACT} group="2" size="1"/><geom name="c" size="1"/>', "v"),
        (f'<geom name="v" {NO_CONTACT} size="1"/><geom name="c" size="1" group="3"/>', "v"),
        (f'<geom name="v" size="1"/><geom name="w" {NO_CONTACT} size="1"/>', "vw"),
        ('<geom name="v" size="1"/><geom name="w" size="1"/>', "vw"),
        ('<geom name="v" size="1"/><geom name="w" size="1" rgba="1 0 0 0"/>', "v"),
        ('<geom name="p" type="plane" size="1 1 1"/><geom name="v" size="1"/>', "v"),
    ],
)
def test_collision_shapes_are_told_from_visuals(geoms, names):
    visuals = scene(geoms).visuals
    assert [v.name for v in visuals] == [*names, "only"]


def test_hidden_groups_show_where_there_is_nothing_else():
    text = (
        '<mujoco><worldbody><body><geom name="g" size="1" group="4"/></body></worldbody></mujoco>'
    )
    assert [v.name for v in RobotModel.load(text).visuals] == ["g"]


def test_colours_are_those_mujoco_draws():
    visuals = scene(
        '<geom name="material" size="1" material="m"/>'
        '<geom name="over" size="1" material="m" rgba="1 0 0 1"/>'
        '<geom name="plain" size="1"/>'
    ).visuals
    colors = [v.color.round(3).tolist() for v in visuals[:3]]
    assert colors == [[0.1, 0.2, 0.3, 1], [1, 0, 0, 1], [0.5, 0.5, 0.5, 1]]


def test_texture_lands_on_the_right_faces():
    """Left red, right blue, and a green band at v = 1, at no simple fractions of the mesh."""
    texture = np.zeros((11, 7, 3))
    texture[:, :3, 0] = 1
    texture[:, 3:, 2] = 1
    texture[10] = [0, 1, 0]
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    v, f, rgba = bake_texture(vertices, faces, vertices[faces][..., :2], texture)
    corners = v[f]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1) / 2
    assert area.sum() == pytest.approx(1)
    center = corners.mean(axis=1)
    cell = texture[(center[:, 1] * 11).astype(int), (center[:, 0] * 7).astype(int)]
    wrong = np.abs(rgba[:, :3] - cell).max(axis=1) > 0.5
    assert area[wrong].sum() < 0.01
    assert (area * rgba[:, 0]).sum() == pytest.approx(3 / 7 * 10 / 11, abs=0.005)


def test_even_textures_divide_nothing():
    texture = np.full((4, 4, 3), 0.3)
    vertices, faces = primitives.sphere(1.0)
    v, f, rgba = bake_texture(vertices, faces, np.random.rand(len(faces), 3, 2) * 5 - 2, texture)
    np.testing.assert_array_equal(v, vertices)
    np.testing.assert_array_equal(f, faces)
    np.testing.assert_allclose(rgba[:, :3], 0.3)


def test_texture_of_a_mujoco_mesh_is_baked(robot):
    model = robot("every_joint.xml")
    (wedge,) = [v for v in model.visuals if v.face_colors is not None]
    assert wedge.name == "wedge"
    kinds = {tuple(c) for c in wedge.face_colors[:, :3].round(1)}
    assert {(0.9, 0.1, 0.1), (0.1, 0.1, 0.9)} <= kinds
    np.testing.assert_allclose(wedge.color, wedge.face_colors.mean(axis=0))


def test_wrong_visuals_are_refused():
    good = {"link": 0, "vertices": np.zeros((3, 3)), "faces": [[0, 1, 2]], "color": np.ones(4)}
    Visual(**good)
    for wrong in ({"faces": [[0, 1, 3]]}, {"color": np.ones(3)}, {"vertices": np.zeros((3, 2))}):
        with pytest.raises(ModelError, match="visual"):
            Visual(**{**good, **wrong})
