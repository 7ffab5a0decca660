"""Velocities, accelerations, Jacobian derivatives, energy, wrenches and integration."""

import pytest
import torch
from oracles import coupled_motions, every_motion, relative, states

from drrobot_ros.errors import InputError


@pytest.fixture(params=["every", "coupled"])
def model(request):
    return every_motion() if request.param == "every" else coupled_motions()


def moved(model, s, t):
    """The configuration after time t with constant acceleration, to second order."""
    return model.integrate(s.q, t * s.v + t * t / 2 * s.a)


def test_velocities_are_the_jacobian_times_v(model):
    s = states(model, 5)
    J = model.jacobians(s.q)
    expected = (J @ s.v[:, None, :, None]).squeeze(-1)
    assert torch.allclose(model.link_velocities(s.q, s.v), expected)


def test_accelerations_and_jacobian_derivative(model):
    s = states(model, 5)
    h = 1e-5
    row = len(model.tree) - 2
    point = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    ahead = model.jacobian(model.integrate(s.q, h * s.v), row, point)
    behind = model.jacobian(model.integrate(s.q, -h * s.v), row, point)
    rate = model.jacobian_derivative(s.q, s.v, row, point)
    assert torch.allclose(rate, (ahead - behind) / (2 * h), atol=1e-6)
    J, rate = model.jacobian(s.q, row), model.jacobian_derivative(s.q, s.v, row)
    expected = (J @ s.a[..., None] + rate @ s.v[..., None]).squeeze(-1)
    assert torch.allclose(model.link_accelerations(s.q, s.v, s.a)[:, row], expected)


def test_energy_is_power(model):
    s = states(model, 4)
    h = 1e-5

    def total(t):
        kinetic, potential = model.energy(moved(model, s, t), s.v + t * s.a)
        return kinetic + potential

    tau = model.inverse_dynamics(s.q, s.v, s.a, resistance=False)
    power = (tau * s.v).sum(-1)
    assert torch.allclose((total(h) - total(-h)) / (2 * h), power, rtol=1e-5, atol=1e-4)
    kinetic, _ = model.energy(s.q, s.v)
    M = model.mass_matrix(s.q)
    assert torch.allclose(kinetic, (s.v[:, None] @ M @ s.v[..., None]).squeeze() / 2)


def test_coriolis_matrix(robot):
    model = robot("universal_robots_ur5e")
    s = states(model, 4)
    C = model.coriolis_matrix(s.q, s.v)
    bias = model.bias_forces(s.q, s.v) - model.gravity_forces(s.q)
    assert torch.allclose((C @ s.v[..., None]).squeeze(-1), bias, atol=1e-10)
    h = 1e-5
    ahead, behind = (model.mass_matrix(s.q + sign * h * s.v) for sign in (1, -1))
    skew = (ahead - behind) / (2 * h) - 2 * C
    assert (skew + skew.mT).abs().max() < 1e-6


def test_wrenches(model):
    s = states(model, 3)
    row = model.link_index("tip")
    wrench = torch.randn(3, 6, dtype=torch.float64)
    free = model.inverse_dynamics(s.q, s.v, s.a)
    pushed = model.inverse_dynamics(s.q, s.v, s.a, wrenches={"tip": wrench})
    expected = (model.jacobian(s.q, row).mT @ wrench[..., None]).squeeze(-1)
    assert torch.allclose(free - pushed, expected)
    a = model.forward_dynamics(s.q, s.v, pushed, wrenches={"tip": wrench})
    assert relative(a, s.a) < 1e-9
    with pytest.raises(InputError, match="tpi"):
        model.inverse_dynamics(s.q, s.v, s.a, wrenches={"tpi": wrench})
    with pytest.raises(InputError, match="6"):
        model.inverse_dynamics(s.q, s.v, s.a, wrenches={"tip": wrench[:, :3]})


def test_weight_as_a_wrench(model):
    """Gravity is the same as a force at every centre of mass."""
    q = states(model, 3).q
    T = model.forward_kinematics(q)
    total = torch.zeros(3, model.nv, dtype=torch.float64)
    for row in range(len(model.tree)):
        if model.tree.mass[row] == 0:
            continue
        com = torch.from_numpy(model.tree.com[row].copy())
        force = torch.from_numpy(model.gravity * model.tree.mass[row])
        arm = (T[:, row, :3, :3] @ com).expand(3, 3)
        moment = torch.linalg.cross(arm, force.expand(3, 3))
        J = model.jacobian(q, row)
        total = total - (J.mT @ torch.cat([force.expand(3, 3), moment], -1)[..., None]).squeeze(-1)
    assert torch.allclose(model.gravity_forces(q), total, atol=1e-9)


def test_orders_of_integration(model):
    s = states(model, 1)
    tau = model.inverse_dynamics(s.q, s.v, 0.1 * s.a, resistance=False)

    def after(steps, method):
        q, v = s.q, s.v
        for _ in range(steps):
            q, v = model.step(q, v, tau, 0.02 / steps, method=method, resistance=False)
        return q, v

    q_true, v_true = after(64, "rk4")
    for method, order in (("semi_implicit", 1), ("rk4", 4)):
        errors = []
        for steps in (4, 8):
            q, v = after(steps, method)
            errors.append(float((v - v_true).norm() + model.difference(q, q_true).norm()))
        assert errors[0] / errors[1] > 0.8 * 2**order
    with pytest.raises(InputError, match="semi_implicit, rk4"):
        model.step(s.q, s.v, tau, 0.01, method="euler")
    with pytest.raises(InputError, match="dt_s"):
        model.step(s.q, s.v, tau, 0.0)


def test_steps_are_differentiable(model):
    s = states(model, 1)
    tau = s.a.clone().requires_grad_()
    q, v = s.q, s.v
    for _ in range(3):
        q, v = model.step(q, v, tau, 0.01, method="rk4")
    (g,) = torch.autograd.grad(q.sum() + v.sum(), tau)
    assert torch.isfinite(g).all()
    assert (g != 0).all()


def test_regressor(model):
    s = states(model, 4)
    phi = model.inertial_numbers()
    tau = (model.regressor(s.q, s.v, s.a) * phi).sum((-1, -2))
    armature = model.mass_matrix(s.q[:1]) * 0
    x = model._kinematics.prepared(s.q)
    armature = s.a * x.armature
    assert relative(tau + armature, model.inverse_dynamics(s.q, s.v, s.a, resistance=False)) < 1e-10
