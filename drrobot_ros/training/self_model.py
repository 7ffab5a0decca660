"""The self-model as it is trained: Gaussians, light, and optional skinning and deformation.

Sources: Liu et al. 2024, Differentiable Robot Rendering (arXiv 2410.13851): the parts; what the
light adds is in `drrobot_ros.splats.lighting`.
"""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import se3, so3
from drrobot_ros.rendering import rasterize
from drrobot_ros.splats import GaussianRobot, harmonics, lighting
from drrobot_ros.splats.appearance import seen_colors
from drrobot_ros.splats.deformation import Change

#: The tensors of the Gaussians, each [N, ...].
PARAMETERS = ("means", "quats", "log_scales", "logit_opacities", "colors", "sh", "normals")
EPS2D = 0.3
_MAX_LOGIT = 6.9  # opacity 0.999


@dataclasses.dataclass(frozen=True, eq=False)
class Posed:
    """Gaussians in one pose, base frame.

    Attributes:
        means: [N, 3] m.
        quats: [N, 4] wxyz, of any norm.
        scales: [N, 3] m.
        opacities: [N].
        normals: [N, 3] unit.
        colors: [N, 3] albedo.
        sh: [N, 8, 3] of the view direction in the axes before `turn`.
        turn: [N, 3, 3] rotations from those axes to the base frame.
        change: what the deformation added; None: nothing.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    normals: Tensor
    colors: Tensor
    sh: Tensor | None
    turn: Tensor
    change: Change | None = None


class SelfModel(nn.Module):
    """A robot's Gaussians as parameters, with what moves and colours them.

    Args:
        gaussians: the start.
        T_canonical: [L, 4, 4] poses of the links in the neutral configuration; needed for skinning
            and deformation, which live in the base frame of that pose.
        skinning: moves Gaussians with several links; None: each with its own, exactly.
        deformation: changes them with the joint positions; None: not at all.
        use_sh: whether colours depend on the direction of view beyond what light does.
        use_light: whether there is a light.
    """

    link_index: Tensor
    base_colors: Tensor
    T_canonical: Tensor
    skinning: Any
    deformation: Any

    def __init__(
        self,
        gaussians: GaussianRobot,
        T_canonical: Tensor | None = None,
        skinning: Any = None,
        deformation: Any = None,
        use_sh: bool = True,
        use_light: bool = True,
    ) -> None:
        super().__init__()
        if T_canonical is None and (skinning is not None or deformation is not None):
            raise InputError("skinning and deformation need T_canonical")
        g = gaussians.to(torch.float32)
        n = len(g)
        self.link_names, self.robot_name = g.link_names, g.robot_name
        # With the inset the Gaussians stay on the true surface, and so fit images of any size.
        self.inset_px = g.inset_px
        self.register_buffer("link_index", g.link_index.clone())
        self.register_buffer("base_colors", g.part_colors.clone())
        if T_canonical is None:
            T_canonical = torch.eye(4).expand(len(g.link_names), 4, 4)
        self.register_buffer("T_canonical", T_canonical.to(g.means).clone())
        means, quats, normals = g.means, g.quats, g.normals
        if skinning is not None:
            means, quats = g.pose(self.T_canonical)
            turn = self.T_canonical[g.link_index, :3, :3]
            normals = (turn @ g.normals[:, :, None])[..., 0]
        sh = g.sh if g.sh is not None else g.means.new_zeros(n, harmonics.BEYOND_CONSTANT, 3)
        light = g.light if g.light is not None else lighting.neutral(g.means[0])
        logit = torch.logit(g.opacities.clamp(1e-3, 1 - 1e-3)).clamp(max=_MAX_LOGIT)
        # One layout of memory, as of what is read from a checkpoint: sums depend on it.
        dense = torch.contiguous_format
        self.means = nn.Parameter(means.clone(memory_format=dense))
        self.quats = nn.Parameter(quats.clone(memory_format=dense))
        self.log_scales = nn.Parameter(g.scales.log().contiguous())
        self.logit_opacities = nn.Parameter(logit.contiguous())
        self.colors = nn.Parameter(g.colors.clone(memory_format=dense))
        self.sh = nn.Parameter(sh.clone(memory_format=dense), requires_grad=use_sh)
        self.normals = nn.Parameter(normals.clone(memory_format=dense))
        self.light = nn.Parameter(light.clone(), requires_grad=use_light)
        self.skinning, self.deformation = skinning, deformation
        self.use_sh, self.use_light = use_sh, use_light

    def __len__(self) -> int:
        return len(self.means)

    def canonical_means(self) -> Tensor:
        """Return the centres [N, 3] in the base frame of the neutral configuration, m."""
        if self.skinning is not None:
            return self.means
        T = self.T_canonical.index_select(0, self.link_index)
        return _turned(T[:, :3, :3], self.means) + T[:, :3, 3]

    def pose(self, T_base_link: Tensor, q: Tensor | None = None, deforms: bool = True) -> Posed:
        """Return the Gaussians in one pose.

        Args:
            T_base_link: [L, 4, 4] float32.
            q: [nq], needed by the deformation only.
            deforms: whether the deformation, if there is one, acts.

        Raises:
            InputError: there is a deformation and no q.
        """
        means, log_scales = self.means, self.log_scales
        logit, colors, quats = self.logit_opacities, self.colors, self.quats
        sh = self.sh if self.use_sh else None
        change = None
        if self.deformation is not None and deforms:
            if q is None:
                raise InputError("q is needed: this model deforms with the joint positions")
            change = self.deformation(self.canonical_means().detach(), q)
            quats = so3.quat_multiply(so3.quat_exp(change.rotvec), quats)
            log_scales = log_scales + change.log_scale
            logit, colors = logit + change.opacity, colors + change.color
            if sh is not None:
                sh = sh + change.sh
        normals = nn.functional.normalize(self.normals, dim=-1)
        if self.skinning is None:
            # Products with 4x4 matrices of each link's quaternion: cheaper than gathering parts.
            T = T_base_link.index_select(0, self.link_index)
            turn = T[:, :3, :3]
            means = _turned(turn, means) + T[:, :3, 3]
            product = _left_products(so3.matrix_to_quat(T_base_link[:, :3, :3]))
            quats = _turned(product.index_select(0, self.link_index), quats)
        else:
            relative = T_base_link @ se3.inverse(self.T_canonical)
            A, blend = self.skinning(means, relative)
            means = _turned(A[:, :, :3], means) + A[:, :, 3]
            turn = so3.quat_to_matrix(blend)
            quats = so3.quat_multiply(blend, quats)
        return Posed(
            means,
            quats,
            log_scales.exp(),
            torch.sigmoid(logit),
            _turned(turn, normals),
            colors,
            sh,
            turn,
            change,
        )

    def render(
        self,
        posed: Posed,
        T_base_camera: Tensor,
        camera: Any,
        background: Tensor | None = None,
        depth: bool = False,
        box: tuple[int, int, int, int] | None = None,
        light: Tensor | None = None,
        backend: str | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return colours [h, w, 3], alpha [h, w] and, if asked for, depth [h, w] in m.

        Args:
            posed: of `pose`.
            T_base_camera: [4, 4].
            camera: the PinholeCamera.
            background: [3] colour behind the robot; black if None.
            depth: also render the expected depth.
            box: x0, y0, x1, y1: only this part of the image; None: all.
            light: instead of the model's own.
            backend: of ``rasterize``.
        """
        x0, y0, x1, y1 = box or (0, 0, camera.width, camera.height)
        views = nn.functional.normalize(posed.means - T_base_camera[:3, 3], dim=-1)
        if light is None and self.use_light:
            light = self.light
        colors = seen_colors(posed.colors, posed.sh, light, posed.normals, views, posed.turn)
        means = posed.means
        if self.inset_px > 0:
            depth_m = (means.detach() - T_base_camera[:3, 3]) @ T_base_camera[:3, 2]
            inset = self.inset_px / (0.5 * (camera.fx + camera.fy)) * depth_m.clamp(min=0)
            means = means - posed.normals * inset[:, None]
        K = torch.from_numpy(np.array(camera.K)).to(posed.means)
        K[0, 2] -= x0
        K[1, 2] -= y0
        image, alpha, _ = rasterize(
            means,
            posed.quats,
            posed.scales,
            posed.opacities,
            colors,
            se3.inverse(T_base_camera)[None],
            K[None],
            x1 - x0,
            y1 - y0,
            eps2d=EPS2D,
            backgrounds=None if background is None else background[None],
            render_mode="RGB+ED" if depth else "RGB",
            rasterize_mode="antialiased",
            backend=backend,
        )
        return image[0, ..., :3], alpha[0, ..., 0], image[0, ..., 3] if depth else None

    @torch.no_grad()
    def to_gaussians(self, **about: Any) -> GaussianRobot:
        """Return the trained Gaussians, each on one link; networks come along as tensors."""
        link, means, quats = self.link_index, self.means, self.quats
        normals = nn.functional.normalize(self.normals, dim=-1)
        modules = {}
        if self.skinning is not None:
            link = self.skinning.link_of(means)
            T = se3.inverse(self.T_canonical)[link]
            modules["rest"] = {
                name: getattr(self, name).detach().cpu().clone()
                for name in ("means", "quats", "normals")
            }
            means = _turned(T[:, :3, :3], means) + T[:, :3, 3]
            quats = so3.quat_multiply(so3.matrix_to_quat(T[:, :3, :3]), quats)
            normals = _turned(T[:, :3, :3], normals)
            modules["skinning"] = _state(self.skinning)
        if self.deformation is not None:
            modules["deformation"] = _state(self.deformation)
        if modules:
            modules["canonical"] = {"T": self.T_canonical.detach().cpu().clone()}
        return GaussianRobot(
            means=means.detach().cpu().clone(),
            quats=nn.functional.normalize(quats, dim=-1).cpu(),
            scales=self.log_scales.exp().cpu(),
            opacities=torch.sigmoid(self.logit_opacities).cpu(),
            colors=self.colors.clamp(0, 1).cpu(),
            normals=normals.cpu(),
            link_index=link.cpu().clone(),
            link_names=self.link_names,
            robot_name=self.robot_name,
            sh=self.sh.detach().cpu().clone() if self.use_sh else None,
            light=self.light.detach().cpu().clone() if self.use_light else None,
            base_colors=self.base_colors.cpu().clone(),
            inset_px=self.inset_px,
            modules=modules,
            about=about,
        )


def _turned(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return matrices [N, K, K] times vectors [N, K]."""
    return (matrices * vectors[:, None, :]).sum(dim=-1)


def _left_products(quats: Tensor) -> Tensor:
    """Return the matrices [L, 4, 4] that multiply quaternions by these [L, 4] from the left."""
    w, x, y, z = quats.unbind(-1)
    rows = [(w, -x, -y, -z), (x, w, -z, y), (y, z, w, -x), (z, -y, x, w)]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _state(module: nn.Module) -> dict[str, Tensor]:
    import json

    config = getattr(module, "config", {})
    text = np.frombuffer(json.dumps(dict(config)).encode(), np.uint8).copy()
    state = {name: t.detach().cpu().clone() for name, t in module.state_dict().items()}
    return {**state, "config_json": torch.from_numpy(text)}
