"""Trees that dynamics cannot be right for are refused with the name of the link."""

import dataclasses

import numpy as np
import pytest
import torch
from oracles import every_motion, states

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot import RobotModel


def changed(**arrays):
    model = every_motion()
    fields = {name: getattr(model.tree, name).copy() for name in arrays}
    for name, (row, value) in arrays.items():
        fields[name][model.link_index(row)] = value
    tree = dataclasses.replace(model.tree, **fields)
    model._parts = dataclasses.replace(model._parts, tree=tree)
    return RobotModel(model.name, model.mj_model, model._parts)


def test_negative_mass():
    model = changed(mass=("tip", -1.0))
    s = states(model, 1)
    with pytest.raises(ModelError, match="'tip': mass -1 kg is negative"):
        model.inverse_dynamics(s.q, s.v, s.a)


def test_negative_moment():
    model = changed(inertia=("tip", np.diag([0.1, 0.1, -0.1])))
    with pytest.raises(ModelError, match="'tip': principal moments"):
        model.mass_matrix(model.neutral())


def test_triangle_inequality_is_said_once():
    model = changed(inertia=("tip", np.diag([0.1, 0.1, 0.5])))
    with pytest.warns(UserWarning, match="'tip'.*triangle"):
        model.mass_matrix(model.neutral())


def test_joint_that_moves_nothing():
    model = changed(mass=("tip", 0.0), inertia=("tip", np.zeros((3, 3))))
    s = states(model, 2)
    assert torch.isfinite(model.inverse_dynamics(s.q, s.v, s.a)).all()
    with pytest.raises(ModelError, match=r"'tip'.*armature"):
        model.forward_dynamics(s.q, s.v, s.a)


@pytest.mark.parametrize("name", ["v", "a"])
def test_sizes(name):
    model = every_motion()
    s = states(model, 2)
    setattr(s, name, getattr(s, name)[:, 1:])
    with pytest.raises(InputError, match=rf"{name} must be \[..., {model.nv}\]"):
        model.inverse_dynamics(s.q, s.v, s.a)
    with pytest.raises(InputError, match="gravity"):
        model.gravity_forces(s.q, gravity=np.array([9.81]))
