"""RobotModel: loading by any name, configurations, mappings to MuJoCo, base links, errors."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot import JointType, RobotModel

OWN = ["six_axis_arm", "every_joint.urdf", "every_joint.xml"]


def mjcf(world: str, rest: str = "") -> str:
    return f"<mujoco><worldbody>{world}</worldbody>{rest}</mujoco>"


BALL = '<geom size="0.1"/>'


# Loading


def test_load_tells_formats_apart(models_root):
    for path in (models_root / "every_joint").iterdir():
        text = path.read_text()
        from_path, from_text = RobotModel.load(path), RobotModel.load(text)
        assert from_path.joint_names == from_text.joint_names
        assert ("plane/x" in from_path.joint_names) == (path.suffix == ".urdf")


def test_load_takes_menagerie_names_and_folders(menagerie_root, monkeypatch):
    monkeypatch.setenv("DRROBOT_MENAGERIE", str(menagerie_root))
    assert RobotModel.load("universal_robots_ur5e").name == "ur5e"
    assert RobotModel.load("franka_emika_panda/panda_nohand").nq == 7
    assert RobotModel.load(menagerie_root / "universal_robots_ur5e").nq == 6
    with pytest.raises(ModelError, match=r"'ur5'.*Valid names:.*universal_robots_ur5e"):
        RobotModel.load("ur5")
    with pytest.raises(ModelError, match=r"no file 'x'.*valid: hand, panda, panda_nohand, scene"):
        RobotModel.load("franka_emika_panda/x")


def test_main_file_of_an_unlisted_robot_is_no_scene(tmp_path):
    folder = tmp_path / "maker_arm7"
    folder.mkdir()
    text = mjcf(f'<body name="{{}}">{BALL}</body>')
    for stem in ("a_part", "arm7", "scene_arm7"):
        (folder / f"{stem}.xml").write_text(text.format(stem))
    assert RobotModel.load(folder).base_link == "arm7"
    (folder / "arm7.xml").unlink()
    (folder / "a_part.xml").rename(folder / "z_part.xml")
    assert RobotModel.load(folder).base_link == "a_part"


def test_unknown_menagerie_says_what_to_set(monkeypatch):
    monkeypatch.delenv("DRROBOT_MENAGERIE", raising=False)
    monkeypatch.delenv("MENAGERIE_ROOT", raising=False)
    with pytest.raises(ModelError) as caught:
        RobotModel.load("no_such_robot")
    for word in ("no_such_robot", "unitree_g1", "DRROBOT_MENAGERIE", "MENAGERIE_ROOT"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "empty"),
        ("gone.urdf", "no such file: gone.urdf"),
        ("/gone/robot", "no such file"),
        ("<mujoco><worldbody><boddy/></worldbody></mujoco>", "boddy"),
        (mjcf('<body name="a"><joint/></body>'), "mass"),
        (mjcf(f'<body name="a">{BALL}</body><body name="a">{BALL}</body>'), "'a'"),
    ],
)
def test_unusable_sources_are_refused(source, words):
    with pytest.raises(ModelError, match=words):
        RobotModel.load(source)


def test_importing_imports_no_mujoco():
    code = "import sys, drrobot_ros.robot; print({'mujoco', 'trimesh', 'collada'} & {*sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


# Configurations


@pytest.mark.parametrize("name", OWN)
def test_random_configurations_are_within_limits_and_repeat(name, robot):
    model = robot(name)
    q = model.random_configuration(50, seed=3)
    assert q.shape == (50, model.nq)
    assert q.dtype == torch.float64
    assert ((q >= torch.from_numpy(model.lower)) & (q <= torch.from_numpy(model.upper))).all()
    assert torch.equal(q, model.random_configuration(50, seed=3))
    assert not torch.equal(q, model.random_configuration(50, seed=4))
    assert (q.std(0) > 0.01).all()
    for joint in model._parts.joints:
        if joint.type in (JointType.BALL, JointType.FLOATING):
            norm = q[:, joint.q_slice][:, -4:].norm(dim=-1)
            torch.testing.assert_close(norm, torch.ones_like(norm))


@pytest.mark.parametrize("name", OWN)
def test_difference_undoes_integrate(name, robot):
    model = robot(name)
    q = model.random_configuration(20, seed=1)
    v = 0.5 * torch.randn(20, model.nv, dtype=torch.float64)
    torch.testing.assert_close(model.difference(q, model.integrate(q, v)), v)
    zero = torch.zeros(model.nv, dtype=torch.float64)
    torch.testing.assert_close(model.integrate(q, zero), q)


def test_integrate_is_mujocos(robot):
    model = robot("every_joint.xml")
    m = model.mj_model
    q = model.random_configuration(5, seed=2)
    v = torch.randn(5, model.nv, dtype=torch.float64)
    moved = model.integrate(q, v).numpy()
    back = model.difference(q, torch.from_numpy(moved)).numpy()
    for k in range(5):
        qpos, qvel = model.mj_qpos(q[k]), model.mj_v_map() @ v[k].numpy()
        expected = qpos.copy()
        mujoco.mj_integratePos(m, expected, qvel, 1.0)
        np.testing.assert_allclose(model.mj_qpos(moved[k]), expected, atol=1e-12)
        velocity = np.zeros(m.nv)
        mujoco.mj_differentiatePos(m, velocity, 1.0, qpos, expected)
        np.testing.assert_allclose(model.mj_v_map() @ back[k], velocity, atol=1e-12)


def test_home_is_the_first_keyframe_inside_the_limits_or_neutral():
    joint = '<joint name="hinge" axis="0 1 0" range="-60 60" limited="true"/>'
    world = f'<body name="arm">{joint}{BALL}</body>'
    keys = '<keyframe><key qpos="{}"/><key qpos="0.1"/></keyframe>'
    for first, expected in ((0.4, 0.4), (3.0, np.deg2rad(60))):
        model = RobotModel.load(mjcf(world, keys.format(first)))
        assert model.home().tolist() == pytest.approx([expected])
    model = RobotModel.load(mjcf(world))
    assert model.home().tolist() == model.neutral().tolist()


def test_neutral_is_inside_the_limits(robot):
    arm = f'<body name="b"><joint name="j" range="-170 -4"/>{BALL}</body>'
    panda = RobotModel.load(mjcf(f'<body name="a">{BALL}{arm}</body>'))
    assert panda.neutral().tolist() == pytest.approx([np.deg2rad(-4)])
    piece = robot("every_joint.xml")
    assert piece.neutral()[piece.joint_q_index("hinge")] == 0.4  # the reference of the joint


def test_q_from_mapping(robot):
    model = robot("six_axis_arm")
    q = model.q_from_mapping({"joint_3": 0.5, "joint_1": -1.0})
    assert q.tolist() == [-1.0, 0, 0.5, 0, 0, 0]
    q = model.q_from_mapping({"joint_6": 2.0}, default=q)
    assert q.tolist() == [-1.0, 0, 0.5, 0, 0, 2.0]
    piece = robot("every_joint.xml")
    start = piece.joint_q_index("ball")
    q = piece.q_from_mapping({"ball": [0.0, 1.0, 0.0, 0.0]})
    assert q[start : start + 4].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("name", "mapping", "words"),
    [
        ("six_axis_arm", {"jonit_1": 0.0}, "unknown joint 'jonit_1'; valid: joint_1, joint_2"),
        ("six_axis_arm", {"joint_1": float("nan")}, "joint 'joint_1' needs 1 finite"),
        ("six_axis_arm", {"joint_1": [1.0, 2.0]}, "joint 'joint_1' needs 1 finite"),
        ("every_joint.xml", {"ball": 1.0}, "joint 'ball' needs 4 finite"),
        ("every_joint.xml", {"finger_b": 0.0}, "'finger_b' follows joint 'finger_a'"),
    ],
)
def test_wrong_mappings_are_refused(name, mapping, words, robot):
    with pytest.raises(InputError, match=words):
        robot(name).q_from_mapping(mapping)


# MuJoCo's coordinates


@pytest.mark.parametrize("name", OWN)
def test_qpos_and_back(name, robot):
    model = robot(name)
    q = model.random_configuration(4, seed=1).numpy()
    np.testing.assert_allclose(model.q_from_mj(model.mj_qpos(q)), q, atol=1e-15)


def test_equalities_hold_in_qpos(robot):
    """MuJoCo itself finds no violation of the couplings we follow."""
    for name in ("every_joint.urdf", "every_joint.xml", "franka_emika_panda", "trossen_vx300s"):
        model = robot(name)
        data = mujoco.MjData(model.mj_model)
        for q in model.random_configuration(5, seed=1):
            data.qpos[:] = model.mj_qpos(q)
            mujoco.mj_forward(model.mj_model, data)
            rows = data.efc_type == mujoco.mjtConstraint.mjCNSTR_EQUALITY
            assert rows.any()
            np.testing.assert_allclose(data.efc_pos[rows], 0, atol=1e-12)


def test_first_finger_leads(robot):
    model = robot("franka_emika_panda")
    assert model.joint_names[-1] == "finger_joint1"
    assert model.nq == 8
    piece = robot("every_joint.xml")
    q = piece.q_from_mapping({"finger_a": 0.02})
    follower = piece.mj_model.joint("finger_b").qposadr[0]
    assert piece.mj_qpos(q)[follower] == pytest.approx(0.02 + 1.5 * (0.02 - 0.01))


EQUALITY = """<equality><joint joint1="{}" joint2="{}" polycoef="{}" active="{}"/></equality>"""
PAIR = (
    f'<body name="r">{BALL}<body name="a"><joint name="a"/>{BALL}</body>'
    f'<body name="b"><joint name="b"/>{BALL}</body></body>'
)


@pytest.mark.parametrize(
    ("equality", "joints", "qpos"),
    [
        (("b", "a", "0.1 2 0 0 0", "true"), ("a",), [0.3, 0.7]),
        (("a", "b", "0.1 2 0 0 0", "true"), ("a",), [0.3, 0.1]),
        (("a", "b", "0.1 0 0 0 0", "true"), ("b",), [0.1, 0.3]),
        (("b", "a", "0 1 1 0 0", "true"), ("a", "b"), None),
        (("b", "a", "0 1 0 0 0", "false"), ("a", "b"), None),
    ],
)
def test_linear_active_equalities_are_followed(equality, joints, qpos):
    model = RobotModel.load(mjcf(PAIR, EQUALITY.format(*equality)))
    assert model.joint_names == joints
    if qpos is not None:
        np.testing.assert_allclose(model.mj_qpos(np.array([0.3])), qpos, atol=1e-15)


def test_effort_limits_of_mjcf(robot):
    model = robot("every_joint.xml")
    limits = dict(zip(model.joint_names, model.effort_limit, strict=False))
    assert limits["hinge"] == 50
    assert limits["wrist_x"] == 20  # force range times gear
    assert limits["wrist_slide"] == np.inf


# Base links


def test_base_of_a_fixed_robot_is_its_first_body(menagerie_root):
    model = RobotModel.load(menagerie_root / "ufactory_xarm7" / "xarm7_nohand.xml")
    assert model.base_link == "link_base"
    np.testing.assert_allclose(model.T_world_base[:3, 3], [0, 0, 0.12])
    np.testing.assert_array_equal(model.T_world_base[:3, :3], np.eye(3))


@pytest.mark.parametrize(
    ("world", "base"),
    [
        (f'<body name="a">{BALL}</body>', "a"),
        (f'<geom type="plane" size="1 1 1"/><body name="a">{BALL}</body>', "a"),
        (f'<body name="a"><joint/>{BALL}</body>', "world"),
        (f'<body name="a"><freejoint/>{BALL}</body>', "world"),
        (f'<body name="a">{BALL}</body><body name="b">{BALL}</body>', "world"),
    ],
)
def test_default_base(world, base):
    assert RobotModel.load(mjcf(world)).base_link == base


def test_base_can_be_the_floating_body():
    arm = f'<body name="arm" pos="0 0 1"><joint name="j"/>{BALL}</body>'
    text = mjcf(f'<body name="torso" pos="1 2 3"><freejoint name="f"/>{BALL}{arm}</body>')
    free, held = RobotModel.load(text), RobotModel.load(text, base_link="torso")
    assert free.joint_names == ("f", "j")
    assert held.joint_names == ("j",)
    assert held.link_names == ("torso", "arm")
    q = free.random_configuration(3, seed=0)
    T = free.forward_kinematics(q)
    expected = torch.linalg.inv(T[:, free.link_index("torso")]) @ T[:, free.link_index("arm")]
    torch.testing.assert_close(held.forward_kinematics(q[:, -1:])[:, 1], expected)
    np.testing.assert_array_equal(held.mj_qpos(np.array([0.5]))[:3], [1, 2, 3])


def test_base_link_in_a_scene_with_props():
    text = mjcf(
        f'<body name="prop" pos="1 0 0">{BALL}</body>'
        f'<body name="base" pos="0 2 0" quat="0 0 0 1">{BALL}'
        f'<body name="arm" pos="0.5 0 0"><joint/>{BALL}</body></body>'
    )
    model = RobotModel.load(text, base_link="base")
    T = model.forward_kinematics(model.neutral())
    where = {n: T[i, :3, 3].tolist() for i, n in enumerate(model.link_names)}
    assert where["base"] == [0, 0, 0]
    assert where["arm"] == pytest.approx([0.5, 0, 0])
    assert where["world"] == pytest.approx([0, 2, 0])
    assert where["prop"] == pytest.approx([-1, 2, 0])


def test_wrong_base_links_are_refused(robot, menagerie_root):
    path = menagerie_root / "franka_emika_panda" / "panda.xml"
    with pytest.raises(ModelError, match="unknown base_link 'panda_link0'; valid: world, link0"):
        RobotModel.load(path, base_link="panda_link0")
    with pytest.raises(ModelError, match=r"'link3' moves: joint 'joint3'.*valid: world, link0"):
        RobotModel.load(path, base_link="link3")


# The tree


def test_tree_is_read_only_and_ordered(robot):
    for name in OWN:
        tree = robot(name).tree
        assert (tree.parent < np.arange(len(tree))).all()
        assert tree.parent[0] == -1
        with pytest.raises(ValueError, match="read-only"):
            tree.mass[0] = 1
        for array in (tree.parent, tree.joint_type, tree.q_index, tree.v_index):
            assert array.dtype == np.int32
            assert array.flags.c_contiguous


def test_bodies_of_several_joints_are_several_rows(robot):
    model = robot("every_joint.xml")
    rows = [i for i, n in enumerate(model.link_names) if n.startswith("wrist")]
    names = [model.link_names[i] for i in rows]
    assert names == ["wrist/wrist_x", "wrist/wrist_slide", "wrist"]
    assert model.tree.mass[rows].tolist() == [0, 0, 0.7]
    with pytest.raises(InputError, match="'wrist/wrist_x' is not a body"):
        model.mj_body_id("wrist/wrist_x")


def test_joint_properties_reach_the_tree(robot):
    model = robot("every_joint.xml")
    row = model.link_index("arm")
    tree = model.tree
    values = (tree.armature[row], tree.damping[row], tree.frictionloss[row])
    assert values == pytest.approx((0.05, 0.7, 0.3))
    assert tree.mimic_offset[row] == -0.4
    assert tree.joint_names[row] == "hinge"
