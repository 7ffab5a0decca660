"""The C++ rasterizer as a torch operation."""

import ctypes
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.native.library import library
from drrobot_ros.rendering.inputs import RasterInputs

GRADIENTS = ("means", "quats", "scales", "opacities", "colors", "viewmats")


class _Input(ctypes.Structure):
    """``drr_raster_input`` of native/src/raster.hpp."""

    _fields_ = (
        [(name, ctypes.c_int32) for name in ("n", "cameras", "channels", "width", "height")]
        + [(name, ctypes.c_int32) for name in ("colors_per_camera", "depth", "antialiased")]
        + [(name, ctypes.c_float) for name in ("near_plane", "far_plane", "eps2d")]
        + [(name, ctypes.c_void_p) for name in ("means", "quats", "scales", "opacities")]
        + [(name, ctypes.c_void_p) for name in ("colors", "viewmats", "Ks", "backgrounds")]
    )


class _Gradient(ctypes.Structure):
    """``drr_raster_gradient`` of native/src/raster.hpp."""

    _fields_ = [(name, ctypes.c_void_p) for name in GRADIENTS]


class _Handle:
    """What the C++ side keeps between a forward and its backward passes."""

    def __init__(self, lib: ctypes.CDLL, pointer: ctypes.c_void_p):
        self.lib, self.pointer = lib, pointer

    def __del__(self):
        self.lib.drr_raster_release(self.pointer)


def rasterize_cpu(inputs: RasterInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Render checked inputs on the CPU; same results for any number of threads.

    Returns:
        Image [C, H, W, D] and alpha [C, H, W, 1], with gradients to all tensors but Ks.

    Raises:
        InputError: tensors that are not float32 on the CPU.
        BackendError: the C++ kernels are not built and cannot be built here, or memory ran out.
    """
    if inputs.means.device.type != "cpu":
        raise InputError(f"means must be on the CPU for backend 'cpu', got {inputs.means.device}")
    if inputs.means.dtype != torch.float32:
        raise InputError(
            f"means must be float32 for backend 'cpu', got {inputs.means.dtype}; "
            "backend 'torch' takes float64"
        )
    tensors = [getattr(inputs, name) for name in (*GRADIENTS, "Ks", "backgrounds")]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    return _Rasterize.apply(inputs, keep, *tensors)


def _address(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None or tensor.numel() == 0 else tensor.data_ptr()


def _describe(inputs: RasterInputs, tensors: list[torch.Tensor | None]) -> _Input:
    means, quats, scales, opacities, colors, viewmats, Ks, backgrounds = tensors
    assert means is not None and colors is not None and viewmats is not None
    depth = 0 if not inputs.has_depth else 2 if inputs.expected_depth else 1
    return _Input(
        n=means.shape[0],
        cameras=viewmats.shape[0],
        channels=colors.shape[-1] if inputs.has_color else 0,
        width=inputs.width,
        height=inputs.height,
        colors_per_camera=int(colors.ndim == 3),
        depth=depth,
        antialiased=int(inputs.rasterize_mode == "antialiased"),
        near_plane=inputs.near_plane,
        far_plane=inputs.far_plane,
        eps2d=inputs.eps2d,
        means=_address(means),
        quats=_address(quats),
        scales=_address(scales),
        opacities=_address(opacities),
        colors=_address(colors),
        viewmats=_address(viewmats),
        Ks=_address(Ks),
        backgrounds=_address(backgrounds),
    )


class _Rasterize(torch.autograd.Function):
    # No torch arithmetic in here: it would start torch's own thread pool, whose barriers cost
    # many times what the rasterizer does on a busy machine. Memory is torch's, work is C++'s.

    @staticmethod
    def forward(ctx: Any, inputs: RasterInputs, keep: bool, *tensors: torch.Tensor | None):
        lib = library()
        dense = [None if t is None else t.detach().contiguous() for t in tensors]
        about = _describe(inputs, dense)
        channels = about.channels + (about.depth != 0)
        shape = (about.cameras, about.height, about.width)
        image = torch.empty((*shape, channels), dtype=torch.float32)
        alpha = torch.empty((*shape, 1), dtype=torch.float32)
        pointer = ctypes.c_void_p()
        status = lib.drr_raster_forward(
            ctypes.byref(about),
            int(keep),
            ctypes.c_void_p(image.data_ptr()),
            ctypes.c_void_p(alpha.data_ptr()),
            ctypes.byref(pointer),
        )
        _check_status(status)
        if keep:
            ctx.inputs, ctx.handle = inputs, _Handle(lib, pointer)
            ctx.save_for_backward(image, alpha, *dense)
        ctx.set_materialize_grads(False)
        return image, alpha

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, image_gradient: torch.Tensor | None, alpha_gradient: torch.Tensor | None
    ):
        image, alpha, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        if image_gradient is None:
            image_gradient = torch.zeros_like(image)
        image_gradient = image_gradient.contiguous()
        if alpha_gradient is not None:
            alpha_gradient = alpha_gradient.contiguous()
        results = [
            torch.empty_like(t) if need else None for t, need in zip(tensors, needed, strict=True)
        ]
        about = _describe(ctx.inputs, tensors)
        colors = 4
        if about.channels == 0 and results[colors] is not None:
            results[colors] = torch.zeros_like(tensors[colors])  # the image does not show them
        gradient = _Gradient(*[_address(r) for r in results[: len(GRADIENTS)]])
        if about.channels == 0:
            gradient.colors = None
        status = ctx.handle.lib.drr_raster_backward(
            ctx.handle.pointer,
            ctypes.byref(about),
            ctypes.c_void_p(image.data_ptr()),
            ctypes.c_void_p(image_gradient.data_ptr()),
            ctypes.c_void_p(_address(alpha_gradient)),
            ctypes.byref(gradient),
        )
        _check_status(status)
        if results[-1] is not None:  # of the backgrounds
            through = (image_gradient[..., : about.channels] * (1.0 - alpha)).sum(dim=(1, 2))
            results[-1] = through if about.channels else torch.zeros_like(tensors[-1])
        return None, None, *results


def _check_status(status: int) -> None:
    if status != 0:
        raise BackendError("not enough memory to rasterize; render fewer or smaller Gaussians")
