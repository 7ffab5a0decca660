"""Search in a depth image: fit many hypotheses as point sets, breed the best."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from drrobot_ros.estimation.depth_scene import DepthScene
from drrobot_ros.estimation.localization import Candidate, Guess, LocalizeConfig
from drrobot_ros.estimation.localize_refine import Hypothesis, Refined
from drrobot_ros.estimation.localize_space import SearchSpace
from drrobot_ros.estimation.manifold import inverse_se3
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.surface_fit import (
    FitPrior,
    FitResult,
    FitScore,
    FitStage,
    SurfaceFit,
)

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FAR = (FitStage(8, 0.3, 1.0, -1.0),)
MIDDLE = (FitStage(6, 0.15, 0.5, -0.3), FitStage(5, 0.07, 0.3, 0.0))
NEAR = (FitStage(10, 0.1, 0.5, -0.2), FitStage(10, 0.05, 0.2, 0.2))
LAST = (FitStage(10, 0.02, 0.05, 0.5), FitStage(8, 0.015, 0.02, 0.5))
COARSE = FitScore(tolerance=0.04, min_cosine=0.0)
FINE = FitScore()
# One sigma of depth noise (1 cm) over a patch of the surface that errs as one (10 cm^2), in m^4:
# what turns the sigmas of priors into weights of the registration's cost.
NOISE = 1e-7
TWIN_GAP = 0.03  # share of the best score that an equal may lack


class DepthSearch:
    """Finds hypotheses in depth images, and judges refined ones.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
    """

    def __init__(self, model: Any, gaussians: Any, config: LocalizeConfig) -> None:
        self.config = config
        self._model = model
        self._fit = SurfaceFit(model, gaussians, config.points)
        self._quick = SurfaceFit(model, gaussians, min(config.points, 400))
        self._reach = _reach(model, self._fit)
        self._scene: tuple[int, DepthScene | None] = (0, None)

    def find(
        self, observation: Observation, guess: Guess, rng: np.random.Generator
    ) -> list[Hypothesis]:
        """Return distinct hypotheses, best first."""
        scene = self._scene_of(observation, guess)
        if scene is None:
            return []
        space = SearchSpace.of(self._model, self._fit.coordinates, guess)
        prior = self._prior(guess)
        # A start known this well is in the basin; otherwise the arm's links have to be sorted out.
        near = guess.q is not None and np.max(guess.q_sigma) <= 0.5 and not guess.camera_free
        found = self._around(scene, space, prior, rng) if near else None
        if found is None:
            found = self._anywhere(scene, space, prior, rng)
        found = self._fit.fit(
            scene, found.q, found.T_camera, LAST, FINE, camera=guess.camera_free, prior=prior
        )
        found = self._best(found, space, len(found.q))
        return self._modes(found, space, scene)

    def _modes(self, found: FitResult, space: SearchSpace, scene: DepthScene) -> list[Hypothesis]:
        """Group hypotheses by the surface they show; each group's best, with its equals."""
        trees: list[Any] = []
        members: list[list[int]] = []
        for k in range(len(found.q)):
            points = self._points(found.q[k], found.T_camera[k])
            same = [_distance(points, t) < self.config.distinct_m for t in trees]
            if any(same):
                members[same.index(True)].append(k)
            elif len(trees) < self.config.candidates:
                trees.append(KDTree(points))
                members.append([k])
        out = []
        for group in members:
            best = found.score[group[0]]
            equals = [k for k in group if found.score[k] >= best - TWIN_GAP * abs(best)]
            q = space.wrapped(found.q[equals])
            out.append(Hypothesis(q[0], found.T_camera[group[0]], scene.weight, q))
        return out

    def judge(self, observation: Observation, guess: Guess, refined: Refined) -> Candidate:
        """Score a refined hypothesis."""
        scene = self._scene_of(observation, guess)
        assert scene is not None
        result = self._fit.fit(scene, refined.q[None], refined.T_camera, (), FINE)
        share = float(result.explained[0] / max(result.visible[0], 1e-9))
        return Candidate(
            refined.q, refined.T_camera, float(result.score[0]), share, refined.solution
        )

    def distinct(self, candidates: list[Candidate]) -> list[Candidate]:
        """Drop candidates that are the same as a better one."""
        out: list[Candidate] = []
        for c in candidates:
            here = self._points(c.q, c.T_base_camera)
            gaps = [_distance(here, KDTree(self._points(o.q, o.T_base_camera))) for o in out]
            if all(gap > self.config.distinct_m for gap in gaps):
                out.append(c)
        return out

    def _around(
        self, scene: DepthScene, space: SearchSpace, prior: FitPrior, rng: np.random.Generator
    ) -> FitResult:
        assert space.guess.q is not None and space.guess.T_base_camera is not None
        q = space.joints(self.config.near_hypotheses, rng)
        q[0] = space.guess.q
        found = self._fit.fit(scene, q, space.guess.T_base_camera, NEAR, COARSE, prior=prior)
        return self._best(found, space, 40)

    def _anywhere(
        self, scene: DepthScene, space: SearchSpace, prior: FitPrior, rng: np.random.Generator
    ) -> FitResult:
        config, free = self.config, space.guess.camera_free
        how = {"camera": free, "prior": prior, "max_step": 0.4}
        n = config.hypotheses
        height, width = scene.depth.shape
        points = np.asarray(scene.samples[:, :3], np.float64)
        T = space.cameras(n, rng, scene.K, (width, height), points)
        found = self._quick.fit(scene, space.joints(n, rng), T, FAR, COARSE, **how)
        found = found.take(np.argsort(-found.score)[: max(n // 6, config.population)])
        found = self._quick.fit(scene, found.q, found.T_camera, MIDDLE, COARSE, **how)
        found = self._best(found, space, config.population)
        for _ in range(config.rounds):
            q, T = space.children(found.q, found.T_camera, config.children, rng)
            bred = self._quick.fit(scene, q, T, MIDDLE, COARSE, **how)
            found = self._best(found.joined(bred), space, config.population)
        found = found.take(slice(0, 60))
        return self._fit.fit(
            scene, found.q, found.T_camera, NEAR[1:], COARSE, camera=free, prior=prior
        )

    def _best(self, found: FitResult, space: SearchSpace, count: int) -> FitResult:
        """Return the best, without near copies, and only cameras the guess allows."""
        order = np.argsort(-found.score)
        order = order[space.allows(found.T_camera[order])]
        if not len(order):
            order = np.argsort(-found.score)[:1]
        keep: list[int] = []
        turn = 2 * np.pi
        for k in order:
            if len(keep) == count:
                break
            near = keep[-60:]
            gap = np.abs(found.q[near] - found.q[k])
            gap = np.where(space.turns, np.abs((gap + np.pi) % turn - np.pi), gap).max(1, initial=0)
            shift = np.abs(found.T_camera[near, :3, 3] - found.T_camera[k, :3, 3]).max(1)
            if not ((gap < 0.15) & (shift < 0.1)).any():
                keep.append(int(k))
        return found.take(np.array(keep))

    def _prior(self, guess: Guess) -> FitPrior:
        nv = self._fit.coordinates.nv
        joints = np.zeros(nv)
        if guess.q is not None:
            joints = NOISE / np.maximum(np.asarray(guess.q_sigma), 1e-3) ** 2
        if guess.T_base_camera is None:
            return FitPrior(joints, np.eye(4))
        size = np.maximum([guess.camera_half_m, guess.camera_half_rad], 1e-3)
        weight = NOISE / (size**2 / 3)
        return FitPrior(joints, guess.T_base_camera, (float(weight[0]), float(weight[1])))

    def _scene_of(self, observation: Observation, guess: Guess) -> DepthScene | None:
        if self._scene[0] != id(observation):
            farthest = 4.0
            if guess.T_base_camera is not None:
                away = float(np.linalg.norm(guess.T_base_camera[:3, 3]))
                farthest = away + 2 * guess.camera_half_m + self._reach
            assert observation.depth_m is not None
            scene = DepthScene.of(
                observation.depth_m,
                observation.camera.K,
                max_depth_m=farthest,
                ignore=None if observation.ignore_mask is None else observation.ignore_mask > 0,
            )
            self._scene = (id(observation), scene)
        return self._scene[1]

    def _points(self, q: Vector, T_camera: Matrix) -> Matrix:
        return surface_points(self._model, self._fit, q, T_camera)


def surface_points(model: Any, fit: SurfaceFit, q: Vector, T_camera: Matrix) -> Matrix:
    """Return the surface's points [n,3] m in the camera frame."""
    import torch

    T = model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64))
    T = inverse_se3(T_camera) @ np.asarray(T)
    own = T[fit.link]
    return np.einsum("nij,nj->ni", own[:, :3, :3], fit.means) + own[:, :3, 3]


def _distance(points: Matrix, tree: Any) -> float:
    """Return the mean distance to the nearest point: round links may be turned or flipped."""
    return float(tree.query(points)[0].mean())


def _reach(model: Any, fit: SurfaceFit) -> float:
    """Return how far from the base origin the surface gets, m."""
    rng = np.random.default_rng(0)
    lower = np.where(np.isfinite(model.lower), model.lower, -np.pi)
    upper = np.where(np.isfinite(model.upper), model.upper, np.pi)
    far = [
        np.linalg.norm(surface_points(model, fit, q, np.eye(4)), axis=1).max()
        for q in rng.uniform(lower, upper, (60, model.nq))
    ]
    return float(np.max(far))
