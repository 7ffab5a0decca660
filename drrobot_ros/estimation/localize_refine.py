"""Refinement of a hypothesis with the rendered Gaussians.

Around the rendered hypothesis a pixel is judged by two witnesses, whose log-odds add up: its colour
against the colours nearby inside and outside the outline, and its depth against the rendered
depth, carried on beyond the outline. A pixel far behind is surely not the robot, one on a large
plane neither. The silhouette and the depth of the robot then follow by least squares. This is done
a few times, for the judgement depends on the hypothesis.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.levels import Level, make_level
from drrobot_ros.estimation.localization import Guess, LocalizeConfig
from drrobot_ros.estimation.localize_judge import depth_evidence
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import (
    CameraPrior,
    CameraUnknown,
    JointPrior,
    Moment,
    Problem,
    Solution,
    View,
)
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import (
    MAX_LOG_ODDS,
    ColorClusters,
    dilate,
    part_labels,
    region_odds,
)
from drrobot_ros.estimation.solver import SolverConfig, solve

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
FloatImage = NDArray[np.float32]

# Of the image width: how far around the outline pixels are judged. Wider bands hold more of what
# is like the robot: joints from one photo were 1.3 degrees off with 0.02, 1.9 with 0.07.
BAND = 0.02
JOINT_SIGMA = 0.35  # rad or m: how far a refinement usually moves a joint
IMAGE_WEIGHT = 0.1  # independent pixels per pixel
HELD_RAD = 1e-3  # a hypothesis that is held where it is


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """Where the robot may be.

    Attributes:
        q: joint positions [nq].
        T_camera: camera pose [4,4].
        plane_weight: low where there is a large plane [H,W].
        sigma: how well q is known by now, rad or m; None: as well as the guess.
        enough: score that a refinement must reach; one that does not leaves the hypothesis where it
            is. None: any.
    """

    q: Vector
    T_camera: Matrix
    plane_weight: FloatImage | None = None
    sigma: float | None = None
    enough: float | None = None

    @property
    def held(self) -> "Hypothesis":
        """The same, held where it is."""
        return dataclasses.replace(self, sigma=HELD_RAD, enough=None)


@dataclasses.dataclass(frozen=True)
class Refined:
    """A refined hypothesis, and the solution it came from."""

    q: Vector
    T_camera: Matrix
    solution: Solution


@dataclasses.dataclass(frozen=True)
class Pass:
    """One round: image width, radius of the blur, iterations, noise of the depth in m."""

    width: int
    blur_px: int
    iterations: int
    depth_sigma: float


class SplatRefiner:
    """Refines hypotheses of one robot.

    Args:
        model: the robot.
        gaussians: its splats.
    """

    def __init__(self, model: Any, gaussians: Any) -> None:
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        self._limits = np.asarray(model.lower, np.float64), np.asarray(model.upper, np.float64)
        palette = palette_of(np.asarray(gaussians.part_colors))
        labels = part_labels(gaussians.part_colors, palette)
        self._model = ImageModel(model.tree, gaussians, model.nq, model.nv, labels)
        self._inset_px = float(getattr(gaussians, "inset_px", 0.6))
        self._eps2d = float(getattr(gaussians, "eps2d", 0.3))

    def refine(
        self,
        observation: Observation,
        guess: Guess,
        hypothesis: Hypothesis,
        config: LocalizeConfig,
    ) -> Refined:
        """Return a hypothesis moved to where silhouette and depth fit best."""
        fine = min(config.width, observation.camera.width)
        half = max(80, fine // 2)
        q, T = hypothesis.q, hypothesis.T_camera
        # Depth cameras err by a centimetre, differently from place to place: the outline decides
        # in the end.
        passes = [Pass(half, 1, 5, 0.015), Pass(half, 0, 5, 0.015), *[Pass(fine, 0, 4, 0.025)] * 2]
        levels: dict[int, tuple[Level, ColorClusters]] = {}
        solution = None
        for step in passes:
            if step.width not in levels:
                level = make_level(observation, step.width)
                levels[step.width] = level, ColorClusters.of(level.pixels)
            target = self._target(*levels[step.width], q, T, step, hypothesis.plane_weight)
            solution = self._solve(target, q, T, guess, hypothesis, step.iterations)
            q, T = solution.q, solution.T_camera
        assert solution is not None
        return Refined(q, T, solution)

    def _solve(
        self,
        target: ImageTarget,
        q: Vector,
        T: Matrix,
        guess: Guess,
        hypothesis: Hypothesis,
        iterations: int,
    ) -> Solution:
        nv = self._coordinates.nv
        if hypothesis.sigma is not None:
            prior = JointPrior(hypothesis.q, np.full(nv, hypothesis.sigma))
        elif guess.q is None:
            prior = JointPrior(q, np.full(nv, JOINT_SIGMA))
        else:
            prior = JointPrior(guess.q, np.maximum(np.asarray(guess.q_sigma), 1e-4))
        camera = None
        if guess.camera_free and guess.T_base_camera is not None:
            size = np.repeat([guess.camera_half_m, guess.camera_half_rad], 3)
            camera = CameraPrior(guess.T_base_camera, np.maximum(size, 1e-3) / np.sqrt(3.0))
        problem = Problem(
            [Moment(q, [View(self._model, target)], priors=[prior])],
            [CameraUnknown(T, guess.camera_free, camera)],
            np.ones(nv, bool),
            *self._limits,
            image_weight=IMAGE_WEIGHT,
        )
        return solve(problem, self._coordinates, SolverConfig(), iterations)

    def _target(
        self,
        level: Level,
        clusters: ColorClusters,
        q: Vector,
        T: Matrix,
        step: Pass,
        plane_weight: FloatImage | None,
    ) -> ImageTarget:
        bare = ImageTarget(
            K=level.camera.K,
            width=level.camera.width,
            height=level.camera.height,
            weight=level.weight,
            inset_px=self._inset_px,
            eps2d=self._eps2d,
            mask_sigma=0.25,
            depth_sigma=step.depth_sigma,
            blur_radius=step.blur_px,
        )
        rendered = self._model.images(q, T, bare)
        band = max(2, round(BAND * level.camera.width))
        wide = dilate(rendered.alpha, band)
        if level.mask is not None:
            depth = None
            if level.depth is not None:
                depth = depth_evidence(level.depth, rendered, plane_weight)[1]
            return dataclasses.replace(bare, mask=level.mask, depth=depth)
        odds = region_odds(
            clusters.assign(level.pixels),
            clusters.count,
            np.moveaxis(rendered.rgb, -1, 0),
            np.clip(wide - rendered.alpha, 0, 1),
            band,
        ).robot
        depth = None
        if level.depth is not None:
            witness, depth = depth_evidence(level.depth, rendered, plane_weight)
            odds = odds + witness
        odds = np.clip(odds, -MAX_LOG_ODDS, MAX_LOG_ODDS)
        trust = np.abs(np.tanh(0.5 * odds)) * (wide > 0.1)
        return dataclasses.replace(
            bare,
            mask=(odds > 0).astype(np.float32),
            mask_weight=trust.astype(np.float32),
            depth=depth,
        )
