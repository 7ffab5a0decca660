"""Inverse dynamics, mass matrix and forward dynamics against MuJoCo and pinocchio."""

import mujoco
import pytest
import torch
from oracles import (
    MENAGERIE,
    Pinocchio,
    by_mujoco,
    coupled_motions,
    every_motion,
    relative,
    states,
)

from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.dynamics import reference
from drrobot_ros.robot.extract import extract
from drrobot_ros.robot.menagerie import MAIN_FILES

OURS = ("every_joint.urdf", "every_joint.xml", "six_axis_arm.urdf")


def load(name, robot, models_root):
    if name == "every_motion":
        return every_motion()
    if name == "coupled_motions":
        return coupled_motions()
    if name in OURS:
        return RobotModel.load(models_root / name.rsplit(".", 1)[0] / name)
    return robot(name)


@pytest.fixture
def model(request, robot, models_root):
    return load(request.param, robot, models_root)


def is_coupled(model):
    moving = model.tree.v_index[model.tree.v_index >= 0]
    return len(set(moving.tolist())) < len(moving)


@pytest.mark.parametrize(
    "model", [*MENAGERIE, *OURS, "every_motion", "coupled_motions"], indirect=True
)
def test_mujoco(model):
    s = states(model, 200)
    ours = model.inverse_dynamics(s.q, s.v, s.a, resistance=False)
    theirs = by_mujoco(model, s, ours)
    assert relative(ours, theirs.tau) < 1e-8
    assert relative(model.mass_matrix(s.q), theirs.M) < 1e-8
    try:
        a = model.forward_dynamics(s.q, s.v, ours, resistance=False)
    except ValueError:
        return  # a joint of every_joint moves nothing; test_bad_input has that
    assert relative(a, s.a) < 1e-8
    if not is_coupled(model):
        assert relative(a, theirs.a) < 1e-8


@pytest.mark.parametrize("model", [*MENAGERIE, "every_motion", "coupled_motions"], indirect=True)
def test_pinocchio(model):
    s = states(model, 200, seed=1)
    pin = Pinocchio(model)
    assert (
        relative(model.inverse_dynamics(s.q, s.v, s.a, resistance=False), pin.inverse_dynamics(s))
        < 1e-8
    )
    assert relative(model.mass_matrix(s.q), pin.mass_matrix(s)) < 1e-8
    assert (
        relative(model.forward_dynamics(s.q, s.v, s.a, resistance=False), pin.forward_dynamics(s))
        < 1e-8
    )


@pytest.mark.parametrize("model", [*MENAGERIE, "every_motion", "coupled_motions"], indirect=True)
def test_derivatives_of_pinocchio(model):
    s = states(model, 50, seed=2)
    pin = Pinocchio(model)
    ours = model.inverse_dynamics_derivatives(s.q, s.v, s.a, resistance=False)
    for found, true in zip(ours, pin.inverse_dynamics_derivatives(s), strict=True):
        assert relative(found, true) < 1e-6
    if pin.coupled:
        return  # pinocchio's articulated bodies know no coupled joints
    ours = model.forward_dynamics_derivatives(s.q, s.v, s.a, resistance=False)
    for found, true in zip(ours, pin.forward_dynamics_derivatives(s), strict=True):
        assert relative(found, true) < 1e-6


@pytest.mark.parametrize("name", ["unitree_go1", "unitree_h1"])
def test_floating_base(name, menagerie_root):
    spec = mujoco.MjSpec.from_file(str(menagerie_root / name / MAIN_FILES[name]))
    spec.worldbody.first_body().add_freejoint()
    m = spec.compile()
    model = RobotModel(name, m, extract(m))
    assert model.nq == model.nv + 1
    s = states(model, 50)
    ours = model.inverse_dynamics(s.q, s.v, s.a, resistance=False)
    theirs = by_mujoco(model, s, ours)
    assert relative(ours, theirs.tau) < 1e-8
    assert relative(model.mass_matrix(s.q), theirs.M) < 1e-8
    assert relative(model.forward_dynamics(s.q, s.v, ours, resistance=False), theirs.a) < 1e-8


@pytest.mark.parametrize("model", ["every_motion", "franka_emika_panda"], indirect=True)
def test_damping_is_mujocos(model):
    s = states(model, 20)
    free = torch.as_tensor(model.tree.frictionloss[model.tree.v_index >= 0] == 0).all()
    assert free or model.name == "panda"
    ours = model.inverse_dynamics(s.q, s.v, s.a)
    theirs = by_mujoco(model, s, ours, damping=True)
    assert relative(ours, theirs.tau) < 1e-8
    assert relative(theirs.tau, model.inverse_dynamics(s.q, s.v, s.a, resistance=False)) > 1e-4


@pytest.mark.parametrize("model", ["every_motion", "coupled_motions", "unitree_h1"], indirect=True)
def test_torch_reference_agrees(model):
    s = states(model, 9)
    engine = model._kinematics
    structure, x = engine.structure(s.q), engine.prepared(s.q)
    g = torch.from_numpy(model.gravity)
    tau = reference.inverse_dynamics(structure, x, s.q, s.v, s.a, g, 0.01)
    assert relative(model.inverse_dynamics(s.q, s.v, s.a), tau) < 1e-11
    assert relative(model.mass_matrix(s.q), reference.mass_matrix(structure, x, s.q)) < 1e-11
    a = reference.forward_dynamics(structure, x, s.q, s.v, s.a, g, 0.01)
    assert relative(model.forward_dynamics(s.q, s.v, s.a), a) < 1e-10
