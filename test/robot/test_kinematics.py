"""Forward kinematics and Jacobians against MuJoCo, and their derivatives."""

import mujoco
import numpy as np
import pytest
import torch
from mujoco_kinematics import bodies, link_jacobian, link_pose, posed
from torch.autograd import gradcheck, gradgradcheck

from drrobot_ros.errors import InputError
from drrobot_ros.robot import JointType, RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES

OWN = ["six_axis_arm", "every_joint.urdf", "every_joint.xml"]
TOLERANCE = 1e-9


@pytest.fixture(params=[*OWN, *MAIN_FILES])
def model(request, robot) -> RobotModel:
    return robot(request.param)


@pytest.fixture(params=["native", "torch"])
def use_backend(request, monkeypatch):
    """A function that makes a model compute in C++ or in torch; every test runs in both."""

    def use(model: RobotModel) -> RobotModel:
        engine = model._kinematics
        if request.param == "torch":
            monkeypatch.setattr(engine, "_no_native", True)
        elif not engine.uses_native(torch.zeros(1)):
            pytest.skip("the C++ library is not built")
        return model

    return use


def test_agrees_with_mujoco(model, use_backend):
    use_backend(model)
    q = model.random_configuration(5, seed=1)
    T = model.forward_kinematics(q).numpy()
    J = model.jacobians(q).numpy()
    for k in range(len(q)):
        data = posed(model, q[k])
        for row, body in bodies(model):
            world = model.T_world_base @ T[k, row]
            np.testing.assert_allclose(world, link_pose(data, body), atol=TOLERANCE, rtol=0)
            expected = link_jacobian(model, data, body, data.xpos[body])
            np.testing.assert_allclose(J[k, row], expected, atol=TOLERANCE, rtol=0)


def test_tree_inertials_are_mujocos(model):
    m = model.mj_model
    for row, body in bodies(model):
        mass = model.tree.mass[row]
        if mass == 0:
            assert m.body_mass[body] <= 1e-3  # URDF without inertia: tiny, for MuJoCo only
            continue
        assert mass == pytest.approx(m.body_mass[body], abs=0)
        np.testing.assert_allclose(model.tree.com[row], m.body_ipos[body], atol=1e-15)
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, m.body_iquat[body])
        R = R.reshape(3, 3)
        expected = R @ np.diag(m.body_inertia[body]) @ R.T
        np.testing.assert_allclose(model.tree.inertia[row], expected, rtol=1e-12, atol=1e-15)


def test_float32_is_accurate(model, use_backend):
    use_backend(model)
    q = model.random_configuration(3, seed=2)
    T = model.forward_kinematics(q)
    single = model.forward_kinematics(q.float())
    assert single.dtype == torch.float32
    assert (single.double() - T).abs().max() < 5e-6


@pytest.mark.parametrize("name", OWN)
def test_every_joint_type_is_there(name, robot):
    types = {JointType(int(t)) for t in robot(name).tree.joint_type}
    expected = {JointType.FIXED, JointType.REVOLUTE}
    assert types == (expected if name == "six_axis_arm" else set(JointType))


@pytest.mark.parametrize("name", OWN)
def test_jacobian_of_a_point(name, robot, use_backend):
    model = use_backend(robot(name))
    q = model.random_configuration(4, seed=3)
    point = torch.randn(4, 3, dtype=torch.float64)
    for row, body in bodies(model):
        J = model.jacobian(q, row, point).numpy()
        for k in range(len(q)):
            data = posed(model, q[k])
            world = link_pose(data, body) @ [*point[k].tolist(), 1]
            expected = link_jacobian(model, data, body, world[:3])
            np.testing.assert_allclose(J[k], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", OWN)
def test_jacobian_is_the_derivative_along_integrate(name, robot, use_backend):
    """Holds the conventions of v, integrate and the Jacobian together."""
    model = use_backend(robot(name))
    q = model.random_configuration(1, seed=4)[0]
    T0 = model.forward_kinematics(q)

    def positions(v):
        return model.forward_kinematics(model.integrate(q, v))[:, :3, 3]

    def rotations(v):
        return model.forward_kinematics(model.integrate(q, v))[:, :3, :3]

    zero = torch.zeros(model.nv, dtype=torch.float64)
    J = model.jacobians(q)
    linear = torch.autograd.functional.jacobian(positions, zero)
    torch.testing.assert_close(J[:, :3], linear, atol=1e-10, rtol=0)
    dR = torch.autograd.functional.jacobian(rotations, zero)
    spin = torch.einsum("lijv,lkj->likv", dR, T0[:, :3, :3])  # dR R^T = hat(w)
    w = torch.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], dim=1)
    torch.testing.assert_close(J[:, 3:], w, atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", OWN)
def test_gradients_at_zero_and_elsewhere(name, robot, use_backend):
    model = use_backend(robot(name))
    rest = torch.zeros(model.nq, dtype=torch.float64)
    for joint in model._parts.joints:
        if joint.type in (JointType.BALL, JointType.FLOATING):
            rest[joint.q_slice.stop - 4] = 1.0
    for q in (rest, model.random_configuration(1, seed=5)[0]):
        q = q.clone().requires_grad_()  # noqa: PLW2901
        assert gradcheck(model.forward_kinematics, q)
        assert gradgradcheck(lambda x: model.forward_kinematics(x)[-1], q)
    last = len(model.link_names) - 1
    assert gradcheck(lambda x: model.jacobian(x, last), rest.clone().requires_grad_())


def test_batches(robot, use_backend):
    model = use_backend(robot("every_joint.xml"))
    q = model.random_configuration(6, seed=6)
    T, J = model.forward_kinematics(q), model.jacobians(q)
    nested = q.reshape(2, 1, 3, -1)
    torch.testing.assert_close(model.forward_kinematics(nested).flatten(0, 2), T)
    torch.testing.assert_close(model.jacobians(nested).flatten(0, 2), J)
    torch.testing.assert_close(model.forward_kinematics(q[2]), T[2])
    torch.testing.assert_close(model.jacobian(q, "swivel"), J[:, model.link_index("swivel")])
    assert model.forward_kinematics(q[:0]).shape == (0, *T.shape[1:])


def test_base_is_the_identity(model):
    T = model.forward_kinematics(model.random_configuration(2, seed=7))
    torch.testing.assert_close(T[:, 0], torch.eye(4, dtype=torch.float64).expand(2, 4, 4))


def test_wrong_input_is_refused(robot):
    model = robot("six_axis_arm")
    with pytest.raises(InputError, match=r"q must be \[..., 6\], got \[2, 7\]"):
        model.forward_kinematics(torch.zeros(2, 7))
    with pytest.raises(InputError, match="unknown link 'grpper'; valid: base_link, shoulder"):
        model.jacobian(torch.zeros(6), "grpper")


def test_everything_is_on_the_device_of_q(robot):
    """Torch refuses to mix devices, so a constant left on the CPU is an error here."""
    model = robot("every_joint.xml")
    q = torch.zeros(2, model.nq, device="meta")
    assert model.forward_kinematics(q).shape == (2, len(model.link_names), 4, 4)
    assert model.jacobian(q, 3, torch.zeros(3)).shape == (2, 6, model.nv)
    v = torch.zeros(2, model.nv, device="meta")
    assert model.difference(q, model.integrate(q, v)).device == q.device


@pytest.mark.gpu
def test_gpu_gives_the_same(model):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    q = model.random_configuration(4, seed=8)
    torch.testing.assert_close(
        model.forward_kinematics(q.cuda()).cpu(), model.forward_kinematics(q), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(model.jacobians(q.cuda()).cpu(), model.jacobians(q))
