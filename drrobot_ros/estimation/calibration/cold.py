"""The cold start: a camera's pose from a rough guess, by rendering many hypotheses.

Hypotheses around the guess are scored by the mutual information of rendered labels and seen
colours and changes, summed over keyframes. That needs no mask and no light, and does not confirm a
wrong start. The best of several searches are led to their optima by each kind of evidence there is,
and judged by the same score.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.evidence import Evidence
from drrobot_ros.estimation.calibration.stages import Stage, start_stages
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.manifold import (
    Coordinates,
    camera_center,
    exp_se3,
    move_camera,
    twist_between,
)
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.problem import CameraPrior, CameraUnknown, Moment, Problem, View
from drrobot_ros.estimation.solver import SolverConfig, solve

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LABELS = np.eye(3, dtype=np.float32)
BAND = 0.045  # of the image's width
ELITE = 0.1
GENERATIONS = 6
RESTARTS = 3
# Right and wrong optima are farther apart than this in their agreement with the images.
ALIKE = 0.05
# Pixels err together: one nat of mutual information is worth this many against the prior.
SCORE_WEIGHT = 0.1


@dataclasses.dataclass(frozen=True)
class SearchImage:
    """One small image of a search: joints [nq], how to render it, code of each pixel."""

    q: Vector
    target: ImageTarget
    code: NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class StartImage:
    """One image of a start: joints [nq] it shows, image and empty target at one width."""

    q: Vector
    level: Level
    bare: ImageTarget


def camera_scores(model: ImageModel, images: Sequence[SearchImage], poses: Matrix) -> Vector:
    """Return the score of every camera pose [n,4,4], summed over the images; higher is better."""
    total = np.zeros(len(poses))
    for image in images:
        q = np.repeat(image.q[None], len(poses), 0)
        band = max(2, round(BAND * image.target.width))
        total += model.region_scores(q, poses, image.target, image.code, LABELS, band)
    return SCORE_WEIGHT * total


def search_camera(
    model: ImageModel,
    images: Sequence[SearchImage],
    T: Matrix,
    sigma: Vector,
    hypotheses: int,
    rng: np.random.Generator,
) -> Matrix:
    """Return the best camera pose near a start, by the cross-entropy method.

    Args:
        model: few splats, coloured by part.
        images: of one camera.
        T: start [4,4].
        sigma: of the twist about the robot (v, w) [6], m and rad.
        hypotheses: how many are rendered, times the images.
        rng: source of the random hypotheses.
    """
    center = camera_center(T)
    count = max(12, hypotheses // GENERATIONS)
    mean, spread = np.zeros(6), sigma.astype(np.float64)
    best, best_score = np.zeros(6), -np.inf
    for _ in range(GENERATIONS):
        twists = mean + rng.normal(size=(count, 6)) * spread
        twists[0] = best
        poses = np.stack([move_camera(T, t, center) for t in twists])
        # A pose far from the guess needs better evidence: a large silhouette finds much to tell.
        scores = camera_scores(model, images, poses) - 0.5 * np.square(twists / sigma).sum(1)
        order = np.argsort(-scores)
        if scores[order[0]] > best_score:
            best, best_score = twists[order[0]], float(scores[order[0]])
        elite = twists[order[: max(6, int(ELITE * count))]]
        mean = elite.mean(0)
        spread = elite.std(0) * 1.1 + 0.02 * sigma
    return move_camera(T, best, center)


@dataclasses.dataclass(frozen=True)
class FoundStart:
    """A pose found for a camera.

    Attributes:
        start: that it was found from [4,4].
        T: the pose [4,4].
        agreement: of images and rendering near the contour, 0..1.
        score: of the search, which favours large silhouettes.
    """

    start: Matrix
    T: Matrix
    agreement: float
    score: float

    @staticmethod
    def best(found: Sequence["FoundStart"]) -> "FoundStart":
        """Return the one of the highest score among those that agree nearly as well as any."""
        enough = max(f.agreement for f in found) - ALIKE
        return max((f for f in found if f.agreement >= enough), key=lambda f: f.score)


@dataclasses.dataclass(frozen=True)
class CameraStart:
    """Finds the start of one camera.

    Attributes:
        name: of the camera.
        search: renders hypotheses, few splats coloured by part.
        coarse: renders while a hypothesis is led to its optimum.
        coordinates: of the robot.
        config: settings.
        evidence: what images say.
    """

    name: str
    search: ImageModel
    coarse: ImageModel
    coordinates: Coordinates
    config: CalibrationConfig
    evidence: Evidence

    def find_turned(
        self,
        by_width: dict[int, list[StartImage]],
        T: Matrix,
        turns: Sequence[float],
        sigma: Vector,
        rng: np.random.Generator,
    ) -> FoundStart:
        """Return the best pose around a start, or around that start turned about its axis.

        Args:
            by_width: the camera's images, by their width.
            T: start [4,4].
            turns: beside none, rad.
            sigma: how far the start may be off, of the twist (v, w) [6], m and rad.
            rng: source of the random hypotheses.
        """
        starts = [T, *(T @ exp_se3(np.array([0, 0, 0, 0, 0, turn])) for turn in turns)]
        return FoundStart.best([self.find(by_width, s, sigma, rng) for s in starts])

    def find(
        self,
        by_width: dict[int, list[StartImage]],
        T: Matrix,
        sigma: Vector,
        rng: np.random.Generator,
    ) -> FoundStart:
        """Return the best camera pose found around a start.

        Args:
            by_width: the camera's images, by their width.
            T: start [4,4].
            sigma: how far the start may be off, of the twist (v, w) [6], m and rad.
            rng: source of the random hypotheses.
        """
        small = by_width[min(by_width)]
        images = self.images(small)
        prior = CameraPrior(T, sigma)
        starts = [T]
        if self.config.hypotheses > 0:
            share = self.config.hypotheses // RESTARTS
            starts += [
                search_camera(self.search, images, T, sigma, share, rng) for _ in range(RESTARTS)
            ]
        led, kinds = [], self._kinds(small)
        for kind in kinds:
            # Only colours change with the estimate.
            rounds = self.config.rounds if "regions" in kind else 1
            stages = start_stages(kind, rounds, max(by_width))
            led += [self.lead(by_width, start, stages, prior) for start in starts]
        (*_, last) = start_stages(frozenset.union(*kinds), 1, max(by_width))
        found = [
            FoundStart(
                T,
                pose,
                self.agreement(by_width[last.width], pose, last),
                self.score(images, pose, prior),
            )
            for pose in [*starts, *led]
        ]
        return FoundStart.best(found)

    def agreement(self, images: Sequence[StartImage], T: Matrix, stage: Stage) -> float:
        """Return how far images and rendering agree near the contour at a pose [4,4], 0..1."""
        rendered = [self.coarse.images(i.q, T, i.bare) for i in images]
        levels, bare = [i.level for i in images], [i.bare for i in images]
        targets = self.evidence.targets(self.name, stage, levels, rendered, bare)
        pairs = zip(targets, rendered, strict=True)
        return float(np.median([self.evidence.agreement(t, r) for t, r in pairs]))

    def _kinds(self, images: Sequence[StartImage]) -> list[frozenset[str]]:
        """Return the kinds of evidence that can lead a hypothesis to its optimum."""
        levels = [i.level for i in images]
        if all(level.mask is not None for level in levels):
            return [frozenset({"regions"})]
        kinds = [frozenset({"regions"})]
        if self.evidence.has_plate(self.name, len(levels)):
            kinds.append(frozenset({"plate"}))
        if all(level.depth is not None for level in levels):
            kinds.append(frozenset({"depth"}))
        return kinds

    def images(self, images: Sequence[StartImage]) -> list[SearchImage]:
        """Return images as searches see them."""
        codes = self.evidence.codes(self.name, [i.level for i in images])
        return [SearchImage(i.q, i.bare, c) for i, c in zip(images, codes, strict=True)]

    def score(self, images: Sequence[SearchImage], T: Matrix, prior: CameraPrior) -> float:
        """Return how well a pose explains the images, and how well it fits the prior."""
        error, _ = twist_between(prior.mean, T, camera_center(T))
        distance = 0.5 * float(np.square(error / prior.sigma).sum())
        return float(camera_scores(self.search, images, T[None])[0]) - distance

    def lead(
        self,
        by_width: dict[int, list[StartImage]],
        T: Matrix,
        stages: Sequence[Stage],
        prior: CameraPrior,
    ) -> Matrix:
        """Return the optimum near a pose, coarse to fine.

        Args:
            by_width: the images at the width of each stage.
            T: pose [4,4].
            stages: levels and evidence.
            prior: soft knowledge of the pose.
        """
        nv = self.coordinates.nv
        unbound = np.full(self.coordinates.nq, np.inf)
        for stage in stages:
            images = by_width[stage.width]
            for _ in range(stage.rounds):
                rendered = [self.coarse.images(i.q, T, i.bare) for i in images]
                bare = [dataclasses.replace(i.bare, blur_radius=stage.blur_px) for i in images]
                levels = [i.level for i in images]
                targets = self.evidence.targets(self.name, stage, levels, rendered, bare)
                problem = Problem(
                    [
                        Moment(i.q, [View(self.coarse, t)])
                        for i, t in zip(images, targets, strict=True)
                    ],
                    [CameraUnknown(T, True, prior)],
                    np.zeros(nv, bool),
                    -unbound,
                    unbound,
                    image_weight=self.config.image_weight,
                )
                before = T
                T = solve(problem, self.coordinates, SolverConfig(), 8).T_camera
                if np.abs(T - before).max() < 1e-3:
                    break
        return T
