"""First and second derivatives of every joint type: right, and finite at rest."""

import pytest
import torch
from oracles import coupled_motions, every_motion, states
from torch.autograd import gradcheck, gradgradcheck

from drrobot_ros.robot import RobotModel

HEAD = '<mujoco><worldbody><body name="base"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>'
BODY = (
    '<body name="a" pos=".1 .2 .3" euler="20 30 40">{joint}'
    '<inertial pos=".1 -.2 .3" mass="2" diaginertia=".3 .4 .5"/>'
    '<body name="b" pos=".2 0 .1"><joint name="last" axis="0 1 1" damping=".2" frictionloss=".3"/>'
    '<inertial pos="0 .1 .2" mass="1" diaginertia=".1 .2 .25"/></body></body>'
)
JOINTS = {
    "revolute": '<joint name="j" axis="1 2 3" pos=".1 0 .2"/>',
    "prismatic": '<joint name="j" type="slide" axis="1 2 3"/>',
    "ball": '<joint name="j" type="ball" pos=".1 0 .2"/>',
    "fixed": "",
    "two on one body": '<joint name="j" axis="1 0 0"/><joint name="k" axis="0 1 0" pos="0 .1 0"/>',
}


def model_with(kind: str) -> RobotModel:
    if kind == "floating":
        body = BODY.format(joint='<freejoint name="j"/>')
        return RobotModel.from_mjcf(f"<mujoco><worldbody>{body}</worldbody></mujoco>")
    if kind == "coupled":
        return coupled_motions()
    text = HEAD + BODY.format(joint=JOINTS[kind]) + "</body></worldbody></mujoco>"
    return RobotModel.from_mjcf(text)


KINDS = [*JOINTS, "floating", "coupled"]
FUNCTIONS = {
    "inverse": lambda m, q, v, a: m.inverse_dynamics(q, v, a),
    "forward": lambda m, q, v, a: m.forward_dynamics(q, v, a),
    "mass": lambda m, q, v, a: m.mass_matrix(q),
    "pose": lambda m, q, v, a: m.forward_kinematics(q),
    "jacobian": lambda m, q, v, a: m.jacobian(q, len(m.tree) - 1),
    "velocity": lambda m, q, v, a: m.link_velocities(q, v),
    "acceleration": lambda m, q, v, a: m.link_accelerations(q, v, a),
}


def inputs(model, n=2, still=False):
    s = states(model, n)
    if still:
        s.q = model.neutral().expand(n, -1).clone()
        s.v, s.a = torch.zeros_like(s.v), torch.zeros_like(s.a)
    return [x.clone().requires_grad_() for x in (s.q, s.v, s.a)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives(kind, name):
    model = model_with(kind)

    def run(q, v, a):
        return FUNCTIONS[name](model, q, v, a)

    x = inputs(model, 1)
    assert gradcheck(run, x, atol=1e-6, rtol=1e-5)
    if kind != "coupled" or name in ("inverse", "forward"):
        assert gradgradcheck(run, x, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_finite_at_rest_and_right_there(kind, name):
    model = model_with(kind)

    def run(q, v, a):
        return FUNCTIONS[name](model, q, v, a)

    x = inputs(model, 1, still=True)
    assert gradcheck(run, x, atol=1e-6, rtol=1e-5)
    first = torch.autograd.grad(run(*x).square().sum(), x, create_graph=True, allow_unused=True)
    second = torch.autograd.grad([g.sum() for g in first if g is not None], x, allow_unused=True)
    for g in (*first, *second):
        assert g is None or torch.isfinite(g).all()


def test_massless_links_on_the_way():
    text = (
        '<mujoco><worldbody><body name="base"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>'
        '<body name="a"><joint name="x" axis="1 0 0"/><joint name="y" axis="0 1 0"/>'
        '<joint name="z" axis="0 0 1"/><inertial pos="0 0 .1" mass="1" diaginertia=".1 .1 .1"/>'
        "</body></body></worldbody></mujoco>"
    )
    model = RobotModel.from_mjcf(text)
    assert (model.tree.mass == 0).sum() == 2
    x = inputs(model, 3, still=True)
    assert gradcheck(model.forward_dynamics, x, atol=1e-6)
    assert gradcheck(model.inverse_dynamics, x, atol=1e-6)


def test_quaternions_need_not_be_unit():
    model = every_motion()
    q, v, a = inputs(model, 2)
    scaled = q.detach().clone()
    scaled[:, 3:7] *= 1.7
    assert torch.allclose(model.inverse_dynamics(scaled, v, a), model.inverse_dynamics(q, v, a))
    scaled.requires_grad_()
    assert gradcheck(model.inverse_dynamics, (scaled, v, a), atol=1e-6)


@pytest.mark.parametrize("kind", ["revolute", "floating"])
def test_derivative_matrices_are_those_of_the_tangent(kind):
    model = model_with(kind)
    s = states(model, 2)
    dq, dv, da = model.inverse_dynamics_derivatives(s.q, s.v, s.a)
    step = 1e-6
    for j in range(model.nv):
        e = torch.zeros(model.nv, dtype=torch.float64)
        e[j] = step
        up, down = (
            model.inverse_dynamics(model.integrate(s.q, sign * e), s.v, s.a) for sign in (1, -1)
        )
        assert torch.allclose(dq[..., j], (up - down) / (2 * step), atol=1e-6)
        up, down = (model.inverse_dynamics(s.q, s.v + sign * e, s.a) for sign in (1, -1))
        assert torch.allclose(dv[..., j], (up - down) / (2 * step), atol=1e-6)
    assert torch.allclose(da, model.mass_matrix(s.q))


def test_torch_func():
    model = model_with("revolute")
    q, v, a = (x.detach()[0] for x in inputs(model, 1))
    jacobian = torch.func.jacrev(model.inverse_dynamics)(q, v, a)
    assert torch.allclose(jacobian, model.inverse_dynamics_derivatives(q, v, a)[0])
    forward = torch.func.jacfwd(model.inverse_dynamics)(q, v, a)
    assert torch.allclose(forward, jacobian)
    batch = torch.func.vmap(model.inverse_dynamics)(*(x.expand(3, -1) for x in (q, v, a)))
    assert torch.allclose(batch[2], model.inverse_dynamics(q, v, a))


def test_derivative_matrices_without_the_kernels():
    model = model_with("floating")
    s = states(model, 3)
    fast = model.inverse_dynamics_derivatives(s.q, s.v, s.a)
    model._kinematics._no_native = True
    for x, y in zip(fast, model.inverse_dynamics_derivatives(s.q, s.v, s.a), strict=True):
        assert torch.allclose(x, y)


@pytest.mark.parametrize("kind", ["revolute", "prismatic"])
@pytest.mark.parametrize("name", ["gravity_forces", "bias_forces"])
def test_gradients_where_velocity_or_acceleration_is_left_out(name: str, kind: str) -> None:
    """What is left out counts as zero; the kernels' gradients must cope with it."""
    model = model_with(kind)
    q = torch.linspace(-0.6, 0.9, 2 * model.nq, dtype=torch.float64).reshape(2, -1)
    inputs = [q, q.flip(0)][: 1 if name == "gravity_forces" else 2]
    assert gradcheck(getattr(model, name), [x.clone().requires_grad_() for x in inputs])
