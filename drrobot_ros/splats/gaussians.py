"""GaussianRobot: a robot's surface as 3D Gaussians that move with its links."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.splats import files, harmonics, lighting
from drrobot_ros.splats.appearance import seen_colors
from drrobot_ros.splats.cells import divide, sums_by_cell
from drrobot_ros.splats.moments import Moments, moments_of, shapes_of
from drrobot_ros.splats.sampling import SurfaceConfig, sample_cells

# Large Gaussians reach farther beyond edges and round outlines; measured to undo it.
_COARSE_COVERAGE = 0.9  # of the fine ones'
_COARSE_INSET = 0.07  # of the growth in spacing

#: How far Gaussians on a surface reach beyond its contour on an image of any size, px: by the
#: rasterizer's own blur and by their tails.
INSET_PX = 0.6

_SHAPES = {
    "means": (3,),
    "quats": (4,),
    "scales": (3,),
    "opacities": (),
    "colors": (3,),
    "normals": (3,),
}


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianRobot:
    """Gaussians fixed to the links of a robot.

    All tensors share one floating dtype and device; gradients flow through them.

    Attributes:
        means: [N, 3] centres in link coordinates, m.
        quats: [N, 4] rotations wxyz in link coordinates, unit.
        scales: [N, 3] standard deviations along the Gaussian's axes, m.
        opacities: [N] 0 to 1.
        colors: [N, 3] RGB 0 to 1 as displayed, without light.
        normals: [N, 3] unit, outward, link coordinates.
        link_index: [N] int64, into `link_names`.
        link_names: the links of the robot, as `RobotModel.link_names`.
        robot_name: of the robot.
        sh: [N, 8, 3] harmonics of degrees 1 and 2 of the direction of view in link coordinates,
            added to the colour (with `colors`: 27 coefficients), or None.
        light: [lighting.SIZE] the light that `colors` were trained in, or None.
        base_colors: [N, 3] the meshes' own colours where `colors` were trained, or None.
        inset_px: splats have to move inward along their normals by this much on the image, px.
        modules: tensors of further parts of a trained model, by part and name.
        about: how it was made (JSON values): command, scores, times.

    Raises:
        InputError: a wrong shape, a number that is not finite or out of range.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    normals: Tensor
    link_index: Tensor
    link_names: tuple[str, ...]
    robot_name: str = ""
    sh: Tensor | None = None
    light: Tensor | None = None
    base_colors: Tensor | None = None
    inset_px: float = INSET_PX
    modules: Mapping[str, Mapping[str, Tensor]] = dataclasses.field(default_factory=dict)
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "link_names", tuple(self.link_names))
        n = len(self.means)
        if n == 0:
            raise InputError("a robot needs at least one Gaussian")
        for name, shape in _SHAPES.items():
            tensor = getattr(self, name)
            if tuple(tensor.shape) != (n, *shape):
                raise InputError(f"{name} must be {[n, *shape]}, got {list(tensor.shape)}")
            if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{name} must be finite floating-point numbers")
        if tuple(self.link_index.shape) != (n,) or self.link_index.is_floating_point():
            raise InputError(f"link_index must be [{n}] whole numbers")
        low, high = int(self.link_index.min()), int(self.link_index.max())
        if low < 0 or high >= len(self.link_names):
            bad = low if low < 0 else high
            raise InputError(f"link_index {bad} is not one of {len(self.link_names)} links")
        if float(self.scales.detach().min()) <= 0:
            raise InputError("scales must be positive")
        opacities = self.opacities.detach()
        if float(opacities.min()) < 0 or float(opacities.max()) > 1:
            raise InputError("opacities must be from 0 to 1")
        for name in ("quats", "normals"):
            length = getattr(self, name).detach().norm(dim=1)
            if float((length - 1).abs().max()) > 1e-3:
                raise InputError(f"{name} must be of unit length")
        self._check_appearance(n)

    def _check_appearance(self, n: int) -> None:
        wanted = {
            "sh": (n, harmonics.BEYOND_CONSTANT, 3),
            "light": (lighting.SIZE,),
            "base_colors": (n, 3),
        }
        for name, shape in wanted.items():
            tensor = getattr(self, name)
            if tensor is None:
                continue
            if tuple(tensor.shape) != shape or not tensor.is_floating_point():
                raise InputError(f"{name} must be real numbers {list(shape)}")
            if not bool(torch.isfinite(tensor).all()):
                raise InputError(f"{name} must be finite")
        if not (math.isfinite(self.inset_px) and 0 <= self.inset_px <= 10):
            raise InputError(f"inset_px must be from 0 to 10 px, got {self.inset_px!r}")

    def __len__(self) -> int:
        return len(self.means)

    @classmethod
    def from_model(
        cls,
        model: RobotModel,
        count: int = 10000,
        seed: int = 0,
        config: SurfaceConfig | None = None,
    ) -> "GaussianRobot":
        """Return Gaussians that cover the outside of a robot's visual meshes.

        Takes seconds and needs no training; the same seed gives the same Gaussians.

        Args:
            model: the robot.
            count: number of Gaussians, shared by the links by visible area.
            seed: of the random numbers.
            config: how they are laid.

        Raises:
            InputError: fewer Gaussians than links with a surface.
            ModelError: the robot has no visual meshes.
        """
        config = config or SurfaceConfig()
        cells = sample_cells(model, count, seed, config)
        return cls._from_cells(cells, config, model.link_names, model.name)

    @classmethod
    def _from_cells(
        cls, cells: Moments, config: SurfaceConfig, links: tuple[str, ...], name: str
    ) -> "GaussianRobot":
        shapes = shapes_of(cells, config.coverage, config.opacity)
        return cls(
            means=_tensor(cells.mean),
            quats=so3.matrix_to_quat(torch.from_numpy(shapes.axes)).float(),
            scales=_tensor(shapes.scales),
            opacities=_tensor(shapes.opacities),
            colors=_tensor(np.clip(cells.rgba[:, :3], 0, 1)),
            normals=_tensor(cells.normal),
            link_index=torch.from_numpy(cells.link),
            link_names=links,
            robot_name=name,
        )

    def subset(self, count: int, config: SurfaceConfig | None = None) -> "GaussianRobot":
        """Return at most `count` larger Gaussians that cover the same surface.

        Neighbours on a link are merged by their moments, also where the Gaussians were trained.
        Not differentiable; float32 on the CPU.

        Args:
            count: number of Gaussians; as many as there are, or more, returns the same robot.
            config: the coverage and opacity the Gaussians were made with.

        Raises:
            InputError: fewer Gaussians than links that have any.
        """
        if count >= len(self):
            return self
        config = config or SurfaceConfig()
        arrays = {name: _array(getattr(self, name)) for name in _SHAPES}
        quats = torch.from_numpy(arrays.pop("quats"))
        cells = moments_of(
            **arrays,
            axes=so3.quat_to_matrix(quats).numpy(),
            link=self.link_index.cpu().numpy(),
            coverage=config.coverage,
        )
        spacing = float(np.sqrt(cells.area.sum() / count))
        features = cells.features(spacing, config.normal_weight, config.color_weight)
        cell = divide(features, cells.area, cells.link, count)
        merged = cells.merged(cell, count)
        growth = spacing - float(np.sqrt(cells.area.sum() / len(self)))
        merged = merged.inset(_COARSE_INSET * growth)
        coarse = dataclasses.replace(config, coverage=_COARSE_COVERAGE * config.coverage)
        result = self._from_cells(merged, coarse, self.link_names, self.robot_name)
        sh = self.sh
        if sh is not None:
            share = cells.area / np.bincount(cell, cells.area, count)[cell]
            sh = _tensor(sums_by_cell(cell, _array(sh) * share[:, None, None], count))
        light = None if self.light is None else self.light.detach().cpu().float()
        base = self.base_colors
        if base is not None:
            share = cells.area / np.bincount(cell, cells.area, count)[cell]
            base = _tensor(sums_by_cell(cell, _array(base) * share[:, None], count))
        return dataclasses.replace(
            result,
            sh=sh,
            light=light,
            base_colors=base,
            inset_px=self.inset_px,
            about=self.about,
        )

    @property
    def part_colors(self) -> Tensor:
        """The colours [N, 3] by which parts are told apart: the meshes' own where known."""
        return self.colors if self.base_colors is None else self.base_colors

    def pose(self, T_base_link: Tensor) -> tuple[Tensor, Tensor]:
        """Return centres [..., N, 3] (m) and rotations [..., N, 4] (wxyz) in the base frame.

        Args:
            T_base_link: [..., L, 4, 4], e.g. of `RobotModel.forward_kinematics`; L as
                `link_names`. Gradients flow to it, to `means` and to `quats`.

        Raises:
            InputError: another number of links.
        """
        L = len(self.link_names)
        if T_base_link.shape[-3:] != (L, 4, 4):
            raise InputError(f"T_base_link must be [..., {L}, 4, 4], got {list(T_base_link.shape)}")
        T = T_base_link.index_select(-3, self.link_index)
        means = (T[..., :3, :3] @ self.means[:, :, None])[..., 0] + T[..., :3, 3]
        turn = so3.matrix_to_quat(T_base_link[..., :3, :3])
        quats = so3.quat_multiply(turn.index_select(-2, self.link_index), self.quats)
        return means, quats

    def seen_colors(self, T_base_link: Tensor, T_base_camera: Tensor) -> Tensor:
        """Return the colours [..., N, 3] that a camera sees, 0 to 1; `colors` if untrained.

        Args:
            T_base_link: [..., L, 4, 4] as for `pose`.
            T_base_camera: [..., 4, 4] camera pose; only its position matters.

        Gradients flow to both and to the Gaussians.
        """
        if self.sh is None and self.light is None:
            return self.colors.expand(*T_base_link.shape[:-3], *self.colors.shape)
        T = T_base_link.index_select(-3, self.link_index).to(self.means)
        turn = T[..., :3, :3]
        means = (turn @ self.means[:, :, None])[..., 0] + T[..., :3, 3]
        eye = T_base_camera.to(self.means)[..., None, :3, 3]
        views = torch.nn.functional.normalize(means - eye, dim=-1)
        normals = (turn @ self.normals[:, :, None])[..., 0]
        return seen_colors(self.colors, self.sh, self.light, normals, views, turn)

    def check_matches(self, model: RobotModel) -> None:
        """Check that these Gaussians belong to the links of a model.

        Raises:
            InputError: the links differ; the message names those only one of them has.
        """
        ours, theirs = self.link_names, tuple(model.link_names)
        if ours == theirs:
            return
        extra = [n for n in ours if n not in theirs]
        missing = [n for n in theirs if n not in ours]
        if not extra and not missing:
            detail = f"the same links in another order: {', '.join(ours)}"
        else:
            detail = (
                f"only the Gaussians have: {', '.join(extra) or 'none'}; "
                f"only the model has: {', '.join(missing) or 'none'}"
            )
        raise InputError(
            f"Gaussians of {self.robot_name!r} do not fit the robot {model.name!r}; {detail}"
        )

    def to(self, target: Any) -> "GaussianRobot":
        """Return the same Gaussians with another dtype or on another device."""
        moved = {name: getattr(self, name).to(target) for name in _SHAPES}
        for name in ("sh", "light", "base_colors"):
            tensor = getattr(self, name)
            moved[name] = None if tensor is None else tensor.to(target)
        index = self.link_index.to(moved["means"].device)
        return dataclasses.replace(self, **moved, link_index=index)

    def save(self, path: str | Path) -> None:
        """Write a ``.npz`` file; see `drrobot_ros.splats.files`."""
        files.save({f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, path)

    @classmethod
    def load(cls, path: str | Path) -> "GaussianRobot":
        """Read a file that `save` wrote; everything in it is checked.

        Raises:
            SplatFileError: the file is missing, damaged, of another kind or of a later version.
        """
        fields = files.load(path)
        try:
            return cls(**fields)
        except (InputError, ValueError, TypeError) as error:
            raise files.SplatFileError(f"{str(path)!r}: {error}") from error


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float64)
