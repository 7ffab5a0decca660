"""Spherical harmonics, light, and the colours a camera sees."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.splats import GaussianRobot, harmonics, lighting
from drrobot_ros.splats.appearance import seen_colors

AXES = torch.eye(3, dtype=torch.float64)


def directions(n, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 3)))
    return x / x.norm(dim=1, keepdim=True)


def test_harmonics_are_orthonormal_and_span_scipys():
    d = directions(200000)
    values = torch.cat([torch.full((len(d), 1), 0.28209479177387814), harmonics.basis(d)], dim=1)
    gram = 4 * np.pi * (values.T @ values) / len(d)
    assert torch.allclose(gram, torch.eye(9, dtype=torch.float64), atol=0.03)
    polar, azimuth = torch.acos(d[:50, 2]).numpy(), torch.atan2(d[:50, 1], d[:50, 0]).numpy()
    for degree, columns in ((1, slice(1, 4)), (2, slice(4, 9))):
        theirs = np.array([sph_harm_y(degree, m, polar, azimuth) for m in range(degree + 1)])
        spread = np.concatenate([theirs.real, theirs.imag]).T
        ours = values[:50, columns].numpy()
        fit, *_ = np.linalg.lstsq(spread, ours, rcond=None)
        assert np.abs(spread @ fit - ours).max() < 1e-9


def test_a_neutral_light_shows_the_albedo():
    light = lighting.neutral().double()
    multiply, add = lighting.shade(light, directions(20), directions(20, 1))
    assert torch.allclose(multiply, torch.ones(20, 3).double()) and not add.any()


def test_a_lamp_lights_the_side_that_faces_it():
    light = lighting.neutral().double()
    parts = lighting.unpack(light)
    parts["ambient"][0] = 0.2
    parts["lamp"][:] = torch.tensor([0.5, 0.4, 0.3])
    parts["toward_lamp"][:] = torch.tensor([0.0, 3.0, 0.0])  # its length does not matter
    multiply, _ = lighting.shade(light, torch.stack([AXES[1], -AXES[1]]), AXES[:2])
    assert torch.allclose(multiply[0], torch.tensor([0.7, 0.6, 0.5]).double())
    assert torch.allclose(multiply[1], torch.full((3,), 0.2).double())


def test_gloss_is_where_lamp_and_eye_mirror_each_other():
    light = lighting.neutral().double()
    parts = lighting.unpack(light)
    parts["lamp_gloss"][:] = 1.0
    to_lamp, normal = AXES[2], AXES[2]
    toward = torch.stack([AXES[2], (AXES[2] + AXES[0]) / 2**0.5])  # where the eye is
    _, add = lighting.shade(light, normal.expand(2, 3), -toward)
    assert torch.allclose(add[0], torch.ones(3).double()) and float(add[1].max()) < 0.5
    assert torch.equal(to_lamp, normal)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    light = (
        lighting.neutral().double() + 0.1 * torch.randn(lighting.SIZE).double()
    ).requires_grad_()
    colors = (0.3 + 0.2 * torch.rand(6, 3)).double().requires_grad_()
    sh = (0.02 * torch.randn(6, 8, 3)).double().requires_grad_()
    turn = so3.exp(torch.randn(6, 3).double())
    views = directions(6, 3)
    normals = torch.nn.functional.normalize(directions(6) - 0.8 * views, dim=-1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *a: seen_colors(a[0], a[1], a[2], a[3], views, turn), (colors, sh, light, normals)
    )


def test_bounded_colours_can_come_back():
    colors = torch.tensor([[1.4, 0.5, -0.2]], requires_grad=True)
    d, turn = AXES[:1].float(), AXES[None].float()
    seen = seen_colors(colors, None, None, d, d, turn)
    assert seen.tolist() == [[1.0, 0.5, 0.0]]
    (seen * torch.tensor([1.0, 1.0, -1.0])).sum().backward()
    assert colors.grad.tolist() == [[1.0, 1.0, -1.0]]  # gradient descent leads inside
    colors.grad = None
    seen = seen_colors(colors, None, None, d, d, turn)
    (-seen * torch.tensor([1.0, 1.0, -1.0])).sum().backward()
    assert colors.grad.tolist() == [[0.0, -1.0, 0.0]]  # and not further out


@pytest.fixture(scope="module")
def splats(robot):
    model = robot("six_axis_arm")
    return model, GaussianRobot.from_model(model, 200)


def test_what_is_seen_turns_with_link_and_base_as_it_should(splats):
    model, gaussians = splats
    torch.manual_seed(0)
    light = lighting.neutral()
    lighting.unpack(light)["lamp"][:] = 0.5
    lit = dataclasses.replace(gaussians, light=light)
    shiny = dataclasses.replace(gaussians, sh=0.1 * torch.randn(200, 8, 3))
    q = model.random_configuration(1, 1)[0]
    T = model.forward_kinematics(q).float()
    camera = torch.eye(4)
    camera[:3, 3] = torch.tensor([2.0, 0.5, 1.0])
    # The whole scene turned, camera too: harmonics stay with the links, the lamp with the base.
    turn = torch.eye(4)
    turn[:3, :3] = so3.exp(torch.tensor([0.4, -0.9, 0.3]))
    assert torch.allclose(
        shiny.seen_colors(turn @ T, turn @ camera), shiny.seen_colors(T, camera), atol=1e-5
    )
    assert not torch.allclose(
        lit.seen_colors(turn @ T, turn @ camera), lit.seen_colors(T, camera), atol=1e-2
    )
    assert torch.equal(gaussians.seen_colors(T, camera), gaussians.colors)


def test_a_file_keeps_everything(splats, tmp_path):
    _, gaussians = splats
    full = dataclasses.replace(
        gaussians,
        sh=torch.rand(200, 8, 3),
        light=lighting.neutral(),
        inset_px=0.0,
        modules={"skinning": {"a.weight": torch.rand(3, 2), "body": torch.arange(4)}},
        about={"scores": {"psnr": 30.5}, "command": "drrobot train arm"},
    )
    full.save(tmp_path / "full.npz")
    loaded = GaussianRobot.load(tmp_path / "full.npz")
    assert torch.equal(loaded.sh, full.sh) and torch.equal(loaded.light, full.light)
    assert loaded.inset_px == 0.0 and loaded.about == full.about
    assert torch.equal(loaded.modules["skinning"]["a.weight"], full.modules["skinning"]["a.weight"])
    assert loaded.modules["skinning"]["body"].dtype == torch.int64


def test_a_file_of_the_first_version_still_loads(splats, tmp_path):
    _, gaussians = splats
    gaussians.save(tmp_path / "new.npz")
    new = {"inset_px", "about", "version"}
    content = {k: v for k, v in np.load(tmp_path / "new.npz").items() if k not in new}
    np.savez(tmp_path / "old.npz", version=np.array(1), **content)
    old = GaussianRobot.load(tmp_path / "old.npz")
    assert torch.equal(old.means, gaussians.means)
    assert old.light is None and old.sh is None and old.inset_px == 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sh": np.zeros((200, 9, 3), np.float32)}, "sh must be"),
        ({"light": np.full(lighting.SIZE, np.nan, np.float32)}, "light must be finite"),
        ({"inset_px": np.array(-1.0)}, "inset_px must be from 0 to 10"),
        ({"about": np.array("[1, 2]")}, "about must be a JSON object"),
        ({"about": np.array("{")}, "full.npz"),
        ({"modules/skinning/w": np.array(["text"])}, "must be numbers"),
    ],
)
def test_damaged_appearance_is_named(splats, tmp_path, change, message):
    _, gaussians = splats
    gaussians.save(tmp_path / "full.npz")
    content = dict(np.load(tmp_path / "full.npz"))
    np.savez(tmp_path / "full.npz", **{**content, **change})
    with pytest.raises(InputError, match=message):
        GaussianRobot.load(tmp_path / "full.npz")


def test_a_file_that_unpacks_to_a_bomb_is_refused(splats, tmp_path, monkeypatch):
    _, gaussians = splats
    gaussians.save(tmp_path / "full.npz")
    monkeypatch.setattr("drrobot_ros.splats.files._MAX_BYTES", 1000)
    with pytest.raises(InputError, match="would unpack to"):
        GaussianRobot.load(tmp_path / "full.npz")


def test_fewer_gaussians_keep_the_light(splats):
    _, gaussians = splats
    sh = torch.full((200, 8, 3), 0.25)
    full = dataclasses.replace(gaussians, sh=sh, light=lighting.neutral(), inset_px=0.0)
    few = full.subset(60)
    assert len(few) == 60 and few.inset_px == 0.0 and few.light is not None
    assert torch.allclose(few.sh, torch.full((60, 8, 3), 0.25))
