"""Bad arguments are named, with the valid ones."""

import subprocess
import sys

import pytest
import torch
from raster_cases import scene, to

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.rendering import rasterize
from drrobot_ros.rendering.gsplat_backend import rasterize_gsplat
from drrobot_ros.rendering.inputs import RasterInputs


def arguments(**changes):
    return {**to(scene(10, cameras=2), torch.float32), **changes}


@pytest.mark.parametrize(
    "name,shape",
    [
        ("means", (10, 4)),
        ("means", (30,)),
        ("quats", (10, 3)),
        ("quats", (9, 4)),
        ("scales", (10,)),
        ("opacities", (10, 1)),
        ("colors", (9, 3)),
        ("colors", (3, 10, 3)),
        ("colors", (10,)),
        ("viewmats", (4, 4)),
        ("viewmats", (2, 3, 4)),
        ("Ks", (1, 3, 3)),
        ("Ks", (2, 4, 4)),
        ("backgrounds", (3,)),
        ("backgrounds", (2, 4)),
    ],
)
def test_wrong_shapes(name, shape):
    with pytest.raises(InputError, match=rf"{name} must have shape .*\[.*got \[") as error:
        rasterize(**arguments(**{name: torch.zeros(shape)}))
    assert str(list(shape)) in str(error.value)


@pytest.mark.parametrize("name", ["means", "quats", "colors", "viewmats", "Ks", "backgrounds"])
def test_wrong_types(name):
    with pytest.raises(InputError, match=rf"{name} must be a torch.Tensor, got list"):
        rasterize(**arguments(**{name: [[1.0]]}))
    value = arguments()[name]
    with pytest.raises(InputError, match=rf"{name} must be float32 or float64, got torch.int64"):
        rasterize(**arguments(**{name: value.long()}))
    if name != "means":
        with pytest.raises(InputError, match=rf"{name} must be torch.float32 like means"):
            rasterize(**arguments(**{name: value.double()}))
        with pytest.raises(InputError, match=rf"{name} must be on cpu like means, got meta"):
            rasterize(**arguments(**{name: value.to("meta")}))


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"width": 0}, "width must be an int from 1 to 16384, got 0"),
        ({"height": 3.5}, "height must be an int"),
        ({"width": 20000}, "width"),
        ({"near_plane": 0.0}, "near_plane"),
        ({"near_plane": 2.0, "far_plane": 1.0}, "near_plane must be above 0 and below far_plane"),
        ({"far_plane": float("inf")}, "far_plane"),
        ({"eps2d": -0.1}, "eps2d"),
        ({"eps2d": float("nan")}, "eps2d"),
        ({"render_mode": "rgb"}, "unknown render_mode 'rgb'; valid: RGB, D, ED, RGB.D, RGB.ED"),
        ({"rasterize_mode": "x"}, "unknown rasterize_mode 'x'; valid: classic, antialiased"),
        ({"backend": "cuda"}, "unknown backend 'cuda'; valid: gsplat, cpu, torch"),
        ({"colors": torch.zeros(10, 0), "backgrounds": None}, "colors must have at least one"),
        ({"viewmats": torch.zeros(0, 4, 4)}, "viewmats must have at least one camera"),
    ],
)
def test_wrong_values(changes, message):
    with pytest.raises(InputError, match=message):
        rasterize(**arguments(**changes))


def test_cameras_that_are_not_calibrated():
    for row, column, value, message in [
        (0, 0, 0.0, "focal"),
        (1, 1, float("nan"), "focal"),
        (0, 2, float("inf"), "principal"),
        (0, 1, 2.0, "skew"),
    ]:
        Ks = arguments()["Ks"].clone()
        Ks[1, row, column] = value
        with pytest.raises(InputError, match=f"Ks must have .*{message}"):
            rasterize(**arguments(Ks=Ks))


def test_intrinsics_have_no_gradient():
    with pytest.raises(InputError, match="Ks has no gradient"):
        rasterize(**arguments(Ks=arguments()["Ks"].requires_grad_()))


def test_cpu_backend_takes_float32_only():
    with pytest.raises(
        InputError, match=r"float32 for backend 'cpu'.*backend 'torch' takes float64"
    ):
        rasterize(**to(arguments(), torch.float64), backend="cpu")


def test_gsplat_missing_or_without_cuda_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "gsplat", None)  # as if it were not installed
    with pytest.raises(BackendError, match=r"run: pip install gsplat==1\.5\.3"):
        rasterize(**arguments(), backend="gsplat")


def test_depth_only_needs_no_colors():
    image, _, _ = rasterize(
        **arguments(colors=torch.zeros(10, 0), backgrounds=None), render_mode="ED"
    )
    assert image.shape == (2, 48, 64, 1)


def test_backend_used_is_reported():
    assert rasterize(**arguments())[2]["backend"] == "cpu"
    assert rasterize(**arguments(), backend="torch")[2]["backend"] == "torch"


def test_import_needs_no_gsplat_and_builds_nothing():
    code = "import sys, drrobot_ros.rendering; sys.exit('gsplat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_checked_inputs_reach_gsplat(monkeypatch):
    # What gsplat is called with, seen through a stand-in; the real one needs CUDA.
    seen = {}

    class Module:
        @staticmethod
        def rasterization(**kwargs):
            seen.update(kwargs)
            return "image", "alpha", {}

    class Tensor:
        device = torch.device("cuda")
        dtype = torch.float32

        def contiguous(self):
            return self

    monkeypatch.setitem(sys.modules, "gsplat", Module)
    tensor = Tensor()
    inputs = RasterInputs(
        *[tensor] * 7,
        8,
        6,
        0.02,
        9.0,
        0.1,
        None,
        "RGB+ED",
        "antialiased",  # type: ignore[arg-type]
    )
    assert rasterize_gsplat(inputs) == ("image", "alpha", {})
    assert (seen["width"], seen["height"], seen["near_plane"], seen["eps2d"]) == (8, 6, 0.02, 0.1)
    assert (seen["render_mode"], seen["rasterize_mode"]) == ("RGB+ED", "antialiased")
