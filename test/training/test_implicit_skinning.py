"""Implicit skinning: weights learned without labels, blending, baking, and its file."""

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.splats.skinning import ImplicitSkinning, blend, moving_bodies
from drrobot_ros.training.skinning_stage import SkinningStageConfig, fit_skinning

CONFIG = SkinningStageConfig(steps=150, chamfer_steps=10, batch=1000)


@pytest.fixture(scope="module")
def fitted(arm):
    """A skinning that saw canonical points and clouds of other points, none with a label."""
    ours, theirs = (GaussianRobot.from_model(arm, n, seed=n) for n in (1500, 2500))
    home = arm.forward_kinematics(arm.neutral())
    points, _ = ours.pose(home.float())
    now = arm.forward_kinematics(arm.random_configuration(12, 3))
    shuffle = np.random.default_rng(0)
    clouds = [shuffle.permutation(theirs.pose(T.float())[0].numpy()) for T in now]
    torch.manual_seed(0)
    skinning = ImplicitSkinning.of(arm, points, hidden=64, frequencies=7)
    fit = fit_skinning(skinning, points, now @ torch.linalg.inv(home), clouds, CONFIG)
    return ours, points, skinning, fit


def displacement(arm, ours, points, skinning, q):
    T = arm.forward_kinematics(q)
    A, _ = skinning(
        points, T.float() @ torch.linalg.inv(arm.forward_kinematics(arm.neutral())).float()
    )
    moved = (A[:, :, :3] @ points[:, :, None])[..., 0] + A[:, :, 3]
    return (moved - ours.pose(T.float())[0]).norm(dim=1)


@torch.no_grad()
def test_links_are_found_without_labels(arm, fitted):
    ours, points, skinning, fit = fitted
    assert fit.agreement > 0.93
    errors = torch.cat(
        [displacement(arm, ours, points, skinning, q) for q in arm.random_configuration(5, 99)]
    )
    # Some stay wrong where turning a round part changes nothing; most points move with their link.
    assert (errors < 0.005).float().mean() > 0.8
    assert errors.median() < 0.001
    right = skinning.link_of(points) == ours.link_index
    assert right.float().mean() > 0.8


@torch.no_grad()
def test_untrained_weights_move_points_wrongly(arm, fitted):
    ours, points, _, _ = fitted
    fresh = ImplicitSkinning.of(arm, points, hidden=64, frequencies=7)
    q = arm.random_configuration(1, 99)[0]
    assert displacement(arm, ours, points, fresh, q).median() > 0.05


def test_weights_sum_to_one_and_carry_gradients(arm, fitted):
    _, points, skinning, _ = fitted
    x = points[:50].clone().requires_grad_(True)
    weights = skinning.weights(x)
    assert torch.allclose(weights.sum(1), torch.ones(50), atol=1e-5)
    T = arm.forward_kinematics(arm.random_configuration(1, 1)[0]).float().requires_grad_(True)
    A, turn = skinning(x, T)
    assert torch.allclose(turn.norm(dim=1), torch.ones(50), atol=1e-5)
    (A.square().sum() + turn[:, 0].sum()).backward()
    assert x.grad is not None and T.grad is not None and bool(torch.isfinite(x.grad).all())
    assert float(T.grad.abs().sum()) > 0


def test_one_hot_weights_move_as_the_link_does():
    torch.manual_seed(1)
    motions = torch.eye(4).repeat(3, 1, 1)
    motions[:, :3, :3] = so3.exp(torch.randn(3, 3))
    motions[:, :3, 3] = torch.randn(3, 3)
    A, turn = blend(torch.eye(3), motions)
    assert torch.allclose(A, motions[:, :3], atol=1e-6)
    assert torch.allclose(so3.quat_to_matrix(turn), motions[:, :3, :3], atol=1e-5)


def test_rotations_blend_the_short_way():
    # Turns of 170 and 190 degrees are near each other, though their quaternions are not.
    motions = torch.eye(4).repeat(2, 1, 1)
    for i, degrees in enumerate((170.0, 190.0)):
        motions[i, :3, :3] = so3.exp(torch.tensor([0.0, 0.0, np.radians(degrees)]).float())
    _, turn = blend(torch.tensor([[0.5, 0.5]]), motions)
    expected = so3.exp(torch.tensor([0.0, 0.0, np.pi]).float())
    assert torch.allclose(so3.quat_to_matrix(turn)[0], expected, atol=1e-5)


def test_links_that_move_together_share_a_body(robot):
    model = robot("every_joint")
    bodies = moving_bodies(model)
    T = model.forward_kinematics(model.random_configuration(4, 5)).numpy()
    for i, a in enumerate(bodies):
        for b in bodies[i + 1 :]:
            relative = np.linalg.inv(T[:, a]) @ T[:, b]
            assert np.abs(relative - relative[0]).max() > 1e-4
    assert bodies[0] == 0 and len(bodies) <= len(model.link_names)


def test_state_comes_back_and_damage_is_refused(arm, fitted):
    _, points, skinning, _ = fitted
    state = skinning.state_dict()
    again = ImplicitSkinning.from_state(skinning.config, state)
    assert torch.equal(again.weights(points[:9]), skinning.weights(points[:9]))
    with pytest.raises(InputError, match="hidden"):
        ImplicitSkinning.from_state({**skinning.config, "hidden": 10**9}, state)
    with pytest.raises(InputError, match="missing"):
        ImplicitSkinning.from_state(
            skinning.config, {k: v for k, v in state.items() if k != "extent"}
        )
    broken = {**state, "center": torch.full((3,), float("nan"))}
    with pytest.raises(InputError, match="finite"):
        ImplicitSkinning.from_state(skinning.config, broken)
    wrong = {**state, "body": state["body"] + 10**6}
    with pytest.raises(InputError, match="bodies"):
        ImplicitSkinning.from_state(skinning.config, wrong)


def test_bad_input_is_named(arm, fitted):
    _, points, skinning, _ = fitted
    with pytest.raises(InputError, match="T_canonical_now"):
        skinning(points, torch.eye(4).repeat(2, 1, 1))
    with pytest.raises(InputError, match="clouds"):
        fit_skinning(skinning, points, torch.eye(4).repeat(1, len(arm.link_names), 1, 1), [])
