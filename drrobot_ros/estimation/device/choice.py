"""Which device a setting means."""

import functools
import importlib.util
from collections.abc import Callable

import torch

from drrobot_ros.errors import BackendError, unknown_name
from drrobot_ros.estimation.normal_equations import ImageModel

# "torch" runs what CUDA runs on the CPU, slowly: for checking it where there is no GPU.
DEVICES = ("cpu", "cuda", "auto", "torch")


def device_of(name: str) -> torch.device | None:
    """Return the device of the torch inner loop; None: the C++ one on the CPU.

    Args:
        name: one of `DEVICES`.

    Raises:
        InputError: another name.
        BackendError: "cuda" where torch finds no GPU or gsplat is not installed.
    """
    if name not in DEVICES:
        raise unknown_name("device", name, DEVICES)
    if name == "torch":
        return torch.device("cpu")
    if name == "cpu":
        return None
    missing = _missing()
    if missing is None:
        return torch.device("cuda", torch.cuda.current_device())
    if name == "auto":
        return None
    raise BackendError(f"device 'cuda' was asked for, but {missing}; there is: cpu")


def image_model_maker(name: str) -> Callable[..., ImageModel]:
    """Return what makes `ImageModel`s for a device; names and errors as for `device_of`."""
    device = device_of(name)
    if device is None:
        return ImageModel
    from drrobot_ros.estimation.device.image_model import DeviceImageModel

    return functools.partial(DeviceImageModel, device=device)


def _missing() -> str | None:
    if not torch.cuda.is_available():
        built = "finds no GPU" if torch.version.cuda else "is built without CUDA"
        return f"torch {torch.__version__} {built}"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed (pip install gsplat==1.5.3)"
    return None
