"""The arguments of a rasterization, checked once for every backend."""

import dataclasses

import torch

from drrobot_ros.errors import InputError, unknown_name

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
MAX_SIZE_PX = 16384


@dataclasses.dataclass(frozen=True)
class RasterInputs:
    """Checked arguments of ``rasterize``, under its names; shapes as said there."""

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor
    viewmats: torch.Tensor
    Ks: torch.Tensor
    width: int
    height: int
    near_plane: float
    far_plane: float
    eps2d: float
    backgrounds: torch.Tensor | None
    render_mode: str
    rasterize_mode: str

    @property
    def has_color(self) -> bool:
        """Whether the image has colour channels."""
        return "RGB" in self.render_mode

    @property
    def has_depth(self) -> bool:
        """Whether the image's last channel is depth."""
        return self.render_mode.endswith("D")

    @property
    def expected_depth(self) -> bool:
        """Whether depth is divided by alpha."""
        return self.render_mode.endswith("ED")


def check_inputs(inputs: RasterInputs) -> RasterInputs:
    """Check the arguments of a rasterization.

    Returns:
        The arguments, unchanged.

    Raises:
        InputError: a wrong shape, dtype, device, size or name; the message names the argument.
    """
    if inputs.render_mode not in RENDER_MODES:
        raise unknown_name("render_mode", inputs.render_mode, RENDER_MODES)
    if inputs.rasterize_mode not in RASTERIZE_MODES:
        raise unknown_name("rasterize_mode", inputs.rasterize_mode, RASTERIZE_MODES)
    _check_numbers(inputs)
    means = _tensor("means", inputs.means)
    viewmats = _tensor("viewmats", inputs.viewmats)
    n = means.shape[0] if means.ndim == 2 else 0
    c = viewmats.shape[0] if viewmats.ndim == 3 else 0
    if viewmats.ndim == 3 and c == 0:
        raise InputError("viewmats must have at least one camera, got none")
    shapes = {
        "means": (n, 3),
        "quats": (n, 4),
        "scales": (n, 3),
        "opacities": (n,),
        "viewmats": (c, 4, 4),
        "Ks": (c, 3, 3),
    }
    symbols = {"means": "[N, 3]", "viewmats": "[C, 4, 4]"}
    for name, shape in shapes.items():
        _check_tensor(name, getattr(inputs, name), [shape], means, symbols.get(name))
    colors = _tensor("colors", inputs.colors)
    d = colors.shape[-1] if colors.ndim in (2, 3) else 0
    _check_tensor("colors", colors, [(n, d), (c, n, d)], means, f"[{n}, D] or [{c}, {n}, D]")
    if inputs.has_color and d == 0:
        raise InputError("colors must have at least one channel, got none")
    if inputs.backgrounds is not None:
        _check_tensor("backgrounds", inputs.backgrounds, [(c, d)], means)
    if inputs.Ks.requires_grad:
        raise InputError("Ks has no gradient: detach it")
    if inputs.Ks.device.type == "cpu":
        _check_intrinsics(inputs.Ks)
    return inputs


def _check_numbers(inputs: RasterInputs) -> None:
    for name in ("width", "height"):
        value = getattr(inputs, name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE_PX:
            raise InputError(f"{name} must be an int from 1 to {MAX_SIZE_PX}, got {value!r}")
    for name in ("near_plane", "far_plane", "eps2d"):
        value = getattr(inputs, name)
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InputError(f"{name} must be a finite number of at least 0, got {value!r}")
    if not 0 < inputs.near_plane < inputs.far_plane:
        raise InputError(
            "near_plane must be above 0 and below far_plane, "
            f"got {inputs.near_plane!r} and {inputs.far_plane!r}"
        )


def _tensor(name: str, value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    return value


def _check_tensor(
    name: str,
    value: object,
    shapes: list[tuple[int, ...]],
    means: torch.Tensor,
    symbol: str | None = None,
) -> None:
    tensor = _tensor(name, value)
    if tuple(tensor.shape) not in shapes:
        wanted = symbol or str(list(shapes[0]))
        raise InputError(f"{name} must have shape {wanted}, got {list(tensor.shape)}")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{name} must be float32 or float64, got {tensor.dtype}")
    if tensor.dtype != means.dtype:
        raise InputError(f"{name} must be {means.dtype} like means, got {tensor.dtype}")
    if tensor.device != means.device:
        raise InputError(f"{name} must be on {means.device} like means, got {tensor.device}")


def _check_intrinsics(Ks: torch.Tensor) -> None:
    for K in Ks.tolist():
        fx, fy, cx, cy = K[0][0], K[1][1], K[0][2], K[1][2]
        if not (0 < fx < float("inf") and 0 < fy < float("inf")):
            raise InputError(f"Ks must have finite focal lengths above 0, got {fx}, {fy}")
        if not (abs(cx) < float("inf") and abs(cy) < float("inf")):
            raise InputError(f"Ks must have a finite principal point, got {cx}, {cy}")
        if K[0][1] != 0:
            raise InputError(f"Ks must have no skew, got {K[0][1]}")
