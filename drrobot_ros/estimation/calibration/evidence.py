"""What a camera's images say of where the robot is: targets for the solver.

Every source of evidence fills one silhouette per image (how likely a pixel shows the robot, and how
far that is trusted), parts of like colour and depth. All images of a camera are looked at together,
so that what changes while the robot moves can be told from what stands still.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.stages import Stage
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.silhouette import SilhouetteSource


class Evidence(Protocol):
    """Turns images into targets around an estimate."""

    def targets(
        self,
        camera: str,
        stage: Stage,
        levels: Sequence[Level],
        rendered: Sequence[RenderedImages],
        bare: Sequence[ImageTarget],
    ) -> list[ImageTarget]:
        """Return what the images of one camera are to be compared with.

        Args:
            camera: its name.
            stage: which evidence is wanted.
            levels: all its images.
            rendered: the robot as estimated in each, splats coloured by part.
            bare: targets without evidence: intrinsics and noise.
        """
        ...

    def agreement(self, target: ImageTarget, rendered: RenderedImages) -> float:
        """Return how far an image and the rendering agree near the contour, 0..1."""
        ...

    def clusters(self, camera: str, levels: Sequence[Level]) -> list[NDArray[np.uint8]]:
        """Return the colour cluster of every pixel of each image, for searches."""
        ...


class RegionEvidence:
    """Colour regions around the contour and the background learned over all images of a camera.

    Args:
        config: which residuals, and how they weigh.
        still: names of cameras that stand still, whose background is learned.
    """

    def __init__(self, config: CalibrationConfig, still: frozenset[str]) -> None:
        self._config, self._still = config, still
        self._sources: dict[tuple[str, int], SilhouetteSource] = {}

    def targets(
        self,
        camera: str,
        stage: Stage,
        levels: Sequence[Level],
        rendered: Sequence[RenderedImages],
        bare: Sequence[ImageTarget],
    ) -> list[ImageTarget]:
        """Return what the images of one camera are to be compared with."""
        sources = self._sources_of(camera, len(levels))
        if camera in self._still and "plate" in stage.terms and not stage.is_coarse:
            for source, level, image in zip(sources, levels, rendered, strict=True):
                if level.mask is None:
                    source.learn(level, image)
        out = []
        for source, level, image, empty in zip(sources, levels, rendered, bare, strict=True):
            region = source.target(level, image)
            planes: dict = {"mask": region.mask, "mask_weight": region.mask_trust}
            if "parts" in stage.terms and self._config.parts_sigma > 0:
                planes["color"] = region.parts
                planes["color_weight"] = region.parts_trust
                planes["background"] = np.zeros_like(region.parts)
                planes["color_sigma"] = self._config.parts_sigma
            if "depth" in stage.terms and level.depth is not None:
                planes["depth"] = level.depth
                planes["depth_sigma"] = self._config.depth_sigma_m * stage.depth_factor
            out.append(dataclasses.replace(empty, **planes))
        return out

    def agreement(self, target: ImageTarget, rendered: RenderedImages) -> float:
        """Return how far an image and the rendering agree near the contour, 0..1."""
        return SilhouetteSource().agreement(target, rendered)

    def clusters(self, camera: str, levels: Sequence[Level]) -> list[NDArray[np.uint8]]:
        """Return the colour cluster of every pixel of each image."""
        sources = self._sources_of(camera, len(levels))
        return [s.clusters_of(level) for s, level in zip(sources, levels, strict=True)]

    def _sources_of(self, camera: str, count: int) -> list[SilhouetteSource]:
        # One camera learns one background; of a moving one every image stands alone.
        still = camera in self._still
        keys = [(camera, 0 if still else i) for i in range(count)]
        return [self._sources.setdefault(key, SilhouetteSource(every=1)) for key in keys]
