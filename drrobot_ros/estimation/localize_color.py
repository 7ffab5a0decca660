"""Search in a colour image: hypotheses scored by the colours seen where the robot's parts would be.

The score is the mutual information of rendered labels and seen colours
(:mod:`drrobot_ros.estimation.search`): it needs neither a mask nor known light, and unlike colours
counted around an estimate it does not confirm a wrong one. Near a start joints are drawn from what
start and image say together (:mod:`drrobot_ros.estimation.annealing`); elsewhere hypotheses are
drawn by the cross-entropy method, from several starts.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.annealing import Annealing, resampled, tempered
from drrobot_ros.estimation.contour_score import ContourScore
from drrobot_ros.estimation.levels import make_level
from drrobot_ros.estimation.localization import Candidate, Guess, LocalizeConfig
from drrobot_ros.estimation.localize_refine import Hypothesis, Refined
from drrobot_ros.estimation.localize_space import SearchSpace
from drrobot_ros.estimation.manifold import Coordinates, exp_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.search import RegionScore, palette_of
from drrobot_ros.estimation.segmentation import ColorClusters, part_labels
from drrobot_ros.splats.gaussians import INSET_PX

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

WIDTH = 120  # px
OUTLINE_WIDTH, FINE_WIDTH = 200, 320  # px
POLISH_RAD = 0.06  # how far a hypothesis is looked around for a better one
# What an error of some degrees costs: the two scores' spread around the truth.
COLOR_UNIT, EDGE_UNIT = 0.004, 0.6
# Near the truth edges say more than colours, the more the sharper they are: as large a picture as
# there is up to a width, and steep edges count for what they are.
EDGE_WIDTH, EDGE_LIMIT, COLOR_SHARE = 640, 24.0, 0.5
DRAWS = (600, 250)  # of the joints near a start: by the small picture, by the large one
SHARPNESS = ((0.0, 3.0), (1.5, 20.0))  # of the scores that they are drawn by
CLUSTER_RAD = 0.5  # draws of one explanation are nearer to its best than this
NEAR_RAD = 0.5  # a start known this well is drawn around
# Many splats where the outline is looked at closely: few make it ragged.
SPLATS, FINE_SPLATS = 1000, 6000
# Neighbouring pixels err together: a nat of the score is worth less than one of the prior.
PRIOR_WEIGHT = 0.15
RESTARTS = 3
GENERATIONS = 7


@dataclasses.dataclass(frozen=True)
class OutlineScore:
    """Colours inside against beside the outline, plus edges along it.

    Both say how well the outline lies, and err differently: mutual information per pixel of the
    image, in nats, grows with the robot's size; the mean edge, in Lab units, does not.
    """

    colors: RegionScore
    edges: ContourScore
    color_share: float = 1.0

    def __call__(self, q: Matrix, T_camera: NDArray[np.float64]) -> Vector:
        """Return the scores [n] of joint positions [n,nq]."""
        target = self.colors.target
        mutual = self.colors(q, T_camera) / (target.width * target.height)
        return self.color_share * mutual / COLOR_UNIT + self.edges(q, T_camera) / EDGE_UNIT


class ColorSearch:
    """Finds hypotheses in colour images, and judges refined ones.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
    """

    def __init__(self, model: Any, gaussians: Any, config: LocalizeConfig) -> None:
        self.config = config
        self._model = model
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        palette = palette_of(np.asarray(gaussians.part_colors))
        few = gaussians.subset(SPLATS)
        labels = part_labels(few.part_colors, palette)
        self._images = ImageModel(model.tree, few, model.nq, model.nv, labels)
        # Which part of the robot a pixel shows tells flips apart, but where the robot's colours are
        # not known well it misleads near the truth: there the robot is one part.
        one = np.tile(np.array([[1.0, 0.0, 0.0]], np.float32), (len(labels), 1))
        self._plain = ImageModel(model.tree, few, model.nq, model.nv, one)
        many = gaussians.subset(FINE_SPLATS)
        one = np.tile(one[:1], (len(many.means), 1))
        self._sharp = ImageModel(model.tree, many, model.nq, model.nv, one)
        self._outline: tuple[Observation | None, dict[int, OutlineScore]] = (None, {})
        self._scores: tuple[Observation | None, dict[int, RegionScore]] = (None, {})

    def find(
        self, observation: Observation, guess: Guess, rng: np.random.Generator
    ) -> list[Hypothesis]:
        """Return hypotheses: of joints near a start the likeliest first, else the best first."""
        score = self._outline_of(observation)
        space = SearchSpace.of(self._model, self._coordinates, guess)
        if _near(guess, observation):
            return self._drawn(observation, guess, space, rng)
        found = [self._climb(score, space, guess, rng) for _ in range(RESTARTS)]
        found.sort(key=lambda h: -h[2])
        fine = self._outline_of(observation, FINE_WIDTH)
        found = [self._polish(fine, space, guess, q, T, rng) for q, T, _ in found]
        found.sort(key=lambda h: -h[2])
        return [Hypothesis(q, T, sigma=POLISH_RAD) for q, T, _ in found[: self.config.candidates]]

    def judge(self, observation: Observation, guess: Guess, refined: Refined) -> Candidate:
        """Score a refined hypothesis."""
        score = (
            self._close_up(observation)
            if _near(guess, observation)
            else self._outline_of(observation, FINE_WIDTH)
        )
        value = float(score(refined.q[None], refined.T_camera)[0])
        value -= float(self._surprise(refined.q[None], guess)[0])
        s = refined.solution.statistics[0]
        share = s.intersection / max(s.union, 1e-6)
        return Candidate(refined.q, refined.T_camera, value, share, refined.solution)

    def ranked(self, observation: Observation, candidates: list[Candidate]) -> list[Candidate]:
        """Return candidates best first."""
        return sorted(candidates, key=lambda c: -c.score)

    def same_surface(self, a: Candidate, b: Candidate) -> bool:
        """Whether two candidates are the same."""
        return bool(np.abs(self._coordinates.difference(a.q, b.q)).max() < 0.15)

    def _drawn(
        self, observation: Observation, guess: Guess, space: SearchSpace, rng: np.random.Generator
    ) -> list[Hypothesis]:
        """Return the means of what is about as likely, given start and image.

        A refinement by colours is exact where these tell the robot from its surroundings, and leads
        away where they do not: it must be as likely as the draws are on average.
        """
        T = guess.T_base_camera
        assert T is not None and guess.q is not None
        rough, close = self._outline_of(observation), self._close_up(observation)
        annealing = Annealing(
            self._coordinates, space.limits, lambda q: self._surprise(q, guess) / PRIOR_WEIGHT
        )
        q = space.joints(DRAWS[0], rng)
        q, value = annealing.sharpened(q, lambda x: rough(x, T), SHARPNESS[0], rng)
        # The two scores are not the same: some of the draws have to remain.
        weight = SHARPNESS[1][0] * close(q, T) - SHARPNESS[0][1] * value
        q = q[resampled(tempered(weight, 0.25), DRAWS[1], rng)]
        q, value = annealing.sharpened(q, lambda x: close(x, T), SHARPNESS[1], rng)
        groups = annealing.clusters(q, value, CLUSTER_RAD)[: self.config.candidates]
        value = value - self._surprise(q, guess)
        return [
            Hypothesis(
                annealing.mean(q[group]),
                T,
                sigma=POLISH_RAD,
                enough=float(value[group].mean()),
            )
            for group in groups
        ]

    def _climb(
        self, score: OutlineScore, space: SearchSpace, guess: Guess, rng: np.random.Generator
    ) -> tuple[Vector, Matrix, float]:
        """Draw hypotheses around the best ones so far, ever closer."""
        nv, count = self._coordinates.nv, 40 * (self._coordinates.nv + 6 * guess.camera_free)
        assert guess.T_base_camera is not None
        q = space.joints(count, rng)
        T = space.cameras(
            count,
            rng,
            score.edges.target.K,
            (score.edges.target.width, score.edges.target.height),
            np.zeros((1, 3)),
        )
        best: tuple[Vector, Matrix, float] = (q[0], T[0], -np.inf)
        for _ in range(GENERATIONS):
            values = score(q, T) - self._surprise(q, guess)
            order = np.argsort(-values)
            if values[order[0]] > best[2]:
                best = q[order[0]], T[order[0]], float(values[order[0]])
            elite = order[: max(6, count // 10)]
            centre, pose = q[order[0]], T[order[0]]
            moves = np.stack([self._coordinates.difference(centre, q[k]) for k in elite])
            mean, spread = moves.mean(0), moves.std(0) * 1.1 + 1e-3
            steps = mean + spread * rng.normal(size=(count, nv))
            q = np.stack([self._coordinates.integrate(centre, step) for step in steps])
            q = np.clip(q, *space.limits)
            if guess.camera_free:
                size = np.repeat([T[elite, :3, 3].std(0).mean(), 0.3 * spread.mean()], 3)
                T = np.stack([pose @ exp_se3(s) for s in rng.normal(size=(count, 6)) * size])
        return best

    def _polish(
        self,
        score: OutlineScore,
        space: SearchSpace,
        guess: Guess,
        q: Vector,
        T: Matrix,
        rng: np.random.Generator,
    ) -> tuple[Vector, Matrix, float]:
        """Draw joints closely around a hypothesis; returns the mean of the best.

        The score is rough: the mean of many good hypotheses lies nearer to the truth than the best.
        """
        nv = self._coordinates.nv
        spread = np.minimum(POLISH_RAD, np.asarray(guess.q_sigma)) * np.ones(nv)
        for _ in range(4):
            steps = spread * rng.normal(size=(30 * nv, nv))
            drawn = np.stack([self._coordinates.integrate(q, step) for step in steps])
            drawn = np.clip(drawn, *space.limits)
            values = score(drawn, T) - self._surprise(drawn, guess)
            elite = np.argsort(-values)[: max(8, len(drawn) // 8)]
            moves = np.stack([self._coordinates.difference(q, drawn[k]) for k in elite])
            q = np.clip(self._coordinates.integrate(q, moves.mean(0)), *space.limits)
            spread = moves.std(0) * 1.1 + 1e-3
        return q, T, float((score(q[None], T) - self._surprise(q[None], guess))[0])

    def _surprise(self, q: Matrix, guess: Guess) -> Vector:
        """Return how far joint positions [n,nq] are from the guess, in the score's unit [n]."""
        if guess.q is None:
            return np.zeros(len(q))
        sigma = np.maximum(np.asarray(guess.q_sigma), 1e-6)
        steps = np.stack([self._coordinates.difference(guess.q, x) for x in q])
        return PRIOR_WEIGHT * 0.5 * np.square(steps / sigma).sum(1)

    def _outline_of(self, observation: Observation, width: int = OUTLINE_WIDTH) -> OutlineScore:
        known, outlines = self._outline
        if known is not observation:
            outlines = {}
            self._outline = observation, outlines
        if width not in outlines:
            target, pixels, clusters = _seen_at(observation, width)
            band = max(2, round(0.03 * target.width))
            closely = width >= min(FINE_WIDTH, observation.camera.width)
            model = self._sharp if closely else self._plain
            colors = RegionScore(model, target, clusters, band)
            edges = ContourScore.of(model, target, pixels)
            outlines[width] = OutlineScore(colors, edges)
        return outlines[width]

    def _close_up(self, observation: Observation) -> OutlineScore:
        """Return what scores joints near the truth: mostly edges, of a large picture."""
        width = min(EDGE_WIDTH, observation.camera.width)
        edges = dataclasses.replace(self._outline_of(observation, width).edges, limit=EDGE_LIMIT)
        colors = self._outline_of(observation, FINE_WIDTH).colors
        return OutlineScore(colors, edges, COLOR_SHARE)

    def score_of(self, observation: Observation, width: int = WIDTH) -> RegionScore:
        """Return what scores hypotheses by the colours of an image, at a width in px."""
        known, scores = self._scores
        if known is not observation:
            scores = {}
            self._scores = observation, scores
        if width not in scores:
            target, _, clusters = _seen_at(observation, width)
            scores[width] = RegionScore(self._images, target, clusters, max(4, round(0.04 * width)))
        return scores[width]


def _near(guess: Guess, observation: Observation) -> bool:
    """Whether only joints are looked for, around a start, in a picture large enough.

    In small pictures edges say no more than colours, and a refinement by these is better.
    """
    joints = guess.q is not None and not guess.camera_free
    large = observation.camera.width > FINE_WIDTH
    return joints and large and float(np.max(guess.q_sigma)) <= NEAR_RAD


def _seen_at(
    observation: Observation, width: int
) -> tuple[ImageTarget, NDArray[np.uint8], NDArray[np.uint8]]:
    """Return how to render at a width, the image's pixels there and their colour clusters."""
    level = make_level(dataclasses.replace(observation, depth_m=None), width)
    target = ImageTarget(
        K=level.camera.K,
        width=level.camera.width,
        height=level.camera.height,
        weight=level.weight,
        inset_px=INSET_PX,
    )
    return target, level.pixels, ColorClusters.of(level.pixels).assign(level.pixels)
