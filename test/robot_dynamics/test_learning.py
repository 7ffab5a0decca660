"""Learned parameters: used everywhere, physical, and refused where they make no sense."""

import pytest
import torch
from oracles import every_motion, relative, states
from torch import nn
from torch.autograd import gradcheck

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot.learning import PARAMETERS
from drrobot_ros.robot.parametrizations import Bounded, Free, LogCholesky, Positive


@pytest.fixture
def model():
    return every_motion()


def shake(module, size=0.3):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_starts_where_the_model_is(model, parameter):
    s = states(model, 3)
    before = model.inverse_dynamics(s.q, s.v, s.a)
    module = model.make_learnable("tip", parameter)
    assert isinstance(module, nn.Module)
    off = relative(model.inverse_dynamics(s.q, s.v, s.a).detach(), before)
    # Damping, friction and armature of zero start just above it.
    zero = parameter in ("damping", "friction", "armature")
    assert off < (1e-3 if zero else 1e-12)


LEARNED = [
    *(("tip", p) for p in PARAMETERS if p != "sensor_gain"),
    # Every joint type has its own way to its frame.
    *((link, "link_frame") for link in ("trunk", "ball", "slide", "two", "held")),
    ("slide", "joint_offset"),
    ("ball", "armature"),
]


@pytest.mark.parametrize(("link", "parameter"), LEARNED)
@pytest.mark.parametrize("work", ["inverse_dynamics", "forward_kinematics"])
def test_gradients(model, link, parameter, work):
    s = states(model, 3)
    module = model.make_learnable(link, parameter)
    shake(module, 0.1)
    start = [p.detach().clone() for p in model.parameters()]

    def run(*values):
        with torch.no_grad():
            for p, value in zip(model.parameters(), values, strict=True):
                p.copy_(value)
        for p in model.parameters():
            p.grad = None
        if work == "forward_kinematics":
            return model.forward_kinematics(s.q)
        return model.inverse_dynamics(s.q, s.v, s.a)

    weights = torch.randn(run(*start).shape, dtype=torch.float64)
    loss = (run(*start) * weights).sum()
    found = torch.autograd.grad(loss, list(model.parameters()))
    h = 1e-6
    for k, value in enumerate(start):
        for i in range(value.numel()):
            losses = []
            for sign in (1, -1):
                bent = [x.clone() for x in start]
                bent[k].view(-1)[i] += sign * h
                losses.append(float((run(*bent) * weights).sum().detach()))
            slope = (losses[0] - losses[1]) / (2 * h)
            assert slope == pytest.approx(float(found[k].view(-1)[i]), rel=1e-4, abs=1e-5)


def test_forward_dynamics_gradients_are_those_of_the_reference(model):
    s = states(model, 5)
    for parameter in ("inertial", "damping", "friction", "armature", "joint_offset", "link_frame"):
        shake(model.make_learnable("tip", parameter), 0.1)
    weights = torch.randn(5, model.nv, dtype=torch.float64)

    def gradients(create_graph):
        a = model.forward_dynamics(s.q, s.v, s.a)
        loss = (a * weights).sum()
        return torch.autograd.grad(loss, list(model.parameters()), create_graph=create_graph)

    # With a graph the gradients come from torch, without from C++.
    for fast, slow in zip(gradients(False), gradients(True), strict=True):
        assert torch.allclose(fast, slow, rtol=1e-6, atol=1e-9)


def test_log_cholesky_is_always_physical(model):
    module = model.make_learnable("ball", "inertial")
    for size in (0.3, 1.0, 3.0):
        shake(module, size)
        mass, _, inertia = module()
        moments = torch.linalg.eigvalsh(inertia)
        assert mass > 0
        assert moments[0] > 0
        assert moments[2] <= (moments[0] + moments[1]) * (1 + 1e-9)
    module = model.make_learnable("tip", "inertia")
    shake(module, 2.0)
    moments = torch.linalg.eigvalsh(module())
    assert moments[0] > 0
    assert moments[2] <= (moments[0] + moments[1]) * (1 + 1e-9)


def test_optimizer_finds_masses(model):
    truth = every_motion()
    s = states(model, 64)
    target = truth.inverse_dynamics(s.q, s.v, s.a)
    for link in ("ball", "tip"):
        model.make_learnable(link, "mass", lambda m: Positive(1.3 * m))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        (model.inverse_dynamics(s.q, s.v, s.a) - target).square().mean().backward()
        optimizer.step()
    tree = model.learned_tree()
    for link in ("ball", "tip"):
        row = model.link_index(link)
        assert tree.mass[row] == pytest.approx(truth.tree.mass[row], rel=1e-2)
    assert model.tree.mass[model.link_index("tip")] == 1.0  # as loaded


def test_forward_kinematics_sees_offsets_and_frames(model):
    q = states(model, 2).q.requires_grad_()
    module = model.make_learnable("tip", "joint_offset")
    model.make_learnable("tip", "link_frame")
    T = model.forward_kinematics(q)
    loss = T[:, model.link_index("tip"), :3, 3].square().sum() + T.sum()
    gradients = torch.autograd.grad(loss, list(model.parameters()), create_graph=False)
    assert all((g != 0).any() for g in gradients)
    with torch.no_grad():
        next(module.parameters()).fill_(0.25)
    i = model.joint_q_index("tip")
    turned = q.detach().clone()
    turned[:, i] += 0.25
    assert torch.allclose(model.forward_kinematics(q), every_motion().forward_kinematics(turned))
    assert gradcheck(model.forward_kinematics, (q,), atol=1e-6)


def test_link_length(model):
    row = model.link_index("tip")
    model.make_learnable("tip", "link_length", lambda length: Free(2 * length))
    T = model.learned_tree().T_parent_joint[row, :3, 3]
    assert pytest.approx(2 * model.tree.T_parent_joint[row, :3, 3]) == T


def test_sensor_gain(model):
    tau = torch.ones(2, model.nv, dtype=torch.float64)
    assert torch.equal(model.sensed(tau), tau)
    model.make_learnable("tip", "sensor_gain", Free(1.5))
    shown = model.sensed(tau)
    assert shown[0, model.joint_v_index("tip")] == 1.5
    assert float(shown[0].detach().sum()) == model.nv + 0.5


def test_freeze(model):
    model.make_learnable("tip", "mass")
    model.make_learnable("ball", "com")
    model.freeze("tip", "mass")
    s = states(model, 2)
    model.inverse_dynamics(s.q, s.v, s.a).sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert grads["tip:mass.log_value"] is None
    assert grads["ball:com.value"] is not None
    model.unfreeze()
    assert all(p.requires_grad for p in model.parameters())
    assert model.learnable == (("tip", "mass"), ("ball", "com"))


def test_state(model):
    shake(model.make_learnable("tip", "inertial"))
    saved = model.state_dict()
    other = every_motion()
    with pytest.raises(InputError, match="do not fit"):
        other.load_state_dict(saved)
    other.make_learnable("tip", "inertial")
    other.load_state_dict(saved)
    assert other.learned_tree().com == pytest.approx(model.learned_tree().com)


def test_a_network_can_stand_in(model):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 3))

        def forward(self):
            return 0.1 * self.layers(torch.ones(1))

    model.make_learnable("tip", "com", Net())
    s = states(model, 2)
    model.inverse_dynamics(s.q, s.v, s.a).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tpi", "mass"), ["tpi", "valid:", "tip", "slide"]),
        (("tip", "mas"), ["'mas'", "valid:", "mass", "link_frame"]),
        ((99, "mass"), ["99", "valid: 0 to"]),
        (("held", "damping"), ["held", "fixed", "tip"]),
        (("world", "link_frame"), ["world", "base"]),
        (("ball", "joint_offset"), ["ball", "single"]),
        (("tip", "com", Free(1.0)), ["tip", "[3]", "[]"]),
        (("tip", "mass", Free(float("nan"))), ["tip", "finite"]),
        (("tip", "com", nn.Linear(2, 3)), ["tip", "no argument"]),
        (("tip", "mass", 3.0), ["module"]),
        (("two/slide", "mass"), ["two/slide", "mass 0", "positive"]),
        (("two/slide", "inertial"), ["two/slide", "mass 0", "of_box"]),
        (("tip", "mass", lambda m: Bounded(m, 3, 4)), ["tip", "between 3 and 4"]),
    ],
)
def test_refused(model, arguments, words):
    with pytest.raises(InputError) as error:
        model.make_learnable(*arguments)
    assert all(word in str(error.value) for word in words), error.value
    assert model.learnable == ()


def test_conflicts_and_what_is_not_learned(model):
    model.make_learnable("tip", "inertial")
    with pytest.raises(InputError, match="already set by its learned inertial"):
        model.make_learnable("tip", "mass")
    with pytest.raises(InputError, match="inertial of 'tip'"):
        model.freeze("tip", "com")
    with pytest.raises(InputError, match="valid:"):
        model.unfreeze("tip", "nonsense")
    model.make_learnable("tip", "inertial", LogCholesky.of_box(1.0, (0.1, 0.2, 0.3)))
    assert model.learned_tree().mass[model.link_index("tip")] == pytest.approx(1.0)


def test_inertia_that_no_body_has():
    from drrobot_ros.robot import RobotModel

    text = (
        '<mujoco><compiler balanceinertia="false"/><worldbody><body name="b"><body name="a">'
        '<joint name="j"/><inertial pos="0 0 0" mass="1" diaginertia="1 1 2"/></body></body>'
        "</worldbody></mujoco>"
    )
    model = RobotModel.from_mjcf(text)
    with pytest.raises(ModelError, match=r"'a'.*body with volume.*of_box"):
        model.make_learnable("a", "inertial")
    with pytest.raises(InputError, match="positive mass and size"):
        LogCholesky.of_box(-1.0, (1, 1, 1))
    with pytest.raises(InputError, match="cannot start"):
        Positive(-1.0)


def test_joint_offset_adds_to_the_models(model):
    """The hinge has a reference angle, so an offset of its own."""
    row = model.tree.joint_names.index("hinge")
    assert model.tree.mimic_offset[row] != 0
    model.make_learnable("hinge", "joint_offset", Free(0.1))
    assert model.learned_tree().mimic_offset[row] == pytest.approx(
        model.tree.mimic_offset[row] + 0.1
    )
