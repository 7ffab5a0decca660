"""Search of joint positions over rendered hypotheses: the cross-entropy method."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import FloatImage, ImageModel, ImageTarget

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class RegionScore:
    """Scores hypotheses by mutual information of rendered labels and seen colours.

    Attributes:
        model: the robot to render, its splats coloured by part labels.
        target: intrinsics and pixel weights of the level.
        cluster: colour cluster of every pixel [H,W].
        band_px: width of the band around the robot that is compared with it.
    """

    model: ImageModel
    target: ImageTarget
    cluster: NDArray[np.uint8]
    band_px: int = 4

    def __call__(self, q: Vector, T_camera: Matrix) -> Vector:
        """Return the scores [n] of joint positions [n,nq]."""
        labels = np.eye(3, dtype=np.float32)
        return self.model.region_scores(
            q, T_camera, self.target, self.cluster, labels, self.band_px
        )


def palette_of(colors: NDArray[np.floating], count: int = 3) -> FloatImage:
    """Return the few colours that tell a robot's parts apart [m,3], by k-means of its splats."""
    import cv2

    x = np.ascontiguousarray(colors, np.float32)
    count = min(count, len(np.unique(np.round(x, 2), axis=0)))
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, _, centers = cv2.kmeans(x, count, None, criteria, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return centers


def search_joints(
    score: Callable[[Vector, Matrix], Vector],
    coordinates: Coordinates,
    q: Vector,
    sigma: Vector,
    T_camera: Matrix,
    limits: tuple[Vector, Vector],
    hypotheses: int,
    rng: np.random.Generator,
    generations: int = 6,
) -> tuple[Vector, float]:
    """Return the best joint positions near a start, and their score.

    Args:
        score: how good a hypothesis is.
        coordinates: how velocities move q.
        q: centre [nq].
        sigma: spread per velocity coordinate [nv]; 0 where held fixed.
        T_camera: camera pose [4,4].
        limits: lower and upper joint limits [nq].
        hypotheses: how many are rendered in all.
        rng: source of the random hypotheses.
        generations: rounds; each narrows the spread to that of the best tenth.
    """
    count = max(8, hypotheses // generations)
    best_q, best_score = q, float(score(q[None], T_camera)[0])
    mean, spread = q, sigma.copy()
    for _ in range(generations):
        steps = rng.normal(size=(count, coordinates.nv)) * spread
        candidates = np.stack([coordinates.integrate(mean, step) for step in steps])
        candidates = np.clip(candidates, *limits)
        candidates[0] = best_q
        scores = score(candidates, T_camera)
        order = np.argsort(-scores)
        if scores[order[0]] > best_score:
            best_q, best_score = candidates[order[0]], float(scores[order[0]])
        elite = order[: max(4, count // 10)]
        moves = np.stack([coordinates.difference(mean, candidates[k]) for k in elite])
        mean = np.clip(coordinates.integrate(mean, moves.mean(0)), *limits)
        spread = np.where(sigma > 0, moves.std(0) * 1.1 + 0.02 * sigma, 0.0)
    final = float(score(mean[None], T_camera)[0])
    return (mean, final) if final > best_score else (best_q, best_score)
