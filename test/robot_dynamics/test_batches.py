"""Shapes, types, odd batch sizes and threads: the same numbers every time."""

import copy
import pickle

import pytest
import torch
from oracles import every_motion, relative, states

from drrobot_ros.native.library import num_threads, set_num_threads


@pytest.fixture(scope="module")
def model():
    return every_motion()


def test_leading_dimensions_broadcast(model):
    s = states(model, 6)
    tau = model.inverse_dynamics(s.q, s.v, s.a)
    nested = model.inverse_dynamics(
        s.q.reshape(2, 3, -1), s.v.reshape(2, 3, -1), s.a.reshape(2, 3, -1)
    )
    assert torch.equal(nested.reshape(6, -1), tau)
    assert torch.equal(model.inverse_dynamics(s.q[2], s.v[2], s.a[2]), tau[2])
    wide = model.inverse_dynamics(s.q[:, None], s.v[0], s.a[0])
    assert wide.shape == (6, 1, model.nv)
    assert torch.allclose(wide[3, 0], model.inverse_dynamics(s.q[3], s.v[0], s.a[0]))
    assert model.mass_matrix(s.q.reshape(2, 3, -1)).shape == (2, 3, model.nv, model.nv)
    assert model.forward_dynamics(s.q[:0], s.v[:0], s.a[:0]).shape == (0, model.nv)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 15, 17, 200])
def test_every_remainder(model, n):
    s = states(model, 200)
    for run in (model.inverse_dynamics, model.forward_dynamics):
        assert torch.allclose(run(s.q[:n], s.v[:n], s.a[:n]), run(s.q, s.v, s.a)[:n], atol=1e-9)


def test_single_precision(model):
    s = states(model, 50)
    low = [x.float() for x in (s.q, s.v, s.a)]
    for run in (model.inverse_dynamics, model.forward_dynamics):
        found = run(*low)
        assert found.dtype == torch.float32
        assert relative(found.double(), run(s.q, s.v, s.a)) < 2e-4
    assert relative(model.mass_matrix(low[0]).double(), model.mass_matrix(s.q)) < 1e-5


def test_float32_far_from_the_base(model):
    s = states(model, 20)
    far = s.q.clone()
    far[:, :3] += 1000.0
    tau = model.inverse_dynamics(s.q, s.v, s.a)
    assert (
        relative(model.inverse_dynamics(far.float(), s.v.float(), s.a.float()).double(), tau) < 1e-4
    )


def test_sums_do_not_depend_on_threads(model):
    s = states(model, 1000)
    module = model.make_learnable("two", "mass")
    before = num_threads()
    found = []
    for count in (1, 2, 3):
        set_num_threads(count)
        module.zero_grad()
        model.inverse_dynamics(s.q, s.v, s.a).square().sum().backward()
        found.append([p.grad.clone() for p in module.parameters()])
    set_num_threads(before)
    assert all(
        torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True)
    )


def test_strided_and_broadcast_inputs(model):
    s = states(model, 8)
    tau = model.inverse_dynamics(s.q, s.v, s.a)
    assert torch.equal(model.inverse_dynamics(s.q.T.contiguous().T, s.v, s.a), tau)
    still = s.v[:1] * 0
    assert torch.allclose(
        model.inverse_dynamics(s.q, still.expand(8, -1), still.expand(8, -1)),
        model.gravity_forces(s.q),
    )


def test_copies_stand_alone():
    model = every_motion()
    s = states(model, 3)
    model.make_learnable("tip", "mass")
    tau = model.inverse_dynamics(s.q, s.v, s.a)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other._kinematics._plan is None
        assert torch.equal(other.inverse_dynamics(s.q, s.v, s.a), tau)
        with torch.no_grad():
            next(other.parameters()).add_(1.0)
        assert not torch.equal(other.inverse_dynamics(s.q, s.v, s.a), tau)
    assert torch.equal(model.inverse_dynamics(s.q, s.v, s.a), tau)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda(model):
    s = states(model, 50)
    there = [x.cuda() for x in (s.q, s.v, s.a)]
    for run in (model.inverse_dynamics, model.forward_dynamics):
        assert relative(run(*there).cpu(), run(s.q, s.v, s.a)) < 1e-8
