"""Fits find the torques of another motion, stay physical and say what they cannot know."""

import dataclasses

import numpy as np
import pytest
import torch
from two_rods import ROD, changed, simulated

from drrobot_ros.errors import InputError
from drrobot_ros.identification import (
    ExcitationConfig,
    IdentificationConfig,
    base_parameters,
    excitation_trajectory,
    identify,
)
from drrobot_ros.identification.consistent import PhysicalPrior, physical, pseudo_inertia, refine
from drrobot_ros.identification.linear import Layout, matrix
from drrobot_ros.robot import RobotModel


def relative(found, wanted):
    return float(np.sqrt(np.mean((found - wanted) ** 2) / np.mean(wanted**2)))


def torques(model, r):
    with torch.no_grad():
        return model.inverse_dynamics(*(torch.from_numpy(x) for x in (r.q, r.v, r.a))).numpy()


@pytest.fixture(scope="module")
def result(wrong_rods, recording):
    return identify(wrong_rods, recording)


def test_predicts_another_motion(rods, wrong_rods, result):
    other = simulated(rods, seed=5)
    wanted = torques(rods, other)
    assert relative(torques(wrong_rods, other), wanted) > 0.1
    assert relative(result.predict(other.q, other.v, other.a), wanted) < 0.01
    assert result.verdict == "good"
    for joint in result.joints:
        assert joint.validated == pytest.approx(0.01 * joint.torque, rel=0.3)
        assert joint.before > 5 * joint.validated


def test_finds_damping_and_friction(rods, result):
    m = len(result.layout.joints)
    damping, friction = result.x[-2 * m : -m], result.x[-m:]
    np.testing.assert_allclose(damping, [0.4, 0.0], atol=0.03)
    np.testing.assert_allclose(friction, [0.2, 0.0], atol=0.03)
    assert (result.x[-3 * m :] >= 0).all()


def test_positions_alone_are_enough(rods, wrong_rods, recording):
    bare = dataclasses.replace(recording, v=None, a=None)
    found = identify(wrong_rods, bare)
    other = simulated(rods, seed=5)
    wanted = torques(rods, other)
    assert relative(found.predict(other.q, other.v, other.a), wanted) < 0.02
    assert any("low-passed" in note for note in found.notes)


def test_every_link_is_physical(result):
    for phi in result.x[: result.layout.count].reshape(-1, 10):
        assert np.linalg.eigvalsh(pseudo_inertia(phi)).min() > 0


def test_learnable_model_moves_as_predicted(wrong_rods, recording, result):
    model = RobotModel.load(ROD)
    result.apply(model)
    some = slice(0, 50)
    r = dataclasses.replace(
        recording, **{k: getattr(recording, k)[some] for k in ("time_s", "q", "v", "a", "tau")}
    )
    np.testing.assert_allclose(torques(model, r), result.predict(r.q, r.v, r.a), atol=1e-9)


def test_joint_offsets(rods, wrong_rods, recording):
    offsets = np.array([0.04, -0.03])
    shifted = dataclasses.replace(recording, q=recording.q - offsets)
    known = identify(rods, shifted, IdentificationConfig(joint_offsets=True, prior_std=0.02))
    np.testing.assert_allclose(known.offsets, offsets, atol=0.004)
    # Turning the last link or its joint is the same where the link is not known.
    unknown = identify(wrong_rods, shifted, IdentificationConfig(joint_offsets=True))
    assert unknown.offset_std[1] > 0.02
    assert (np.abs(unknown.offsets - offsets) < 3 * unknown.offset_std).all()


def test_held_joint_is_not_fitted(rods, wrong_rods, recording):
    q = recording.q.copy()
    q[:, 1] = 0.2
    v, a = recording.v * [1, 0], recording.a * [1, 0]
    tau = torques(rods, dataclasses.replace(recording, q=q, v=v, a=a))
    one = dataclasses.replace(
        recording, q=q[:, :1], v=v[:, :1], a=a[:, :1], tau=tau[:, :1], joint_names=("shoulder",)
    )
    with pytest.raises(InputError, match="not in the recording: elbow"):
        identify(wrong_rods, one)
    found = identify(wrong_rods, one, held={"elbow": 0.2})
    assert [j.name for j in found.joints] == ["shoulder"]
    assert found.condition < 1e6 and "damping of elbow" in found.base.silent
    assert relative(found.predict(q, v, a)[:, 0], tau[:, 0]) < 0.01
    known = identify(rods, one, held={"elbow": 0.2})
    assert relative(known.predict(q, v, a)[:, 1], tau[:, 1]) < 0.1


def test_regressor_of_all_parameters(robot):
    model = robot("every_joint.urdf")
    layout = Layout.of(model)
    random = np.random.default_rng(0)
    q = model.random_configuration(5, 0).numpy()
    v, a = random.normal(size=(2, 5, model.nv))
    x = layout.vector(model, model.tree)
    tau = model.inverse_dynamics(*(torch.from_numpy(y) for y in (q, v, a))).numpy()
    np.testing.assert_allclose(matrix(model, layout, q, v, a) @ x, tau, atol=1e-9)
    again = layout.vector(model, layout.tree(model.tree, x))
    np.testing.assert_allclose(again, x, atol=1e-12)


def test_base_parameters_keep_the_torques(rods):
    base = base_parameters(rods)
    q = rods.random_configuration(30, 3).numpy()
    v, a = np.random.default_rng(1).normal(size=(2, 30, 2))
    W = matrix(rods, base.layout, q, v, a)
    x = base.layout.vector(rods, rods.tree)
    np.testing.assert_allclose(W[..., base.independent] @ (base.B @ x), W @ x, atol=1e-8)
    assert "mass of upper" in base.silent
    assert any("mass of lower" in words for words in base.combined())


def test_physical_coordinates(rods):
    layout = Layout.of(rods)
    x = layout.vector(rods, rods.tree)
    prior = PhysicalPrior.of(layout, x, rods.link_names)
    np.testing.assert_allclose(prior.parameters(prior.start())[0], x, atol=1e-12)
    u = prior.start() + 0.3 * np.random.default_rng(0).normal(size=prior.size)
    _, D = prior.parameters(u)
    for i in range(prior.size):
        step = np.zeros(prior.size)
        step[i] = 1e-6
        slope = (prior.parameters(u + step)[0] - prior.parameters(u - step)[0]) / 2e-6
        np.testing.assert_allclose(D[:, i], slope, atol=1e-7)


def test_unphysical_inertia_is_moved_and_told(rods, recording):
    inertia = rods.tree.inertia.copy()
    inertia[-1] = np.diag([0.01, 0.01, 0.05])  # breaks the triangle inequality
    found = identify(changed(rods, inertia=inertia), recording)
    assert any("'lower' was not a body's" in note for note in found.notes)
    J, moved = physical(np.diag([-0.1, 0.1, 0.1, 1.0]))
    assert moved and np.linalg.eigvalsh(J).min() > 0


def test_still_arm_is_doubtful(rods, wrong_rods, recording):
    t = np.arange(300) / 100
    q = 0.06 * np.sin(t)[:, None] * [1, 1]
    v, a = 0.06 * np.cos(t)[:, None] * [1, 1], -q
    slow = dataclasses.replace(recording, time_s=t, q=q, v=v, a=a, tau=q)
    slow = dataclasses.replace(slow, tau=torques(rods, slow))
    found = identify(wrong_rods, slow)
    assert found.verdict == "doubtful"
    assert any("condition number" in reason for reason in found.reasons)


def test_excitation_keeps_limits_and_seed(rods):
    config = ExcitationConfig(period_s=4.0, rate_hz=100.0, tries=4, max_velocity=5.0)
    first, condition = excitation_trajectory(rods, config)
    again, _ = excitation_trajectory(rods, config)
    np.testing.assert_array_equal(first.q, again.q)
    _, worse = excitation_trajectory(rods, dataclasses.replace(config, tries=1))
    assert condition <= worse
    assert (first.q > rods.lower).all() and (first.q < rods.upper).all()
    assert (np.abs(first.v) <= rods.velocity_limit + 1e-9).all()
    assert (np.abs(first.a) <= config.max_acceleration + 1e-9).all()
    np.testing.assert_allclose(first.v[[0, -1]], 0, atol=1e-9)
    np.testing.assert_allclose(np.gradient(first.q, 0.01, axis=0)[5:-5], first.v[5:-5], atol=0.02)


def test_what_is_not_shown_stays_as_loaded(rods):
    layout = Layout.of(rods)
    prior = PhysicalPrior.of(layout, layout.vector(rods, rods.tree), rods.link_names)
    nothing = np.zeros((1, prior.size + 1))
    u, covariance = refine(prior, nothing, prior.start() + 0.2, 0.5)
    np.testing.assert_allclose(u, prior.start(), atol=1e-6)
    np.testing.assert_allclose(covariance, 0.25 * np.eye(prior.size), atol=1e-9)
