"""URDF: what is read, against pinocchio, and what is refused with which words."""

import numpy as np
import pytest
import torch

from drrobot_ros.errors import ModelError
from drrobot_ros.robot import JointType, RobotModel
from drrobot_ros.robot.urdf import parse_urdf

LINKS = '<link name="a"/><link name="b"/>'
JOINT = (
    '<joint name="j" type="{type}"><parent link="a"/><child link="b"/>'
    '<axis xyz="0 0 2"/><limit lower="-1" upper="1" velocity="2" effort="3"/>{more}</joint>'
)


def urdf(body: str) -> str:
    return f'<robot name="r">{body}</robot>'


def one_joint(kind: str = "revolute", more: str = "") -> str:
    return urdf(LINKS + JOINT.format(type=kind, more=more))


def test_six_axis_arm_agrees_with_pinocchio(robot, models_root):
    pin = pytest.importorskip("pinocchio")
    model = robot("six_axis_arm")
    reference = pin.buildModelFromUrdf(str(models_root / "six_axis_arm" / "six_axis_arm.urdf"))
    data = reference.createData()
    q = model.random_configuration(5, seed=0)
    T = model.forward_kinematics(q).numpy()
    J = model.jacobian(q, "tool").numpy()
    frame = reference.getFrameId("tool")
    for k in range(len(q)):
        pin.computeJointJacobians(reference, data, q[k].numpy())
        pin.updateFramePlacements(reference, data)
        for row, name in enumerate(model.link_names):
            expected = data.oMf[reference.getFrameId(name)].homogeneous
            np.testing.assert_allclose(T[k, row], expected, atol=1e-12)
        expected = pin.getFrameJacobian(
            reference, data, frame, pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        )
        np.testing.assert_allclose(J[k], expected, atol=1e-12)
    np.testing.assert_allclose(model.lower, reference.lowerPositionLimit)
    np.testing.assert_allclose(model.upper, reference.upperPositionLimit)
    np.testing.assert_allclose(model.velocity_limit, reference.velocityLimit)
    np.testing.assert_allclose(model.effort_limit, reference.effortLimit)
    assert list(model.joint_names) == list(reference.names)[1:]


def test_every_joint_agrees_with_pinocchio(robot, models_root):
    """Pinocchio has no ball joint in URDF, so it stays at rest; the rest moves."""
    pin = pytest.importorskip("pinocchio")
    model = robot("every_joint.urdf")
    text = (models_root / "every_joint" / "every_joint.urdf").read_text()
    reference = pin.buildModelFromXML(text.replace('type="ball"', 'type="fixed"'))
    data = reference.createData()
    values = {"turn": 0.7, "spin": 2.5, "slide": 0.2, "finger_a": 0.4}
    q = model.q_from_mapping({**values, "float": [0.3, -0.2, 0.5, 0.6, 0.0, 0.8, 0.0]})
    values["finger_b"] = -0.5 * values["finger_a"] + 0.1
    values["tip_b"] = 0.2 * values["finger_b"]
    rest = pin.neutral(reference)
    for name, value in values.items():
        joint = reference.joints[reference.getJointId(name)]
        angle = [value] if joint.nq == 1 else [np.cos(value), np.sin(value)]
        rest[joint.idx_q : joint.idx_q + joint.nq] = angle
    start = reference.joints[reference.getJointId("float")].idx_q
    rest[start : start + 7] = [0.3, -0.2, 0.5, 0.0, 0.8, 0.0, 0.6]
    pin.framesForwardKinematics(reference, data, rest)
    T = model.forward_kinematics(q).numpy()
    for row, name in enumerate(model.link_names):
        if "planed" not in name:
            frame = reference.getFrameId(name, pin.FrameType.BODY)
            np.testing.assert_allclose(T[row], data.oMf[frame].homogeneous, atol=1e-12)


def test_inertia_is_in_link_axes(robot):
    model = robot("every_joint.urdf")
    tree = model.tree
    row = model.link_index("turned")
    pin = pytest.importorskip("pinocchio")
    R = pin.rpy.rpyToMatrix(0.5, 0, 1)
    given = np.array([[0.01, 0.0005, 0], [0.0005, 0.012, -0.0003], [0, -0.0003, 0.009]])
    np.testing.assert_allclose(tree.inertia[row], R @ given @ R.T, atol=1e-15)
    np.testing.assert_allclose(tree.com[row], [0.1, 0, -0.02])
    assert tree.mass[row] == 1.2
    assert tree.damping[row] == 0.6
    assert tree.frictionloss[row] == 0.2
    assert tree.mass[model.link_index("spun")] == 0


def test_planar_joint_moves_in_its_plane(robot):
    model = robot("every_joint.urdf")
    row = model.link_index("planed")
    at = model.q_from_mapping({"plane/x": 0.3, "plane/y": -0.2, "plane/rotation": 0.5})
    T0, T1 = model.forward_kinematics(torch.stack([model.neutral(), at]))[:, row]
    normal = T0[:3, :3] @ torch.tensor([0, 0.6, 0.8], dtype=torch.float64)
    step = T1[:3, 3] - T0[:3, 3]
    assert step @ normal == pytest.approx(0, abs=1e-12)
    assert step.norm() == pytest.approx(np.hypot(0.3, 0.2))
    assert (T1[:3, :3] @ T0[:3, :3].T @ normal - normal).abs().max() < 1e-12


def test_axis_is_normalised_and_limits_are_read():
    model = RobotModel.from_urdf_string(one_joint())
    np.testing.assert_array_equal(model.tree.axis[1], [0, 0, 1])
    assert (model.lower[0], model.upper[0]) == (-1, 1)
    assert (model.velocity_limit[0], model.effort_limit[0]) == (2, 3)


def test_continuous_joint_has_no_position_limits():
    model = RobotModel.from_urdf_string(one_joint("continuous"))
    assert model.tree.joint_type[1] == JointType.REVOLUTE
    assert (model.lower[0], model.upper[0]) == (-np.inf, np.inf)
    assert model.velocity_limit[0] == 2


def test_zero_velocity_and_effort_mean_none_given():
    text = one_joint().replace('velocity="2" effort="3"', 'velocity="0" effort="0"')
    model = RobotModel.from_urdf_string(text)
    assert model.velocity_limit[0] == np.inf
    assert model.effort_limit[0] == np.inf


def test_fixed_links_and_massless_links_stay():
    text = urdf(
        '<link name="a"/><link name="b"/><link name="c"/>'
        '<joint name="f" type="fixed"><parent link="a"/><child link="b"/></joint>'
        '<joint name="g" type="revolute"><parent link="b"/><child link="c"/>'
        '<limit lower="0" upper="0" velocity="1" effort="1"/></joint>'
    )
    model = RobotModel.from_urdf_string(text)
    assert model.link_names == ("a", "b", "c")
    assert model.tree.mass.tolist() == [0, 0, 0]
    assert model.mj_body_id("c") == 3


@pytest.mark.parametrize("root", ["world", "base"])
def test_root_link_is_the_base(root):
    text = one_joint().replace('"a"', f'"{root}"')
    model = RobotModel.from_urdf_string(text)
    assert model.base_link == root
    assert model.link_names == (root, "b")
    np.testing.assert_array_equal(model.T_world_base, np.eye(4))


def test_another_base_link_sees_the_same_robot(models_root, robot):
    path = models_root / "every_joint" / "every_joint.urdf"
    text = path.read_text().replace(
        'type="revolute">\n    <parent link="root"/>', 'type="fixed">\n    <parent link="root"/>'
    )
    usual = RobotModel.from_urdf_string(text, directory=path.parent)
    other = RobotModel.from_urdf_string(text, directory=path.parent, base_link="turned")
    assert other.link_names[0] == "turned"
    q = usual.random_configuration(3, seed=1)
    T_root_turned = usual.forward_kinematics(q)[:, usual.link_index("turned")]
    T = other.forward_kinematics(q)
    for name in usual.link_names:
        expected = usual.forward_kinematics(q)[:, usual.link_index(name)]
        torch.testing.assert_close(T_root_turned @ T[:, other.link_index(name)], expected)
    torch.testing.assert_close(torch.from_numpy(other.T_world_base), T_root_turned[0])


def test_unusable_inertia_still_compiles_and_the_tree_keeps_it():
    inertial = (
        '<inertial><mass value="1"/>'
        '<inertia ixx="1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    text = one_joint().replace('<link name="b"/>', f'<link name="b">{inertial}</link>')
    model = RobotModel.from_urdf_string(text)
    np.testing.assert_allclose(np.diag(model.tree.inertia[1]), [1, 0.1, 0.1])


def test_extensions_with_undeclared_prefixes_are_passed_over():
    text = urdf(LINKS + JOINT.format(type="revolute", more='<drake:gear value="3"/>'))
    assert RobotModel.from_urdf_string(text.replace("<limit ", '<limit gz:x="1" ')).nq == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["robot_description", "empty"]),
        ("hello", ["not XML", "line 1"]),
        ("<robot name='r'>\n<link name='a'>\n</robot>", ["mismatched tag", "line 3", "</robot>"]),
        ("<sdf/>", ["not a URDF", "<sdf>", "<robot>"]),
        (urdf(""), ["no links"]),
        (urdf('<link name="a"/><link name="a"/>'), ["link 'a'", "twice"]),
        (urdf(LINKS + 2 * JOINT.format(type="fixed", more="")), ["joint 'j'", "twice"]),
        (urdf(LINKS), ["not connected", "a, b"]),
        (one_joint("screw"), ["joint 'j'", "'screw'", "revolute", "planar"]),
        (one_joint().replace('child link="b"', 'child link="x"'), ["child link 'x'", "a, b"]),
        (one_joint().replace('xyz="0 0 2"', 'xyz="0 0 0"'), ["joint 'j'", "axis", "zero"]),
        (one_joint().replace('xyz="0 0 2"', 'xyz="0 zero"'), ["joint 'j'", "xyz", "'0 zero'"]),
        (one_joint().replace('lower="-1"', 'lower="2"'), ["joint 'j'", "lower limit 2.0"]),
        (one_joint(more='<mimic joint="k"/>'), ["mimic joint 'k'", "valid: j"]),
        (one_joint(more='<mimic joint="j"/>'), ["j -> j"]),
        (one_joint("floating", '<mimic joint="j"/>'), ["floating joint cannot mimic"]),
        (urdf('<link name="a"><visual/></link>'), ["link 'a', visual 1", "geometry"]),
        (
            urdf('<link name="a"><visual><geometry><cone/></geometry></visual></link>'),
            ["link 'a', visual 1", "'cone'", "cylinder"],
        ),
        (
            urdf('<link name="a"><visual><geometry><box/></geometry></visual></link>'),
            ["link 'a', visual 1", "<box> has no size"],
        ),
        (
            urdf('<link name="a"><inertial><mass value="nan"/></inertial></link>'),
            ["link 'a', inertial", "'nan'"],
        ),
        (
            urdf(
                '<link name="a"><visual><geometry><sphere radius="-1"/></geometry></visual></link>'
            ),
            ["positive", "-1"],
        ),
        (
            urdf('<link name="${prefix}a"/>'),
            ["xacro", "${prefix}a"],
        ),
        (
            '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arm/></robot>',
            ["<xacro:arm>", "expand"],
        ),
        ("<robot><xacro:arm/></robot>", ["<xacro:arm>", "expand"]),
    ],
)
def test_errors_say_what_and_where(text, words):
    with pytest.raises(ModelError) as caught:
        RobotModel.from_urdf_string(text)
    for word in words:
        assert word in str(caught.value)


def test_two_parents_are_refused():
    second = JOINT.format(type="fixed", more="").replace('"j"', '"k"').replace('"a"', '"c"')
    text = urdf(LINKS + '<link name="c"/>' + JOINT.format(type="fixed", more="") + second)
    with pytest.raises(ModelError, match="link 'b' is the child of two joints, 'j' and 'k'"):
        parse_urdf(text)


def test_a_loop_is_named():
    links = "".join(f'<link name="{n}"/>' for n in "abcd")
    joints = "".join(
        f'<joint name="{p}{c}" type="fixed"><parent link="{p}"/><child link="{c}"/></joint>'
        for p, c in ("bc", "cd", "db")
    )
    with pytest.raises(
        ModelError, match=r"loop: b -> c -> d -> b|c -> d -> b -> c|d -> b -> c -> d"
    ):
        parse_urdf(urdf(links + joints))


def test_unknown_base_link_is_refused():
    with pytest.raises(ModelError, match="unknown base_link 'base'; valid: a, b"):
        RobotModel.from_urdf_string(one_joint(), base_link="base")


def test_moving_base_link_is_refused():
    with pytest.raises(ModelError, match=r"base_link 'b' moves: joint 'j'.*valid: a"):
        RobotModel.from_urdf_string(one_joint(), base_link="b")


def test_deep_chains_load():
    n = 300
    links = "".join(f'<link name="l{i}"/>' for i in range(n))
    joints = "".join(
        JOINT.format(type="revolute", more="")
        .replace('"j"', f'"j{i}"')
        .replace('"a"', f'"l{i}"')
        .replace('"b"', f'"l{i + 1}"')
        for i in range(n - 1)
    )
    assert parse_urdf(urdf(links + joints)).joints[-1].child == f"l{n - 1}"
