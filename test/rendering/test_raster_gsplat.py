"""gsplat on CUDA against the reference; runs only where both exist."""

import importlib.util

import pytest
import torch
from raster_cases import gradients, relative_error, render, scene, to

from drrobot_ros.rendering import rasterize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.skipif(importlib.util.find_spec("gsplat") is None, reason="needs gsplat"),
]


def on_gpu(arguments):
    return {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("render_mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_gsplat_agrees_with_the_reference(render_mode, rasterize_mode):
    arguments = scene(300, cameras=2, size_m=0.04)
    options = {"render_mode": render_mode, "rasterize_mode": rasterize_mode}
    image, alpha = render(on_gpu(arguments), "gsplat", **options)
    wanted, wanted_alpha = render(arguments, "torch", torch.float64, **options)
    assert (image.cpu() - wanted).abs().max() < 1e-4
    assert (alpha.cpu() - wanted_alpha).abs().max() < 1e-4
    found = gradients(on_gpu(arguments), "gsplat", **options)
    reference = gradients(arguments, "torch", torch.float64, **options)
    for name in ("means", "quats", "scales", "opacities", "colors", "viewmats"):
        assert relative_error(found[name].cpu(), reference[name]) < 1e-3, name


def test_cuda_tensors_choose_gsplat():
    arguments = on_gpu(to(scene(10), torch.float32))
    assert rasterize(**arguments)[2]["backend"] == "gsplat"
