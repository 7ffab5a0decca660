"""The robot as the tracker draws it: few splats for searching, all for the last iterations."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from drrobot_ros.estimation.device.choice import image_model_maker
from drrobot_ros.estimation.mesh_outline import MeshOutline
from drrobot_ros.estimation.normal_equations import FloatImage, ImageModel
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.shading import Shading

SEARCH_SPLATS = 1000
COARSE_SPLATS = 2000
# A second colour must cover this share of the robot's splats to tell its parts apart.
SECOND_COLOR = 0.05


@dataclasses.dataclass(frozen=True)
class RobotImages:
    """What a robot is rendered with.

    Attributes:
        search: few splats, coloured by part: ranks hypotheses.
        coarse: more splats, coloured by part: the coarse level, and the silhouette.
        fine: all splats, coloured by part.
        colored: all splats in their own colours.
        coarse_colored: those of `coarse` in their own colours.
        lit: the splats carry a light or harmonics: their colours depend on the view.
        residual: what colours are compared by: parts, shaded, photometric or off.
        outline: that of the meshes; None: that of the splats is the best known.
    """

    search: ImageModel
    coarse: ImageModel
    fine: ImageModel
    colored: ImageModel
    coarse_colored: ImageModel
    residual: str
    lit: bool
    outline: MeshOutline | None
    _model: Any
    _gaussians: Any
    _coarse_gaussians: Any
    _palette: FloatImage
    _make: Callable[..., ImageModel]

    @classmethod
    def of(cls, model: Any, gaussians: Any, residual: str, device: str = "cpu") -> "RobotImages":
        """Make them; a residual of "auto" becomes parts or shaded, as the robot's colours allow.

        `device` is one of `device.choice.DEVICES`; searches stay on the CPU.
        """
        make = image_model_maker(device)
        palette = palette_of(np.asarray(gaussians.part_colors))

        def image_model(splats: Any, labels: bool, make: Any = make) -> ImageModel:
            colors = part_labels(splats.part_colors, palette) if labels else None
            return make(model.tree, splats, model.nq, model.nv, colors)

        if residual == "auto":
            shares = np.sort(part_labels(gaussians.part_colors, palette).mean(0))
            residual = "parts" if shares[-2] > SECOND_COLOR else "shaded"
        coarse = gaussians.subset(COARSE_SPLATS)
        return cls(
            search=image_model(gaussians.subset(SEARCH_SPLATS), True, ImageModel),
            coarse=image_model(coarse, True),
            fine=image_model(gaussians, True),
            colored=image_model(gaussians, False),
            coarse_colored=image_model(coarse, False),
            residual=residual,
            lit=getattr(gaussians, "light", None) is not None
            or getattr(gaussians, "sh", None) is not None,
            outline=MeshOutline.of(model, gaussians),
            _model=model,
            _gaussians=gaussians,
            _coarse_gaussians=coarse,
            _palette=palette,
            _make=make,
        )

    def relight(self, T_base_link: Any, T_base_camera: Any) -> None:
        """Colour the splats as a camera sees them: links [L,4,4] and camera [4,4], as tensors."""
        for images, splats in (
            (self.colored, self._gaussians),
            (self.coarse_colored, self._coarse_gaussians),
        ):
            images.set_colors(splats.seen_colors(T_base_link, T_base_camera).detach().numpy())

    def shading(self) -> Shading:
        """Return a new shading of the robot, for one camera."""
        coarse = self._coarse_gaussians
        return Shading(
            self._model,
            self._gaussians,
            coarse,
            part_labels(self._gaussians.part_colors, self._palette),
            part_labels(coarse.part_colors, self._palette),
            self._make,
        )
