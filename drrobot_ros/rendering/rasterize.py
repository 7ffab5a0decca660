"""Differentiable rasterization of 3D Gaussians: one signature, three backends."""

from typing import Any

import torch

from drrobot_ros.errors import unknown_name
from drrobot_ros.rendering.cpu_backend import rasterize_cpu
from drrobot_ros.rendering.gsplat_backend import rasterize_gsplat
from drrobot_ros.rendering.inputs import RasterInputs, check_inputs
from drrobot_ros.rendering.reference import rasterize_reference

BACKENDS = ("gsplat", "cpu", "torch")


def rasterize(
    means: torch.Tensor,
    quats: torch.Tensor,
    scales: torch.Tensor,
    opacities: torch.Tensor,
    colors: torch.Tensor,
    viewmats: torch.Tensor,
    Ks: torch.Tensor,
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    backgrounds: torch.Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    backend: str | None = None,
) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    """Render 3D Gaussians to images; names, shapes and conventions are gsplat's.

    A Gaussian with a value that is not finite, a zero quaternion or its centre outside the near
    and far planes is not drawn and gets zero gradients (backends "cpu" and "torch").

    Args:
        means: centres [N, 3], world frame, m.
        quats: rotations [N, 4], wxyz, of any norm but zero.
        scales: standard deviations along the Gaussian's axes [N, 3], m.
        opacities: [N], 0 to 1.
        colors: [N, D], or [C, N, D] if they depend on the camera; D is 3 for RGB, any D works.
        viewmats: world-to-camera transforms [C, 4, 4]; camera x right, y down, z forward.
        Ks: camera matrices [C, 3, 3], px, without skew; pixel centres lie at +0.5.
        width: of the images, px.
        height: of the images, px.
        near_plane: Gaussians whose centre is nearer are not drawn, m.
        far_plane: Gaussians whose centre is farther are not drawn, m.
        eps2d: added to the diagonal of the projected covariance, px^2.
        backgrounds: [C, D], seen through what is not opaque; black if None. Depth has none.
        render_mode: "RGB" for colours, "D" for depth summed by weight, "ED" for that divided by
            alpha, "RGB+D" and "RGB+ED" for both, depth being the last channel.
        rasterize_mode: "classic", or "antialiased" to lower the opacity of Gaussians smaller than
            a pixel by as much as eps2d enlarges them (Mip-Splatting).
        backend: "gsplat" (CUDA), "cpu" (C++) or "torch" (the slow reference, also float64); None
            takes gsplat for CUDA tensors and cpu otherwise.

    Returns:
        Images [C, H, W, D'], alpha [C, H, W, 1], and a dictionary with the ``backend`` used and
        whatever else that backend reports. Gradients flow to means, quats, scales, opacities,
        colors, viewmats and backgrounds; there is none to Ks.

    Raises:
        InputError: an argument that cannot be used, named in the message.
        BackendError: the backend is not built or not installed; the message says what to run.
    """
    inputs = check_inputs(
        RasterInputs(
            means=means,
            quats=quats,
            scales=scales,
            opacities=opacities,
            colors=colors,
            viewmats=viewmats,
            Ks=Ks,
            width=width,
            height=height,
            near_plane=near_plane,
            far_plane=far_plane,
            eps2d=eps2d,
            backgrounds=backgrounds,
            render_mode=render_mode,
            rasterize_mode=rasterize_mode,
        )
    )
    if backend is None:
        backend = "gsplat" if means.is_cuda else "cpu"
    if backend == "gsplat":
        image, alpha, meta = rasterize_gsplat(inputs)
        return image, alpha, {**meta, "backend": backend}
    if backend == "cpu":
        return *rasterize_cpu(inputs), {"backend": backend}
    if backend == "torch":
        return *rasterize_reference(inputs), {"backend": backend}
    raise unknown_name("backend", backend, BACKENDS)
