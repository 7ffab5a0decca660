"""What the images show, and what the robot looks like in them at an estimate."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.contours import Outlines
from drrobot_ros.estimation.calibration.evidence import Evidence
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.calibration.loose import LooseRobot
from drrobot_ros.estimation.calibration.overlay import draw_contour
from drrobot_ros.estimation.calibration.result import Vector
from drrobot_ros.estimation.calibration.stages import Stage
from drrobot_ros.estimation.levels import Level, reduced
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import (
    FloatImage,
    ImageModel,
    ImageTarget,
    RenderedImages,
)
from drrobot_ros.estimation.problem import State
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.tracked_camera import EPS2D
from drrobot_ros.splats.gaussians import INSET_PX

SEARCH_SPLATS, COARSE_SPLATS = 1000, 2000


class Pictures:
    """Renders the robot into the keyframes, and gathers what it is to be compared with.

    Args:
        model: the robot.
        robot: the same with loose links or not; its splats are coloured by part.
        frames: the keyframes.
        config: settings.
        evidence: what images say of where the robot is.
    """

    def __init__(
        self,
        model: Any,
        robot: LooseRobot,
        frames: Frames,
        config: CalibrationConfig,
        evidence: Evidence,
    ) -> None:
        self.frames, self.config, self.evidence = frames, config, evidence
        self.coordinates = Coordinates.of(robot.tree, robot.nq, robot.nv)
        gaussians = robot.gaussians
        self._inset_px = float(getattr(gaussians, "inset_px", INSET_PX))
        self._outlines = Outlines(model, robot)
        self._eps2d = float(getattr(gaussians, "eps2d", EPS2D))
        self._hard = [is_hard(frame.observation.mask) for frame in frames.frames]
        palette = palette_of(np.asarray(gaussians.part_colors))

        def image_model(splats: Any) -> ImageModel:
            labels = part_labels(splats.part_colors, palette)
            return ImageModel(robot.tree, splats, robot.nq, robot.nv, labels)

        self.search = image_model(gaussians.subset(SEARCH_SPLATS))
        self.coarse = image_model(gaussians.subset(COARSE_SPLATS))
        self.fine = image_model(gaussians)

    def model(self, stage: Stage) -> ImageModel:
        """Return what a stage renders."""
        return self.coarse if stage.is_coarse else self.fine

    def bare(self, i: int, level: Level) -> ImageTarget:
        """Return how image i is rendered, without anything to compare with."""
        camera = self.frames.frames[i].camera
        return ImageTarget(
            K=level.camera.K,
            width=level.camera.width,
            height=level.camera.height,
            weight=level.weight,
            camera_link=self.frames.links[camera],
            mask_sigma=self.config.mask_sigma,
            depth_sigma=self.config.depth_sigma_m,
            robust=self.config.robust,
            eps2d=self._eps2d,
            inset_px=self._inset_px,
        )

    def positions(self, state: State, i: int) -> Vector:
        """Return the joints [nq] as image i shows them."""
        frame = self.frames.frames[i]
        q, velocity = state.q[frame.moment], self.frames.velocity[frame.moment]
        if velocity is None:
            return q
        return self.coordinates.integrate(q, velocity * state.lag_s[frame.camera])

    def render(self, model: ImageModel, state: State, i: int, bare: ImageTarget) -> RenderedImages:
        """Return the robot in image i."""
        T = state.T_cameras[self.frames.frames[i].camera]
        return model.images(self.positions(state, i), T, bare)

    def targets(
        self, stage: Stage, levels: Sequence[Level], state: State
    ) -> tuple[list[ImageTarget], list[RenderedImages]]:
        """Return what every image is compared with around an estimate, and the robot there."""
        model = self.model(stage)
        bare = [
            dataclasses.replace(self.bare(i, level), blur_radius=stage.blur_px)
            for i, level in enumerate(levels)
        ]
        sharp = [dataclasses.replace(b, blur_radius=0) for b in bare]
        rendered = [self.render(model, state, i, b) for i, b in enumerate(sharp)]
        targets: list[ImageTarget] = list(bare)
        for c, name in enumerate(self.frames.names):
            index = self.frames.of_camera(c)
            made = self.evidence.targets(
                name,
                stage,
                [levels[i] for i in index],
                [rendered[i] for i in index],
                [bare[i] for i in index],
            )
            for i, target in zip(index, made, strict=True):
                targets[i] = target
        return targets, rendered

    def true_contours(
        self,
        stage: Stage,
        levels: Sequence[Level],
        targets: list[ImageTarget],
        state: State,
        weights: Vector,
    ) -> list[ImageTarget]:
        """Return the targets less what the splats' contour is off by at an estimate.

        A mask of yes and no is compared with one that is made of the meshes in the same way: where
        its steps lie tells more of a straight edge than how many pixels it has.
        """
        if stage.blur_px or stage.is_coarse:
            return targets
        out = list(targets)
        for i in map(int, np.flatnonzero(weights > 0)):
            mask = targets[i].mask
            assert mask is not None
            drawn = self.render(self.fine, state, i, targets[i]).alpha
            outline = self.outline(state, i, levels[i])
            out[i] = dataclasses.replace(targets[i], mask=mask + drawn - outline)
        return out

    def outline(self, state: State, i: int, level: Level) -> FloatImage:
        """Return the share of every pixel of image i that the robot's meshes cover."""
        frame = self.frames.frames[i]
        hard = level.mask is not None and self._hard[i]
        camera = frame.observation.camera if hard else level.camera
        T, link = state.T_cameras[frame.camera], self.frames.links[frame.camera]
        outline = self._outlines(self.positions(state, i), T, link, camera, hard=hard)
        return reduced(outline, (level.camera.width, level.camera.height))

    def errors(
        self, targets: Sequence[ImageTarget], levels: Sequence[Level], state: State
    ) -> Vector:
        """Return how every image fits at a state; given masks are compared with the meshes."""
        out = []
        for i, (target, level) in enumerate(zip(targets, levels, strict=True)):
            if level.mask is not None:
                drawn = self.outline(state, i, level)
            else:
                drawn = self.render(self.fine, state, i, target).alpha
            out.append(silhouette_error(target, drawn))
        return np.array(out)

    def check_visible(self, levels: Sequence[Level], state: State) -> None:
        """Check that some image of every camera shows the robot.

        Raises:
            InputError: a camera that looks elsewhere.
        """
        for c, name in enumerate(self.frames.names):
            seen = [
                self.render(self.coarse, state, i, self.bare(i, levels[i])).alpha.sum()
                for i in self.frames.of_camera(c)
            ]
            if max(seen) < 1.0:
                raise InputError(
                    f"the robot is in no image of camera {name!r} if its pose is as given: it "
                    "looks elsewhere"
                )

    def overlay(self, state: State, i: int) -> NDArray[np.uint8]:
        """Return image i with the robot's contour as estimated."""
        frame = self.frames.frames[i]
        camera = frame.observation.camera
        bare = ImageTarget(
            K=camera.K,
            width=camera.width,
            height=camera.height,
            camera_link=self.frames.links[frame.camera],
            eps2d=self._eps2d,
            inset_px=self._inset_px,
        )
        return draw_contour(frame.observation.image, self.render(self.fine, state, i, bare).alpha)


def is_hard(mask: NDArray[Any] | None) -> bool:
    """Return whether a mask says yes or no of every pixel."""
    if mask is None or mask.dtype == np.bool_:
        return mask is not None
    return bool(np.all((mask == 0) | (mask == 1)))


def silhouette_error(target: ImageTarget, alpha: FloatImage) -> float:
    """Return the mean absolute error of a silhouette [H,W] over the robot's area."""
    if target.mask is None:
        return 0.0
    trust = np.ones_like(target.mask) if target.mask_weight is None else target.mask_weight
    if target.weight is not None:
        trust = trust * target.weight
    error = np.abs(alpha - target.mask) * trust
    return float(error.sum() / max(float((target.mask * trust).sum()), 1.0))
