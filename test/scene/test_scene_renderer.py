"""The differentiable renderer: against closed forms and finite differences."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.raster import triangle_ids
from drrobot_ros.scene.renderer import SceneTensors, render_scene
from drrobot_ros.scene.shading import LightTensors, shade


def ball():
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.creation.icosphere(3)
    return torch.as_tensor(np.asarray(mesh.vertices)), np.asarray(mesh.faces, np.int64)


CAMERA = PinholeCamera.from_fov(64, 48, 0.8)


def scene(center=(0.0, 0.0, 0.6), axes=(0.08, 0.06, 0.05), **more):
    vertices, faces = ball()
    center, axes = (torch.as_tensor(v, dtype=torch.float64) for v in (center, axes))
    values = {
        "albedo": torch.tensor([0.6, 0.3, 0.2], dtype=torch.float64),
        "roughness": torch.tensor([0.4], dtype=torch.float64),
        "direction": torch.tensor([-0.4, -1.0, -0.5], dtype=torch.float64),
        **more,
    }
    light = LightTensors(
        values["direction"], torch.full((3,), 0.7).double(), torch.full((3,), 0.3).double()
    )
    plane = torch.tensor([0.0, -0.8, -0.6, -0.44], dtype=torch.float64)
    grey = torch.full((3,), 0.5, dtype=torch.float64)
    return SceneTensors(
        [center + vertices * axes], [faces], [values["albedo"]], values["roughness"], plane, grey,
        light,
    )  # fmt: skip


def test_depth_of_a_ball_and_of_the_plane():
    image = render_scene(scene(axes=(0.1, 0.1, 0.1)), CAMERA)
    assert image.depth_m[24, 32] == pytest.approx(0.5, abs=2e-3)
    v, u = 4, 4
    assert image.owner[v, u] == -1
    ray = CAMERA.unproject(torch.tensor([u + 0.5, v + 0.5]), torch.tensor(1.0)).double()
    plane = scene().plane
    assert image.depth_m[v, u] == pytest.approx(float(plane[3] / (ray @ plane[:3])))


def test_nearest_triangle_wins_whatever_the_order():
    pixels = np.array([[0, 0], [9, 0], [0, 9], [0, 0], [9, 0], [0, 9]], float)
    depth = np.array([2, 2, 2, 1, 1, 1.0])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    assert triangle_ids(pixels, depth, faces, 8, 8)[2, 2] == 1
    assert triangle_ids(pixels, depth[::-1], faces, 8, 8)[2, 2] == 0
    assert triangle_ids(pixels, depth, faces, 8, 8)[7, 7] == -1


@pytest.mark.parametrize("name", ["center", "axes", "albedo", "roughness", "direction"])
def test_gradients_are_finite_differences(name):
    start = {
        "center": (0.01, 0.0, 0.6),
        "axes": (0.08, 0.06, 0.05),
        "albedo": (0.6, 0.3, 0.2),
        "roughness": (0.4,),
        "direction": (-0.4, -1.0, -0.5),
    }[name]
    x = torch.tensor(start, dtype=torch.float64)
    base = render_scene(scene(), CAMERA)
    inner = torch.as_tensor(base.owner >= 0)
    ring = torch.nn.functional.max_pool2d((~inner)[None].double(), 5, 1, 2)[0] == 0

    def loss(value):
        image = render_scene(scene(**{name: value}), CAMERA, lit=base.lit)
        colors = (image.color * ring[..., None]).sum() + 3 * (image.depth_m * ring).sum()
        # Area: what coverage adds up to.
        return colors + (image.coverage.sum() if name in ("axes",) else 0)

    x.requires_grad_()
    (own,) = torch.autograd.grad(loss(x), x)
    step = 1e-4 if name in ("center", "axes") else 1e-5
    with torch.no_grad():
        apart = []
        for k in range(len(x)):
            e = torch.zeros_like(x)
            e[k] = step
            apart.append((loss(x + e) - loss(x - e)) / (2 * step))
    scale = torch.stack(apart).abs().max()
    assert float(scale) > 1e-3
    assert torch.allclose(own, torch.stack(apart), atol=0.15 * float(scale))


def test_a_shadow_falls_away_from_the_light():
    light = torch.tensor([0.0, -0.8, -0.6], dtype=torch.float64)  # from above, onto the plane
    lit = render_scene(scene(center=(0.0, -0.1, 0.6), direction=light), CAMERA)
    dark = torch.as_tensor(lit.lit.reshape(48, 64) == 0) & torch.as_tensor(lit.owner < 0)
    assert 10 < int(dark.sum()) < 1000
    bright = torch.as_tensor(lit.owner < 0) & ~dark & (lit.depth_m > 0)
    assert lit.color[dark].mean() < 0.8 * lit.color[bright].mean()


def test_rougher_is_less_shiny():
    normal = torch.tensor([[0.0, 0.0, -1.0]])
    light = LightTensors(torch.tensor([0.0, 0.0, -1.0]), torch.ones(3), torch.zeros(3))
    grey = torch.full((1, 3), 0.2)
    smooth, rough = (
        shade(grey, torch.tensor([r]), normal, normal, torch.ones(1), light) for r in (0.2, 0.9)
    )
    assert smooth.mean() > 2 * rough.mean()
    off = dataclasses.replace(light, direction=torch.tensor([0.0, 0.0, 1.0]))
    assert shade(grey, torch.tensor([0.5]), normal, normal, torch.ones(1), off).sum() == 0
