"""Search in a depth image: fit many hypotheses as point sets, breed the best."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from drrobot_ros.estimation.depth_scene import DepthScene
from drrobot_ros.estimation.localization import Candidate, Guess, LocalizeConfig
from drrobot_ros.estimation.localize_color import ColorSearch
from drrobot_ros.estimation.localize_judge import DepthJudge
from drrobot_ros.estimation.localize_refine import Hypothesis, Refined
from drrobot_ros.estimation.localize_space import SearchSpace, is_revolute, rotation_vectors
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
DISTAL = (FitStage(8, 0.08, 0.3, 0.0), FitStage(8, 0.03, 0.1, 0.3))
NEAR = (FitStage(10, 0.1, 0.5, -0.2), FitStage(10, 0.05, 0.2, 0.2))
LAST = (FitStage(10, 0.02, 0.05, 0.5), FitStage(8, 0.015, 0.02, 0.5))
COARSE = FitScore(tolerance=0.04, min_cosine=0.0)
FINE = FitScore()
# One sigma of depth noise (1 cm) over a patch of the surface that errs as one (10 cm^2), in m^4:
# what turns the sigmas of priors into weights of the registration's cost.
NOISE = 1e-7
SETTLE_GAP = 0.015  # share of a score that the turn of a round base may change
# Of the mutual information of parts and colours against pixels whose depth fits.
COLOR_WEIGHT = 2.0
VARIANT_M = 0.03  # candidates nearer than this on average differ by a few links only
DETAIL_WIDTH, DETAIL_WEIGHT = 320, 0.6
JUDGED = 80  # hypotheses rendered


class DepthSearch:
    """Finds hypotheses in depth images, and judges refined ones.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
        color: what the colours of the same image say.
    """

    def __init__(
        self, model: Any, gaussians: Any, config: LocalizeConfig, color: ColorSearch
    ) -> None:
        self.config = config
        self._model = model
        self._color = color
        self._fit = SurfaceFit(model, gaussians, config.points)
        self._quick = SurfaceFit(model, gaussians, min(config.points, 400))
        self._reach = _reach(model, self._fit)
        self._judge = DepthJudge(model, gaussians)
        self._rough = DepthJudge(model, gaussians, 1000)
        self._scene: tuple[Observation | None, DepthScene | None] = (None, None)

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
            found = self._anywhere(observation, scene, space, prior, rng)
        how = {"camera": guess.camera_free, "prior": prior}
        if not near:
            flips = space.flips(found.q[:8])
            T = np.repeat(found.T_camera[:8], len(flips) // min(8, len(found.q)), axis=0)
            found = found.joined(self._fit.fit(scene, flips, T, MIDDLE, COARSE, **how))
        found = self._fit.fit(scene, found.q, found.T_camera, LAST, FINE, **how)
        found = self._best(found, space, JUDGED)
        found = self._rendered(observation, scene, found, rough=False)
        found = found.take(np.argsort(-found.score, kind="stable"))
        chosen: list[int] = []
        for k in range(len(found.q)):
            here = self._points(found.q[k], found.T_camera[k])
            there = [self._points(found.q[j], found.T_camera[j]) for j in chosen]
            if all(self._apart(here, x) > self.config.distinct_m for x in there):
                chosen.append(k)
            if len(chosen) == self.config.candidates:
                break
        q = space.wrapped(found.q)
        return [Hypothesis(q[k], found.T_camera[k], scene.weight) for k in chosen]

    def _apart(self, a: Matrix, b: Matrix) -> float:
        """Return how far surfaces are apart, m: the mean of the link that is farthest off.

        Measured to the nearest point of the same link, so a round link may turn.
        """
        gaps = [
            float(KDTree(b[self._fit.link == link]).query(a[self._fit.link == link])[0].mean())
            for link in np.unique(self._fit.link)
        ]
        return max(gaps)

    def judge(self, observation: Observation, guess: Guess, refined: Refined) -> Candidate:
        """Score a refined hypothesis."""
        scene = self._scene_of(observation, guess)
        assert scene is not None
        q, T = refined.q, refined.T_camera
        turn = 0.0
        if guess.camera_free:
            q, T, turn = self._settled(scene, guess, q, T)
        worth, share = self._judge.judge(scene.depth, scene.K, q, T, scene.weight)
        colors = float(self._color.score_of(observation)(q[None], T)[0])
        return Candidate(q, T, worth + COLOR_WEIGHT * colors, share, refined.solution, turn)

    def _settled(
        self, scene: DepthScene, guess: Guess, q: Vector, T_camera: Matrix
    ) -> tuple[Vector, Matrix, float]:
        """Turn camera and first joint together to where the camera is expected.

        About the first joint's axis a round base looks the same from everywhere: what the image
        leaves open, the guess decides.
        """
        space = SearchSpace.of(self._model, self._fit.coordinates, guess)
        turning = self._model.tree.v_index
        joint = int(np.argmax(np.asarray(turning) == 0))
        k = int(self._fit.coordinates.v_to_q[0])
        if k < 0 or not is_revolute(self._model.tree.joint_type[joint]):
            return q, T_camera, 0.0
        frame, axis = joint_axis(self._model, q, joint)
        angles = np.radians(np.arange(-90, 91, 1.0))
        turn = np.broadcast_to(np.eye(4), (len(angles), 4, 4)).copy()
        turn[:, :3, :3] = Rotation.from_rotvec(angles[:, None] * axis).as_matrix()
        turn[:, :3, 3] = frame - np.einsum("nij,j->ni", turn[:, :3, :3], frame)
        qs = np.repeat(q[None], len(angles), axis=0)
        qs[:, k] += angles
        Ts = turn @ T_camera
        inside = (qs[:, k] >= space.limits[0][k]) & (qs[:, k] <= space.limits[1][k])
        score = self._fit.fit(scene, qs, Ts, (), FINE).score
        here = score[len(angles) // 2]
        alike = inside & (score > here - SETTLE_GAP * abs(here))
        # Only what is joined to the pose found: elsewhere the image may say something again.
        middle = len(angles) // 2
        low = middle - int(np.argmin(alike[middle::-1])) if not alike[middle::-1].all() else -1
        high = middle + int(np.argmin(alike[middle:])) if not alike[middle:].all() else len(alike)
        free = float(np.radians(max(0, high - low - 2)))
        if guess.T_base_camera is None:
            return q, T_camera, free
        shift = np.square(Ts[:, :3, 3] - guess.T_base_camera[:3, 3]).sum(1)
        turned = rotation_vectors(guess.T_base_camera[:3, :3].T @ Ts[:, :3, :3])
        size = np.maximum([guess.camera_half_m, guess.camera_half_rad], 1e-3)
        cost = shift / size[0] ** 2 + np.square(turned).sum(1) / size[1] ** 2
        cost[: low + 1] = cost[high:] = np.inf
        best = int(np.argmin(cost))
        return space.wrapped(qs[best][None])[0], Ts[best], free

    def ranked(self, observation: Observation, candidates: list[Candidate]) -> list[Candidate]:
        """Return candidates best first; variants of the best are told apart by finer colours.

        Colours seen at the full width tell a hand's flips apart, but over a whole image large
        things of one colour would win. So they only rank what agrees but for a few links.
        """
        candidates = sorted(candidates, key=lambda c: -c.score)
        best = candidates[0]
        tree = KDTree(self._points(best.q, best.T_base_camera))
        gaps = [tree.query(self._points(c.q, c.T_base_camera))[0].mean() for c in candidates]
        variants = [c for c, gap in zip(candidates, gaps, strict=True) if gap < VARIANT_M]
        score = self._color.score_of(observation, DETAIL_WIDTH)
        detail = [
            c.score + DETAIL_WEIGHT * float(score(c.q[None], c.T_base_camera)[0]) for c in variants
        ]
        top = max(detail)
        out = [c for c in candidates if all(c is not v for v in variants)]
        for c, value in zip(variants, detail, strict=True):
            out.append(dataclasses.replace(c, score=best.score - (top - value)))
        return sorted(out, key=lambda c: -c.score)

    def same_surface(self, a: Candidate, b: Candidate) -> bool:
        """Whether two candidates show the same surface in the same place."""
        here, there = (self._points(c.q, c.T_base_camera) for c in (a, b))
        return self._apart(here, there) < self.config.distinct_m

    def _around(
        self, scene: DepthScene, space: SearchSpace, prior: FitPrior, rng: np.random.Generator
    ) -> FitResult:
        assert space.guess.q is not None and space.guess.T_base_camera is not None
        q = space.joints(self.config.near_hypotheses, rng)
        q[0] = space.guess.q
        found = self._fit.fit(scene, q, space.guess.T_base_camera, NEAR, COARSE, prior=prior)
        return self._best(found, space, 40)

    def _anywhere(
        self,
        observation: Observation,
        scene: DepthScene,
        space: SearchSpace,
        prior: FitPrior,
        rng: np.random.Generator,
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
        found = self._rendered(observation, scene, self._best(found, space, 3 * config.population))
        found = self._best(found, space, config.population)
        for _ in range(config.rounds):
            q, T = space.children(found.q, found.T_camera, config.children, rng)
            bred = self._quick.fit(scene, q, T, MIDDLE, COARSE, **how)
            bred = self._rendered(observation, scene, self._best(bred, space, config.population))
            found = self._best(found.joined(bred), space, config.population)
        # The hand is a small part of the picture: its joints are looked for once more.
        for _ in range(2):
            q, T = space.distal(found.q[:4], found.T_camera[:4], config.children // 2, rng)
            bred = self._fit.fit(scene, q, T, DISTAL, COARSE, camera=free, prior=prior)
            bred = self._best(bred, space, config.population // 2)
            found = self._rendered(
                observation, scene, found.take(slice(0, 60)).joined(bred), rough=False
            )
            found = self._best(found, space, 60)
        return self._fit.fit(
            scene, found.q, found.T_camera, NEAR[1:], COARSE, camera=free, prior=prior
        )

    def _rendered(
        self,
        observation: Observation,
        scene: DepthScene,
        found: FitResult,
        rough: bool = True,
    ) -> FitResult:
        """Return hypotheses scored by their rendering, at half the resolution or the whole."""
        depth, K, judge = scene.depth, scene.K, self._judge
        if rough:
            depth, K = np.ascontiguousarray(depth[::2, ::2]), K * [[0.5], [0.5], [1.0]]
            judge = self._rough
        worth = np.array(
            [
                judge.judge(depth, K, q, T, scene.weight)[0]
                for q, T in zip(found.q, found.T_camera, strict=True)
            ]
        )
        worth *= scene.depth.size / depth.size
        colors = self._color.score_of(observation)(found.q, found.T_camera)
        return dataclasses.replace(found, score=worth + COLOR_WEIGHT * colors)

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
        if self._scene[0] is not observation:
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
            self._scene = (observation, scene)
        return self._scene[1]

    def _points(self, q: Vector, T_camera: Matrix) -> Matrix:
        return surface_points(self._model, self._fit, q, T_camera)


def joint_axis(model: Any, q: Vector, link: int) -> tuple[Vector, Vector]:
    """Return a point [3] m on the axis of the joint that carries a link, and its direction [3]."""
    import torch

    tree = model.tree
    T = np.asarray(model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64)))
    parent = int(tree.parent[link])
    base = np.eye(4) if parent < 0 else T[parent]
    frame = base @ np.asarray(tree.T_parent_joint[link], np.float64).reshape(4, 4)
    return frame[:3, 3], frame[:3, :3] @ np.asarray(tree.axis[link], np.float64)


def surface_points(model: Any, fit: SurfaceFit, q: Vector, T_camera: Matrix) -> Matrix:
    """Return the surface's points [n,3] m in the camera frame."""
    import torch

    T = model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64))
    T = inverse_se3(T_camera) @ np.asarray(T)
    own = T[fit.link]
    return np.einsum("nij,nj->ni", own[:, :3, :3], fit.means) + own[:, :3, 3]


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
