"""gsplat on CUDA, behind the same checked inputs."""

from typing import Any

import torch

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.rendering.inputs import RasterInputs

INSTALL = "pip install gsplat==1.5.3"


def rasterize_gsplat(inputs: RasterInputs) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Render checked inputs with ``gsplat.rasterization``.

    Returns:
        Image [C, H, W, D], alpha [C, H, W, 1] and gsplat's own dictionary.

    Raises:
        InputError: tensors that are not float32 on CUDA.
        BackendError: gsplat cannot be imported.
    """
    try:
        from gsplat import rasterization
    except ImportError as error:
        raise BackendError(f"backend 'gsplat' needs gsplat ({error}); run: {INSTALL}") from error
    if inputs.means.device.type != "cuda":
        raise InputError(f"means must be on CUDA for backend 'gsplat', got {inputs.means.device}")
    if inputs.means.dtype != torch.float32:
        raise InputError(f"means must be float32 for backend 'gsplat', got {inputs.means.dtype}")
    return rasterization(
        means=inputs.means.contiguous(),
        quats=inputs.quats.contiguous(),
        scales=inputs.scales.contiguous(),
        opacities=inputs.opacities.contiguous(),
        colors=inputs.colors.contiguous(),
        viewmats=inputs.viewmats.contiguous(),
        Ks=inputs.Ks.contiguous(),
        width=inputs.width,
        height=inputs.height,
        near_plane=inputs.near_plane,
        far_plane=inputs.far_plane,
        eps2d=inputs.eps2d,
        backgrounds=inputs.backgrounds,
        render_mode=inputs.render_mode,  # type: ignore[arg-type]
        rasterize_mode=inputs.rasterize_mode,  # type: ignore[arg-type]
        packed=False,
    )
