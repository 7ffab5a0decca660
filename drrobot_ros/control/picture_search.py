"""Joint positions that show what a picture shows: rendered hypotheses, then Gauss-Newton.

The estimator's own means: hypotheses around the start are ranked by the mutual information of the
rendered parts and the picture's colours (`estimation.search`), the best is refined region by region
(`estimation.refinement`). Around the start that is one search; further ones start elsewhere, until
two agree. Joints that a wrong turn hides (a wrist's roll) are then turned one by one, and kept
where the picture says so. Light and background of the picture need not be known.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goals import PictureGoal
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.optimizers import OptimizerConfig, StoppedError, StopReason
from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Observation, TrackerConfig
from drrobot_ros.estimation.levels import make_level
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.moment import SEARCH_WIDTH, Seen, Stage, Start
from drrobot_ros.estimation.problem import JointPrior
from drrobot_ros.estimation.refinement import Priors, Refinement
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.search import RegionScore, search_joints
from drrobot_ros.estimation.tracked_camera import TrackedCamera

Vector = NDArray[np.float64]

_CAMERA = "goal"
_FINE_WIDTH = 480
_HELD_RAD = 1e-4  # deviation of a joint that must not move
_SAME_RAD = 0.02  # two searches that end no farther apart agree
_OWN_COLORS = 0.07  # mean difference of colours below which a picture has the robot's own
_FAR_NATS = 2.0  # what being off the start by the spread costs: pictures tell thousands
#: Turns [rad] by which a joint that shows makes the picture look otherwise ...
_LOOKS = np.array([-0.8, -0.25, 0.25, 0.8])
_UNSEEN_SHARE = 0.01  # ... by this share of what the picture tells at all
#: Turns that a wrong local optimum may hide, as shares of half a turn.
_TURNS = tuple(s * x for x in (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0) for s in (1, -1))

#: Told of (what is done, fraction, score, best q so far); returns False to stop.
Told = Callable[[str, float, float, Vector], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class PictureFind:
    """What a search found.

    Attributes:
        q: best joint positions [nq].
        score: mutual information of picture and rendered parts, nats summed over pixels.
        start_score: of the start.
        searches: how many were made.
        confirmed: two searches from different starts ended at the best.
        stop_reason: why it stopped.
        curve: the best score after each step that raised it: (step, score).
        unseen: free joints that the picture does not show [nq]: however they turn, the robot looks
            the same (a round flange), or is hidden there; they are where they were at the start.
    """

    q: Vector
    score: float
    start_score: float
    searches: int
    confirmed: bool
    stop_reason: StopReason
    curve: tuple[tuple[int, float], ...]
    unseen: NDArray[np.bool_]


class PictureSearch:
    """Finds the joint positions a picture shows.

    Args:
        model: the robot.
        gaussians: its splats.
        color: whether pictures have colours; False: silhouettes only.
    """

    def __init__(self, model: Any, gaussians: Any, color: bool = True) -> None:
        self.model = model
        self._gaussians = gaussians
        self._config = TrackerConfig(color_residual="auto" if color else "off", budget_ms=0.0)
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        self._images = RobotImages.of(model, gaussians, self._config.color_residual)

    def find(
        self,
        goal: PictureGoal,
        view: Viewpoint,
        start: Vector,
        limits: MotionLimits,
        free: NDArray[np.bool_],
        config: OptimizerConfig,
        told: Told | None = None,
    ) -> PictureFind:
        """Return the joint positions that explain a picture best.

        Args:
            goal: the picture.
            view: the camera that took it.
            start: joint positions [nq]; joints that are not free stay there.
            limits: position limits.
            free: which joints may move [nq].
            config: `start_spread` says how far the goal may be, `starts` how many searches at
                least are made where they disagree, `seed` and `budget_s` as they say.
            told: of progress, at every step; returns False to stop.

        Raises:
            InputError: the picture's size is not the viewpoint's.
        """
        run = _Run(self, _observation(goal, view), view, start, limits, free, config, told)
        return run.find()


class _Run:
    """One search: what is common to its steps."""

    def __init__(
        self,
        owner: PictureSearch,
        observation: Observation,
        view: Viewpoint,
        start: Vector,
        limits: MotionLimits,
        free: NDArray[np.bool_],
        config: OptimizerConfig,
        told: Told | None,
    ) -> None:
        self._config, self._told, self._free = config, told, free
        self._began = time.perf_counter()
        self._images, self._coordinates = owner._images, owner._coordinates
        self._T = view.T_base_camera
        # A held joint may be where it is, be that within the limits or not.
        self._limits = (
            np.where(free, limits.lower, start),
            np.where(free, limits.upper, start),
        )
        self._start = np.clip(start, *self._limits)
        camera = TrackedCamera(-1, False, owner._gaussians)
        self._refinement = Refinement(
            owner.model,
            owner._config,
            self._coordinates,
            self._limits,
            self._images,
            {_CAMERA: camera},
        )
        fine = min(_FINE_WIDTH, observation.camera.width)
        self._widths = (min(SEARCH_WIDTH, fine), fine)
        self._levels = {w: make_level(observation, w) for w in self._widths}
        self._seen = Seen(_CAMERA, observation, self._levels)
        camera.silhouette.start(self._levels[self._widths[0]])
        self._camera, self._bare = (
            camera,
            camera.bare(owner._config, self._levels[fine].camera, None),
        )
        # Pictures in the robot's own colours, as renderings are, may be compared colour by colour.
        self._photometric = dataclasses.replace(
            self._refinement,
            config=dataclasses.replace(owner._config, color_residual="photometric"),
            images=dataclasses.replace(self._images, residual="photometric"),
        )
        self._color = owner._config.color_residual != "off"
        self._coarse, self._fine = (
            RegionScore(
                images,
                camera.bare(owner._config, self._levels[w].camera, None),
                camera.silhouette.clusters_of(self._levels[w]),
                max(4, round(0.03 * w)),
            )
            for images, w in zip(
                (self._images.search, self._images.fine), self._widths, strict=True
            )
        )
        # What the picture does not show stays near the start.
        self._spread = np.where(free, max(config.start_spread, 1e-3), 0.0)
        sigma = np.where(free, 2 * self._spread, _HELD_RAD)
        self._priors = Priors(joints=(JointPrior(self._start, sigma),))
        self._best, self._score = self._start, self._worth(self._start)
        self._start_score = self._score
        self._curve = [(0, self._score)]
        self._steps = self._searches = 0

    def find(self) -> PictureFind:
        confirmed, reason = False, StopReason.ITERATIONS
        try:
            confirmed = self._searched()
            for _ in range(3):
                if not self._turned():
                    break
            if self._color:
                self._match_colors()
            reason = StopReason.CONVERGED if confirmed else StopReason.ITERATIONS
        except StoppedError as stopped:
            reason = stopped.reason
        return PictureFind(
            self._best,
            self._score,
            self._start_score,
            self._searches,
            confirmed,
            reason,
            tuple(self._curve),
            self._unseen(),
        )

    def _unseen(self) -> NDArray[np.bool_]:
        """Return which free joints [nq] can turn without the picture being explained worse."""
        unseen = np.zeros(len(self._best), bool)
        for j in np.flatnonzero(self._free):
            turned = np.repeat(self._best[None], len(_LOOKS), 0)
            turned[:, j] += _LOOKS
            inside = (turned[:, j] >= self._limits[0][j]) & (turned[:, j] <= self._limits[1][j])
            if inside.any():
                poses = np.concatenate([self._best[None], turned[inside]])
                scores = np.asarray(self._fine(poses, self._T))
                unseen[j] = scores[0] - scores[1:].min() < _UNSEEN_SHARE * abs(scores[0])
        return unseen

    def _searched(self) -> bool:
        """Search from several starts; return whether two ended at the best."""
        random = np.random.default_rng(self._config.seed)
        spread = self._spread
        ends: list[tuple[float, Vector]] = []
        for k in range(max(2, self._config.starts)):
            away = 0.5 * spread * random.normal(size=len(spread)) * (k > 0)
            q = np.clip(self._start + away, *self._limits)
            ends.append(self._search(q, spread, random))
            self._searches += 1
            best = max(ends, key=lambda end: end[0])[1]
            agree = [np.abs(end[1] - best).max() < _SAME_RAD for end in ends]
            if sum(agree) >= 2:
                return True
        return False

    def _search(
        self, q: Vector, spread: Vector, random: np.random.Generator
    ) -> tuple[float, Vector]:
        """Search around one start, ever closer; return score and joint positions."""
        width = self._widths[0]
        best, best_score = q, float(self._coarse(q[None], self._T)[0])
        share = 150 * int(self._free.sum()) + 300
        for scale in (1.0, 0.4, 0.2):
            found, _ = search_joints(
                self._coarse,
                self._coordinates,
                q,
                spread * scale,
                self._T,
                self._limits,
                share,
                random,
            )
            self._tell("searching")
            refined = self._refined(found, [Stage(width, 2, 5), Stage(width, 1, 5)] * 2)
            for candidate in (found, refined):
                score = float(self._coarse(candidate[None], self._T)[0])
                if score > best_score:
                    best, best_score = candidate, score
            q, share = best, share // 2
        end = self._polished(best)
        return self._keep(end), end

    def _polished(self, q: Vector) -> Vector:
        coarse, fine = self._widths
        q = self._refined(q, [Stage(coarse, 1, 4)])
        return self._refined(q, [Stage(fine, 0, 12), Stage(fine, 0, 8)])

    def _refined(self, q: Vector, stages: list[Stage]) -> Vector:
        self._tell("refining")
        start = Start(q, {_CAMERA: self._T})
        return self._refinement.solve([self._seen], start, stages, self._priors)[0].q

    def _turned(self) -> bool:
        """Turn single joints of the best, refine the best turns; return whether one was better."""
        q0, before = self._best, self._score
        turned, joints = [], []
        for j in np.flatnonzero(self._free):
            for turn in _TURNS:
                q = q0.copy()
                q[j] = q0[j] + turn * np.pi
                if self._limits[0][j] <= q[j] <= self._limits[1][j]:
                    turned.append(q)
                    joints.append(j)
        if not turned:
            return False
        scores = self._coarse(np.stack(turned), self._T)
        # A turn need not win at once: the others have settled around the wrong one.
        order = np.argsort(-scores)[:6]
        for k in order:
            self._keep(self._polished(turned[k]))
        return self._score > before + 1e-3 * abs(before)

    def _worth(self, q: Vector) -> float:
        """Return the score of joint positions at the fine level, less how far they are away."""
        free = self._spread > 0
        away = (q - self._start)[free] / self._spread[free]
        return float(self._fine(q[None], self._T)[0]) - _FAR_NATS * float(away @ away)

    def _match_colors(self) -> None:
        """Refine the best colour by colour, where the picture has the robot's own colours."""
        before = self._color_error(self._best)
        self._tell("refining")
        start = Start(self._best, {_CAMERA: self._T})
        stages = [Stage(self._widths[1], 0, 20)]
        q = self._photometric.solve([self._seen], start, stages, self._priors)[0].q
        after = self._color_error(q)
        if after < min(before, _OWN_COLORS) and self._worth(q) > 0.95 * self._score:
            self._best, self._score = q, max(self._worth(q), self._score)

    def _color_error(self, q: Vector) -> float:
        """Return the mean difference of colours inside the robot, 0..1."""
        target = dataclasses.replace(self._bare, color=self._levels[self._widths[1]].color)
        found = self._images.colored.evaluate(q, self._T, target).statistics
        return found.inside_error / max(found.inside, 1.0)

    def _keep(self, q: Vector) -> float:
        score = self._worth(q)
        if score > self._score:
            self._best, self._score = q, score
            self._curve.append((self._steps, score))
        return score

    def _tell(self, what: str) -> None:
        self._steps += 1
        spent = time.perf_counter() - self._began
        budget = self._config.budget_s
        per_search = 7
        share = self._steps / (per_search * max(2, self._config.starts) + 12)
        if budget:
            share = max(share, spent / budget)
        if self._told is not None and not self._told(
            what, min(share, 1.0), self._score, self._best
        ):
            raise StoppedError(StopReason.CANCELED)
        if budget and spent > budget:
            raise StoppedError(StopReason.BUDGET)


def _observation(goal: PictureGoal, view: Viewpoint) -> Observation:
    size = [view.camera.height, view.camera.width]
    mask = None if goal.mask is None else np.asarray(goal.mask, np.float32)
    image = goal.rgb
    shape = list(np.shape(mask if image is None else image)[:2])  # type: ignore[arg-type]
    if shape != size:
        raise InputError(f"the goal picture is {shape}, the viewpoint {size}")
    if image is None:
        assert mask is not None
        image = np.repeat((255 * mask[..., None]).astype(np.uint8), 3, 2)
    return Observation(np.ascontiguousarray(image), view.camera, 0.0, mask=mask)
