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
from drrobot_ros.estimation.evidence import (
    ColorSource,
    PhotoSet,
    PlateSource,
    Segmenter,
    SegmenterSource,
    add_odds,
    appearance_codes,
    silhouette_target,
    told_agreement,
)
from drrobot_ros.estimation.evidence.colors import Parts
from drrobot_ros.estimation.evidence.plate import FEWEST
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import FloatImage, ImageTarget, RenderedImages

BESIDE_PLATE = 0.25  # weight of local colours where the plate says something


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

    def has_plate(self, camera: str, images: int) -> bool:
        """Return whether so many images of a camera tell what stands behind the robot."""
        ...

    def codes(self, camera: str, levels: Sequence[Level]) -> list[NDArray[np.uint8]]:
        """Return what searches compare with renderings: a code per pixel of each image."""
        ...


class ImageEvidence:
    """Masks where they are given, else the plate, local colours and a segmenter, added up.

    Args:
        config: which residuals, and how they weigh.
        still: names of cameras that stand still in the robot's base.
        segmenter: tells the robot from an image alone, or None.
    """

    def __init__(
        self,
        config: CalibrationConfig,
        still: frozenset[str],
        segmenter: Segmenter | None = None,
    ) -> None:
        self._config, self._still = config, still
        self._plate, self._colors = PlateSource(), ColorSource()
        self._segmenter = None if segmenter is None else SegmenterSource(segmenter)

    def targets(
        self,
        camera: str,
        stage: Stage,
        levels: Sequence[Level],
        rendered: Sequence[RenderedImages],
        bare: Sequence[ImageTarget],
    ) -> list[ImageTarget]:
        """Return what the images of one camera are to be compared with."""
        if all(level.mask is not None for level in levels):
            # Parts of like colour have outlines of their own, which splats round.
            return [
                dataclasses.replace(self._with_depth(stage, level, own), mask=level.mask)
                for level, own in zip(levels, bare, strict=True)
            ]
        photos = PhotoSet(levels, rendered, camera in self._still, camera)
        answers = []
        if self._segmenter is not None:
            answers.append(self._segmenter(photos))
        plate = self._plate(photos) if "plate" in stage.terms else [None] * len(levels)
        answers.append(plate)
        parts: list[Parts | None] = [None] * len(levels)
        if "regions" in stage.terms or "parts" in stage.terms:
            colors = self._colors.with_parts(photos)
            parts = [p for _, p in colors]
            if "regions" in stage.terms:
                answers.append([_beside(o, p) for (o, _), p in zip(colors, plate, strict=True)])
        odds = add_odds(photos, answers)
        return [self._target(stage, *each) for each in zip(levels, bare, odds, parts, strict=True)]

    def _target(
        self,
        stage: Stage,
        level: Level,
        bare: ImageTarget,
        odds: FloatImage,
        parts: Parts | None,
    ) -> ImageTarget:
        if level.mask is not None:
            target = dataclasses.replace(bare, mask=level.mask)
        else:
            target = silhouette_target(bare, odds)
        assert target.mask is not None
        if "parts" in stage.terms and parts is not None and self._config.parts_sigma > 0:
            trust = target.mask * np.tanh(0.5 * parts.margin) * parts.near
            if target.mask_weight is not None:
                trust = trust * target.mask_weight
            target = dataclasses.replace(
                target,
                color=parts.label,
                color_weight=trust.astype(np.float32),
                background=np.zeros_like(parts.label),
                color_sigma=self._config.parts_sigma,
            )
        return self._with_depth(stage, level, target)

    def _with_depth(self, stage: Stage, level: Level, target: ImageTarget) -> ImageTarget:
        if "depth" not in stage.terms or level.depth is None:
            return target
        sigma = self._config.depth_sigma_m * stage.depth_factor
        return dataclasses.replace(target, depth=level.depth, depth_sigma=sigma)

    def agreement(self, target: ImageTarget, rendered: RenderedImages) -> float:
        """Return how far they agree near the contour, where the image tells anything, 0..1."""
        return told_agreement(target, rendered)

    def has_plate(self, camera: str, images: int) -> bool:
        """Return whether so many images of a camera tell what stands behind the robot."""
        return camera in self._still and images >= FEWEST

    def codes(self, camera: str, levels: Sequence[Level]) -> list[NDArray[np.uint8]]:
        """Return group of colour times class of change (or mask) of every pixel of each image."""
        plate = self._plate.plate(PhotoSet(levels, (), camera in self._still, camera))
        return appearance_codes(levels, plate)


def _beside(colors: FloatImage, plate: FloatImage | None) -> FloatImage:
    """Return the odds of local colours beside those of the plate.

    Both look at the same pixels, and local colours confirm the estimate: where the plate knows,
    they only decide what it leaves open.
    """
    if plate is None:
        return colors
    return colors * np.where(plate == 0, 1.0, BESIDE_PLATE).astype(np.float32)
