"""Render a robot made of Gaussians at a joint configuration."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.geometry import se3
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.rasterize import rasterize


class _Kinematics(Protocol):
    """The part of ``RobotModel`` that rendering needs."""

    @property
    def nq(self) -> int: ...
    @property
    def link_names(self) -> Sequence[str]: ...
    def forward_kinematics(self, q: torch.Tensor) -> torch.Tensor: ...


class _Gaussians(Protocol):
    """The part of ``GaussianRobot`` that rendering needs."""

    @property
    def scales(self) -> torch.Tensor: ...
    @property
    def opacities(self) -> torch.Tensor: ...
    @property
    def colors(self) -> torch.Tensor: ...
    @property
    def link_names(self) -> Sequence[str]: ...
    def pose(self, T_base_link: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


def render_robot(
    model: _Kinematics,
    gaussians: _Gaussians,
    q: Any,
    T_base_camera: Any,
    camera: PinholeCamera,
    background: torch.Tensor | None = None,
    backend: str | None = None,
    rasterize_mode: str = "antialiased",
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Render a robot at one configuration, seen by one camera.

    Args:
        model: a ``RobotModel``.
        gaussians: a ``GaussianRobot`` whose links the model has.
        q: joint positions [nq] in the order of ``model.joint_names``, rad or m.
        T_base_camera: camera pose in the base frame [4, 4]; x right, y down, z forward.
        camera: intrinsics and image size.
        background: colour [3] or image [H, W, 3] behind the robot; black if None.
        backend: of ``rasterize``.
        rasterize_mode: of ``rasterize``.

    Gaussians that say so (``inset_px``) are drawn that much further inside the contour, which
    their tails would else push outward; those with ``seen_colors`` show what this camera sees.

    Returns:
        Colours [H, W, 3], alpha [H, W], and expected depth [H, W] in m, 0 where nothing is seen.
        Gradients flow to q and T_base_camera if they are tensors, to the Gaussians and to the
        background.

    Raises:
        InputError: a wrong shape, or Gaussians on a link that the model does not have.
        BackendError: the backend is not built or not installed.
    """
    like = gaussians.scales
    q = torch.as_tensor(q, device=like.device)
    q = q if q.is_floating_point() else q.to(like.dtype)
    if q.shape != (model.nq,):
        raise InputError(f"q must have shape [{model.nq}], got {list(q.shape)}")
    T = torch.as_tensor(T_base_camera, device=like.device)
    if T.shape != (4, 4):
        raise InputError(f"T_base_camera must have shape [4, 4], got {list(T.shape)}")
    T_base_link = model.forward_kinematics(q)
    if list(gaussians.link_names) != list(model.link_names):
        T_base_link = T_base_link[_link_rows(gaussians.link_names, model.link_names)]
    T_base_link, T = T_base_link.to(like.dtype), T.to(like.dtype)
    means, quats = gaussians.pose(T_base_link)
    means = _inset(means, gaussians, T_base_link, T, camera)
    seen = getattr(gaussians, "seen_colors", None)
    image, alpha, _ = rasterize(
        means,
        quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.colors if seen is None else seen(T_base_link, T),
        se3.inverse(T)[None],
        torch.as_tensor(camera.K.copy(), dtype=like.dtype, device=like.device)[None],
        camera.width,
        camera.height,
        render_mode="RGB+ED",
        rasterize_mode=rasterize_mode,
        backend=backend,
    )
    rgb, depth, alpha = image[0, ..., :3], image[0, ..., 3], alpha[0, ..., 0]
    if background is not None:
        if background.shape not in ((3,), rgb.shape):
            raise InputError(
                f"background must have shape [3] or {list(rgb.shape)}, got {list(background.shape)}"
            )
        rgb = rgb + (1 - alpha[..., None]) * background.to(rgb)
    return rgb, alpha, depth


def _inset(
    means: torch.Tensor,
    gaussians: Any,
    T_base_link: torch.Tensor,
    T_base_camera: torch.Tensor,
    camera: PinholeCamera,
) -> torch.Tensor:
    """Return the centres moved inward along their normals by ``inset_px`` on the image."""
    inset_px = float(getattr(gaussians, "inset_px", 0.0))
    if inset_px == 0.0:
        return means
    turn = T_base_link.index_select(0, gaussians.link_index)[:, :3, :3]
    normals = (turn @ gaussians.normals[:, :, None])[..., 0]
    depth = (means - T_base_camera[:3, 3]) @ T_base_camera[:3, 2]
    focal = 0.5 * (camera.fx + camera.fy)
    return means - normals * (inset_px / focal * depth.clamp(min=0))[:, None]


def _link_rows(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    rows = {name: row for row, name in enumerate(names)}
    for name in wanted:
        if name not in rows:
            raise unknown_name("link", name, names)
    return [rows[name] for name in wanted]
