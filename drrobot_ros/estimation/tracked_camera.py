"""One camera of a tracker: where it is, and what its images are compared with."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.appearance import Appearance
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.silhouette import SilhouetteSource

Matrix = NDArray[np.float64]

# How far overlap and dilation push the rendered contour out: measured against the meshes. Splats
# that were trained with a dilation of their own say so.
INSET_PX = 0.6
EPS2D = 0.3


@dataclasses.dataclass(frozen=True)
class CameraMount:
    """How a camera is mounted.

    Attributes:
        link: the link that carries it; None: it is fixed to the base.
        estimate: whether its pose is estimated; None: as the tracker's configuration says.
    """

    link: str | None = None
    estimate: bool | None = None


class TrackedCamera:
    """A camera's pose, its background and how it sees colours.

    Args:
        link: index of the link that carries it, -1: fixed to the base.
        estimate: whether its pose is estimated; None: as the configuration says.
        gaussians: the robot's splats.
    """

    def __init__(self, link: int, estimate: bool | None, gaussians: Any) -> None:
        self.link, self.estimate = link, estimate
        self._inset_px = float(getattr(gaussians, "inset_px", INSET_PX))
        self._eps2d = float(getattr(gaussians, "eps2d", EPS2D))
        self.start_T: Matrix | None = None
        self.T: Matrix | None = None
        self.believed_T: Matrix | None = None
        self.reset(None)

    def reset(self, T: Matrix | None) -> None:
        """Forget what was seen, and start again from a pose [4,4]; None: from the last start.

        Raises:
            InputError: not a rigid transform.
        """
        if T is not None:
            T = np.asarray(T, np.float64)
            if T.shape != (4, 4) or not np.isfinite(T).all():
                raise InputError(f"T_base_camera must be a finite 4x4 matrix, got {T}")
            if np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-3:
                raise InputError("T_base_camera must hold a rotation matrix")
            self.start_T = T
        self.T = self.believed_T = self.start_T
        self.silhouette = SilhouetteSource()
        self.appearance = Appearance()

    def is_free(self, config: TrackerConfig) -> bool:
        """Whether the pose is estimated."""
        return config.estimate_camera if self.estimate is None else self.estimate

    def bare(self, config: TrackerConfig, camera: Any, weight: NDArray | None) -> ImageTarget:
        """Return a target without images: how to render, and how residuals weigh."""
        return ImageTarget(
            K=camera.K,
            width=camera.width,
            height=camera.height,
            weight=weight,
            camera_link=self.link,
            inset_px=self._inset_px,
            eps2d=self._eps2d,
            mask_sigma=config.mask_sigma,
            depth_sigma=config.depth_sigma_m,
            robust=config.robust,
        )

    def target(
        self,
        config: TrackerConfig,
        level: Level,
        model: ImageModel,
        q: NDArray[np.float64],
        T: Matrix,
        blur_px: int,
    ) -> ImageTarget:
        """Return what a level is to be compared with, its silhouette taken around an estimate.

        Args:
            config: which residuals, and how they weigh.
            level: the image.
            model: renders the estimate, its splats coloured by part.
            q: joint positions [nq] of the estimate.
            T: camera pose [4,4] of the estimate.
            blur_px: radius of the blur of colour and silhouette residuals.
        """
        bare = self.bare(config, level.camera, level.weight)
        seen = level if config.use_mask else dataclasses.replace(level, mask=None)
        region = self.silhouette.target(seen, model.images(q, T, bare))
        common = dataclasses.replace(
            bare,
            mask=region.mask,
            mask_weight=region.mask_trust,
            depth=level.depth if config.use_depth else None,
            blur_radius=blur_px,
        )
        if config.color_residual == "parts":
            return dataclasses.replace(
                common,
                color=region.parts,
                color_weight=region.parts_trust,
                background=np.zeros_like(region.parts),
                color_sigma=config.parts_sigma,
            )
        if config.color_residual == "photometric":
            return dataclasses.replace(
                common,
                color=level.color,
                background=self.silhouette.background(level),
                color_sigma=config.color_sigma,
                gain=self.appearance.gain,
                bias=self.appearance.bias,
            )
        return common
