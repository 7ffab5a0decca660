"""Appearance deformation: nothing at first, bounded always, learns, and bakes."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.splats.deformation import (
    BOUNDS,
    AppearanceDeformation,
    at,
    penalty,
)


@pytest.fixture(scope="module")
def parts(arm):
    gaussians = GaussianRobot.from_model(arm, 300, seed=2)
    T = arm.forward_kinematics(arm.neutral()).float()
    points, _ = gaussians.pose(T)
    torch.manual_seed(0)
    return gaussians, points, AppearanceDeformation.of(arm, points, hidden=16, layers=3), T


def carried(gaussians, network, T):
    """The Gaussians with the network among their modules, as a trained file holds it."""
    text = np.frombuffer(json.dumps(network.config).encode(), np.uint8).copy()
    stored = {**network.state_dict(), "config_json": torch.from_numpy(text)}
    modules = {"deformation": stored, "canonical": {"T": T}}
    return dataclasses.replace(gaussians, modules=modules)


def test_starts_without_effect(arm, parts):
    gaussians, points, network, T = parts
    change = network(points, arm.neutral().float())
    assert all(float(getattr(change, name).abs().max()) == 0 for name in BOUNDS)
    assert float(penalty(change)) == 0
    baked = at(carried(gaussians, network, T), arm.neutral())
    assert torch.allclose(baked.colors, gaussians.colors) and not baked.modules


def test_changes_are_bounded_and_depend_on_the_pose(arm, parts):
    _, points, network, _ = parts
    wild = AppearanceDeformation.from_state(network.config, network.state_dict())
    with torch.no_grad():
        for weights in wild.parameters():
            weights.normal_(0, 3)
    q0, q1 = arm.random_configuration(2, 4).float()
    first, second = wild(points, q0), wild(points, q1)
    for name, bound in BOUNDS.items():
        assert float(getattr(first, name).abs().max()) <= bound + 1e-6
        assert not torch.allclose(getattr(first, name), getattr(second, name))
    assert 0 < float(penalty(first)) <= len(BOUNDS)


def test_learns_a_colour_that_follows_a_joint(arm, parts):
    _, points, network, _ = parts
    learned = AppearanceDeformation.from_state(network.config, network.state_dict())
    optimizer = torch.optim.Adam(learned.parameters(), 1e-2)
    q = arm.random_configuration(24, 5).float()
    scale = torch.as_tensor(np.asarray(arm.upper)).float()
    wanted = 0.1 * q[:, 0] / scale[0]

    def error(rows):
        return torch.stack(
            [(learned(points[:40], q[r]).color - wanted[r]).square().mean() for r in rows]
        ).mean()

    before = float(error(range(20, 24)))
    for _ in range(60):
        optimizer.zero_grad()
        error(range(20)).backward()
        optimizer.step()
    assert float(error(range(20, 24))) < 0.2 * before  # on poses it did not see


def test_baking_applies_what_the_network_says(arm, parts):
    gaussians, points, network, T = parts
    changed = AppearanceDeformation.from_state(network.config, network.state_dict())
    with torch.no_grad():
        changed.network[-1].bias.fill_(0.3)
    q = arm.random_configuration(1, 6)[0]
    baked = at(carried(gaussians, changed, T), q)
    change = changed(points, q.float())
    assert torch.allclose(baked.scales, gaussians.scales * change.log_scale.exp(), rtol=1e-4)
    expected = (gaussians.colors + change.color).clamp(0, 1)
    assert torch.allclose(baked.colors, expected, atol=1e-5)
    assert torch.equal(baked.means, gaussians.means)
    assert at(gaussians, q) is gaussians  # nothing to bake


def test_bad_input_is_named(arm, parts):
    gaussians, points, network, T = parts
    with pytest.raises(InputError, match="q must be"):
        network(points, torch.zeros(1))
    with pytest.raises(InputError, match="joints"):
        AppearanceDeformation.from_state({**network.config, "joints": -1}, network.state_dict())
    damaged = dict(carried(gaussians, network, T).modules["deformation"])
    damaged["config_json"] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    with pytest.raises(InputError, match="damaged"):
        at(dataclasses.replace(gaussians, modules={"deformation": damaged}), arm.neutral())
