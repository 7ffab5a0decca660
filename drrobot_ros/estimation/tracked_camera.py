"""One camera of a tracker: where it is, and what its images are compared with."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.appearance import Appearance
from drrobot_ros.estimation.camera_memory import CameraMemory
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.light import LightMeter, smoothed
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, RenderedImages
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.occlusion import OccluderFinder, nearer
from drrobot_ros.estimation.problem import CameraPrior
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.shading import Shading
from drrobot_ros.estimation.silhouette import SilhouetteSource
from drrobot_ros.splats.gaussians import INSET_PX

Matrix = NDArray[np.float64]

EPS2D = 0.3
MIN_SHADE_SIGMA = 0.03


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
        self.occluders = OccluderFinder()
        self._memory: CameraMemory | None = None
        self._around: Matrix | None = None
        self._meter = LightMeter()
        self._shading: Shading | None = None

    def move(self, T: Matrix) -> None:
        """Go on from another pose [4,4] found in an image; forget what was gathered of it."""
        self.T = self.believed_T = T
        self._memory = None
        self._around = T

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
        rendered: RenderedImages,
        blur_px: int,
    ) -> ImageTarget:
        """Return what a level is to be compared with, its silhouette taken around an estimate.

        Args:
            config: which residuals, and how they weigh.
            level: the image.
            rendered: the robot as estimated, its splats coloured by part.
            blur_px: radius of the blur of colour and silhouette residuals.
        """
        bare = self.bare(config, level.camera, level.weight)
        seen = level if config.use_mask else dataclasses.replace(level, mask=None)
        region = self.silhouette.target(seen, rendered)
        common = dataclasses.replace(
            bare,
            mask=region.mask,
            mask_weight=region.mask_trust,
            depth=level.depth if config.use_depth else None,
            blur_radius=blur_px,
        )
        if config.color_residual in ("auto", "parts", "shaded"):
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

    def shaded(
        self,
        config: TrackerConfig,
        level: Level,
        target: ImageTarget,
        images: RobotImages,
        q: NDArray[np.float64],
        T: Matrix,
    ) -> tuple[ImageModel, ImageTarget]:
        """Return splats shaded as the image shows them around an estimate, and their target.

        Where too little is seen to fit the light, these are the unshaded ones.
        """
        import cv2

        if self._shading is None:
            self._shading = images.shading()
        assert target.mask is not None and target.mask_weight is not None
        small = level.camera.resized(level.camera.width // 2, level.camera.height // 2)
        size = (small.width, small.height)
        # Pixels along the contour mix two colours; they are the silhouette's.
        trust = cv2.erode(target.mask, np.ones((3, 3), np.uint8)) * target.mask_weight
        if level.weight is not None:
            trust = trust * level.weight
        light = self._shading.fit(
            q,
            T,
            self.bare(config, small, None),
            np.asarray(cv2.resize(level.color, size, interpolation=cv2.INTER_AREA), np.float32),
            np.asarray(cv2.resize(trust, size, interpolation=cv2.INTER_AREA), np.float32),
        )
        if light is None:
            return images.fine, target
        self._shading.apply(q, light)
        sigma = max(light.sigma, MIN_SHADE_SIGMA) * config.shade_sigma
        return self._shading.shaded, dataclasses.replace(
            target,
            color=level.color,
            color_weight=np.asarray(trust, np.float32),
            background=None,
            color_sigma=sigma,
        )

    def seen(self, config: TrackerConfig, observation: Observation) -> Observation:
        """Return the observation in the light of the first one, smoothed if it is noisy."""
        if not config.steady_light:
            return observation
        image = observation.image
        if self.link < 0:
            image = self._meter.normalized(image)
        return dataclasses.replace(observation, image=smoothed(image))

    def hidden(self, level: Level, rendered: RenderedImages | None) -> NDArray[np.bool_] | None:
        """Return which pixels of a level show something that hides robot or background [H,W].

        Args:
            level: the image.
            rendered: the robot where it is expected, for depth; None: not known.
        """
        source = self.silhouette
        found = self.occluders.unexplained(
            source.groups, source.clusters_of(level), source.distance(level)
        )
        if rendered is not None:
            before = nearer(level, rendered)
            if before is not None:
                found = before if found is None else found | before
        return found

    def prior(self, config: TrackerConfig) -> CameraPrior | None:
        """Return what is known of the pose before the next image."""
        return None if self.start_T is None else self._remembered(config).prior()

    def remember(self, config: TrackerConfig, T: Matrix, information: Matrix) -> None:
        """Take in the pose [4,4] found in an image, and what the image knew of it [6,6]."""
        if config.remember_camera:
            self._remembered(config).add(T, information)

    def learn(self, config: TrackerConfig, level: Level, rendered: RenderedImages) -> None:
        """Learn background and colours from an image whose estimate is good."""
        source = self.silhouette
        if config.learn_background and self.link < 0:
            source.learn(level, rendered)
        if config.ignore_occluders:
            self.occluders.learn(source.groups, source.clusters_of(level), rendered)

    def _remembered(self, config: TrackerConfig) -> CameraMemory:
        if self._memory is None:
            around = self.start_T if self._around is None else self._around
            assert around is not None
            sigma = None
            if config.camera_sigma_m > 0 and config.camera_sigma_rad > 0:
                sigma = np.repeat([config.camera_sigma_m, config.camera_sigma_rad], 3)
            self._memory = CameraMemory(around, sigma)
        return self._memory
