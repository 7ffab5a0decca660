"""The C++ rasterizer against the float64 reference: images, gradients, every instruction set."""

import threading

import pytest
import torch
from raster_cases import gradients, relative_error, render, scene, to

from drrobot_ros.native.library import available_isas, load, num_threads, set_num_threads
from drrobot_ros.rendering import rasterize

MODES = ["RGB", "D", "ED", "RGB+D", "RGB+ED"]
ISAS = available_isas()


@pytest.fixture
def threads():
    """Restores the number of threads."""
    before = num_threads()
    yield set_num_threads
    set_num_threads(before)


def compare(arguments, image_tolerance=1e-5, tolerance=1e-4, **options):
    """Image and gradients of the C++ backend against the float64 reference."""
    # Rounded to float32 first: the question is the computation, not the rounding of its input.
    arguments = to(to(arguments, torch.float32), torch.float64)
    image, alpha = render(arguments, "cpu", **options)
    wanted, wanted_alpha = render(arguments, "torch", torch.float64, **options)
    assert wanted_alpha.max() > 0.5  # something is seen
    assert (image - wanted).abs().max() < image_tolerance
    assert (alpha - wanted_alpha).abs().max() < image_tolerance
    found = gradients(arguments, "cpu", **options)
    reference = gradients(arguments, "torch", torch.float64, **options)
    for name, gradient in reference.items():
        assert relative_error(found[name], gradient) < tolerance, name
        if "RGB" in options.get("render_mode", "RGB"):
            assert gradient.any(), name


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("render_mode", MODES)
def test_every_mode(render_mode, rasterize_mode):
    arguments = scene(200, cameras=2, size_m=0.04)
    compare(arguments, render_mode=render_mode, rasterize_mode=rasterize_mode)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("seed", range(3))
def test_every_instruction_set(isa, seed, monkeypatch):
    monkeypatch.setenv("DRROBOT_NATIVE_ISA", isa)
    compare(scene(400, cameras=2, size_m=0.03, seed=seed), render_mode="RGB+ED")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("width,height", [(1, 1), (5, 3), (16, 16), (17, 15), (33, 47), (130, 9)])
def test_odd_sizes(isa, width, height, monkeypatch):
    monkeypatch.setenv("DRROBOT_NATIVE_ISA", isa)
    arguments = scene(80 if width > 1 else 12, width=width, height=height, size_m=0.1)
    arguments["Ks"][:, 1, 1] = arguments["Ks"][:, 0, 0] = 1.2 * max(width, height)
    compare(arguments)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8, 9])
def test_any_number_of_channels(channels):
    compare(scene(80, channels=channels, cameras=2))
    compare(scene(80, channels=channels, cameras=2), render_mode="RGB+ED")


def test_colors_of_each_camera():
    arguments = scene(100, cameras=3, channels=5)
    arguments["colors"] = torch.rand(3, 100, 5, dtype=torch.float64)
    compare(arguments, render_mode="RGB+D")


def test_without_background():
    compare(scene(100, background=False))


@pytest.mark.parametrize("eps2d", [0.01, 0.3, 2.0])
def test_dilation(eps2d):
    compare(scene(200, size_m=0.03), eps2d=eps2d, rasterize_mode="antialiased")


def test_thin_long_and_huge_splats():
    arguments = scene(60, width=100, height=80)
    arguments["scales"][:30] = torch.tensor([0.5, 0.001, 0.001], dtype=torch.float64)
    arguments["scales"][30:32] = torch.tensor([2.0, 2.0, 0.01], dtype=torch.float64)
    arguments["opacities"][30:32] = 0.1
    compare(arguments)


def test_splats_far_beside_the_image_have_bounded_slopes():
    arguments = scene(100, width=64, height=48, size_m=0.4)
    arguments["means"][:, :2] *= 2.5
    compare(arguments)


def test_opaque_layers_stop_the_pixel():
    arguments = scene(300, size_m=0.12)
    arguments["opacities"][:] = 0.95
    arguments["opacities"][::7] = 1.0
    _, alpha = render(arguments, "torch", torch.float64)
    assert (alpha > 1 - 3e-4).float().mean() > 0.3
    compare(arguments)


def test_no_gradient_where_alpha_is_bounded():
    arguments = scene(4, size_m=0.6)
    arguments["opacities"][:] = torch.tensor([1.0, 1.0, 0.9995, 0.6], dtype=torch.float64)
    arguments["means"][:, 2] = torch.tensor([0.4, 0.2, 0.0, -0.4], dtype=torch.float64)
    _, alpha = render(arguments, "torch", torch.float64)
    assert (alpha >= 0.999).any()
    compare(arguments)


def test_near_and_far_planes():
    arguments = scene(200, size_m=0.04)
    image, _ = render(arguments, "cpu")
    clipped, _ = render(arguments, "cpu", near_plane=1.4, far_plane=1.8)
    assert (image - clipped).abs().max() > 0.1
    compare(arguments, near_plane=1.4, far_plane=1.8)


def test_no_worse_than_float32_torch_where_depths_nearly_tie():
    # Dense surfaces, as of a robot: depth order and thresholds flip in float32, in torch as here.
    arguments = to(scene(3000, width=160, height=120, size_m=0.02, seed=4), torch.float32)
    arguments["means"][:, 2] = 0.02 * torch.sin(20 * arguments["means"][:, 0])
    arguments = to(arguments, torch.float64)
    wanted = gradients(arguments, "torch", torch.float64)
    single = gradients(arguments, "torch", torch.float32)
    found = gradients(arguments, "cpu")
    for name, gradient in wanted.items():
        bound = max(1.5 * relative_error(single[name], gradient), 1e-5)
        assert relative_error(found[name], gradient) <= bound, name


def test_results_are_the_same_bits_for_any_number_of_threads(threads):
    arguments = scene(3000, width=100, height=75, cameras=2, channels=6, size_m=0.03)
    results = []
    for count in (1, 2, 5, 5):
        threads(count)
        results.append(
            (
                render(arguments, "cpu", render_mode="RGB+ED"),
                gradients(arguments, "cpu", render_mode="RGB+ED"),
            )
        )
    (image, alpha), reference = results[0]
    for (other, other_alpha), found in results[1:]:
        assert torch.equal(image, other)
        assert torch.equal(alpha, other_alpha)
        for name, gradient in reference.items():
            assert torch.equal(found[name], gradient), name


def test_several_python_threads_at_once(threads):
    threads(2)
    arguments = scene(500, cameras=2)
    wanted = gradients(arguments, "cpu")
    failures = []

    def run():
        for _ in range(10):
            found = gradients(arguments, "cpu")
            failures.extend(n for n in wanted if not torch.equal(found[n], wanted[n]))

    workers = [threading.Thread(target=run) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_no_gaussians_show_the_background(backend):
    arguments = to(scene(0, cameras=2), torch.float32)
    arguments["means"].requires_grad_()
    image, alpha, _ = rasterize(**arguments, backend=backend)
    assert torch.equal(image, arguments["backgrounds"][:, None, None].expand_as(image))
    assert not alpha.any()
    if image.requires_grad:
        image.sum().backward()
        assert arguments["means"].grad.shape == (0, 3)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
@pytest.mark.parametrize("render_mode", ["RGB", "RGB+ED"])
def test_scene_out_of_sight_is_empty_with_zero_gradients(backend, render_mode):
    arguments = scene(50)
    arguments["means"][:, 2] -= 10
    image, alpha = render(arguments, backend, render_mode=render_mode)
    assert not alpha.any()
    background = to(arguments, torch.float32)["backgrounds"].double()
    assert torch.equal(image[..., :3], background[:, None, None].expand_as(image[..., :3]))
    assert not image[..., 3:].any()
    found = gradients(arguments, backend, render_mode=render_mode)
    for name, gradient in found.items():
        assert name == "backgrounds" or not gradient.any(), name


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_unusable_gaussians_are_not_drawn_and_harm_nobody(backend):
    nan, inf = float("nan"), float("inf")
    good = scene(60)
    bad = {
        name: value.clone()
        for name, value in scene(60).items()
        if name in good and isinstance(value, torch.Tensor)
    }
    bad["means"][0, 1], bad["means"][1, 2], bad["means"][2, 0] = nan, inf, -inf
    bad["means"][3] = 1e30
    bad["quats"][4], bad["quats"][5, 0] = 0.0, nan
    bad["scales"][6, 1], bad["scales"][7, 2], bad["scales"][8] = nan, inf, 1e20
    bad["opacities"][9], bad["opacities"][10], bad["opacities"][11] = nan, 0.0, -1.0
    bad["colors"][12, 2], bad["colors"][13, 0] = nan, inf
    both = {
        name: torch.cat([bad[name][:14], good[name]])
        if name in ("means", "quats", "scales", "opacities", "colors")
        else good[name]
        for name in good
    }
    image, alpha = render(both, backend)
    wanted, wanted_alpha = render(good, backend)
    torch.testing.assert_close(image, wanted, rtol=0, atol=1e-7)
    torch.testing.assert_close(alpha, wanted_alpha, rtol=0, atol=1e-7)
    found, reference = gradients(both, backend), gradients(good, backend)
    for name in ("means", "quats", "scales", "opacities", "colors"):
        assert torch.isfinite(found[name]).all(), name
        assert not found[name][:14].any(), name
        torch.testing.assert_close(found[name][14:], reference[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["viewmats"], reference["viewmats"], rtol=1e-4, atol=1e-4)


def test_camera_that_is_not_finite_sees_nothing():
    arguments = scene(50)
    arguments["viewmats"][0, 1, 3] = float("nan")
    image, alpha = render(arguments, "cpu")
    assert torch.isfinite(image).all()
    assert not alpha.any()
    for name, gradient in gradients(arguments, "cpu").items():
        assert torch.isfinite(gradient).all(), name


def test_backward_twice_through_one_image_and_memory_reuse_between_images():
    first = to(scene(300, seed=1), torch.float32)
    second = to(scene(900, seed=2, width=96, height=80, cameras=2), torch.float32)
    first["means"].requires_grad_()
    second["means"].requires_grad_()
    image, _, _ = rasterize(**first)
    (once,) = torch.autograd.grad(image.sum(), first["means"], retain_graph=True)
    other, _, _ = rasterize(**second)  # while the first image's record is still held
    (twice,) = torch.autograd.grad(image.sum(), first["means"])
    assert torch.equal(once, twice)
    (of_other,) = torch.autograd.grad(other.sum(), second["means"])
    image, _, _ = rasterize(**first)
    assert torch.equal(torch.autograd.grad(image.sum(), first["means"])[0], once)
    other, _, _ = rasterize(**second)
    assert torch.equal(torch.autograd.grad(other.sum(), second["means"])[0], of_other)


def test_gradients_only_where_wanted_and_only_once():
    arguments = to(scene(100), torch.float32)
    all_gradients = gradients(arguments, "cpu")
    for name in ("means", "quats", "scales", "opacities", "colors", "viewmats", "backgrounds"):
        wanted = {**arguments, name: arguments[name].clone().requires_grad_()}
        image, alpha, _ = rasterize(**wanted)
        g = torch.Generator().manual_seed(9)
        weights = torch.randn(image.shape, generator=g, dtype=torch.float64).float()
        alpha_weights = torch.randn(alpha.shape, generator=g, dtype=torch.float64).float()
        loss = (image * weights).sum() + (alpha * alpha_weights).sum()
        (found,) = torch.autograd.grad(loss, [wanted[name]], create_graph=True)
        torch.testing.assert_close(found.detach().double(), all_gradients[name])
        with pytest.raises(RuntimeError):
            torch.autograd.grad(found.sum(), [wanted[name]])


def test_loss_on_alpha_alone_and_on_a_part_of_the_image():
    arguments = to(scene(100), torch.float32)
    arguments["means"].requires_grad_()
    for pick in (
        lambda i, a: a.sum(),
        lambda i, a: i[:, ::2, 1::3].sum(),
        lambda i, a: i[0, 5, 5, 1],
    ):
        found = []
        for backend in ("cpu", "torch"):
            image, alpha, _ = rasterize(**arguments, backend=backend)
            found.append(torch.autograd.grad(pick(image, alpha), arguments["means"])[0])
        assert relative_error(found[0], found[1]) < 1e-4


def test_inputs_of_any_layout():
    arguments = to(scene(100, cameras=2), torch.float32)
    plain, _, _ = rasterize(**arguments)
    strange = {
        name: value.transpose(0, -1).contiguous().transpose(0, -1)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in arguments.items()
    }
    assert not strange["means"].is_contiguous()
    assert torch.equal(rasterize(**strange)[0], plain)


def test_threads_of_one_library_do_not_depend_on_another(threads):
    threads(2)
    assert num_threads() == 2
    assert load(ISAS[-1]).drr_num_threads() == 2
    threads(0)
    assert num_threads() >= 1
