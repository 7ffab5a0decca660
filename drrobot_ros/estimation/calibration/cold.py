"""The cold start: a camera's pose from a rough guess, by rendering many hypotheses.

Hypotheses around the guess are scored by the mutual information of rendered labels and seen
colours, summed over keyframes. That needs no mask and no light, and does not confirm a wrong start.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import camera_center, move_camera
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LABELS = np.eye(3, dtype=np.float32)
BAND_PX = 4
ELITE = 0.1


@dataclasses.dataclass(frozen=True)
class SearchImage:
    """One small image of a search: joints [nq], how to render it, colour cluster of each pixel."""

    q: Vector
    target: ImageTarget
    cluster: NDArray[np.uint8]


def camera_scores(model: ImageModel, images: list[SearchImage], poses: Matrix) -> Vector:
    """Return the score of every camera pose [n,4,4], summed over the images; higher is better."""
    total = np.zeros(len(poses))
    for image in images:
        q = np.repeat(image.q[None], len(poses), 0)
        total += model.region_scores(q, poses, image.target, image.cluster, LABELS, BAND_PX)
    return total


def search_camera(
    model: ImageModel,
    images: list[SearchImage],
    T: Matrix,
    sigma: Vector,
    hypotheses: int,
    rng: np.random.Generator,
    generations: int = 6,
) -> tuple[Matrix, float]:
    """Return the best camera pose near a start and its score, by the cross-entropy method.

    Args:
        model: few splats, coloured by part.
        images: of one camera.
        T: start [4,4].
        sigma: of the twist about the robot (v, w) [6], m and rad.
        hypotheses: how many are rendered, times the images.
        rng: source of the random hypotheses.
        generations: rounds; each narrows the spread to that of the best tenth.
    """
    center = camera_center(T)
    count = max(12, hypotheses // generations)
    mean, spread = np.zeros(6), sigma.astype(np.float64)
    best, best_score = np.zeros(6), -np.inf
    for _ in range(generations):
        twists = mean + rng.normal(size=(count, 6)) * spread
        twists[0] = best
        poses = np.stack([move_camera(T, t, center) for t in twists])
        # A pose far from the guess needs better evidence: a large silhouette finds much to tell.
        prior = 0.5 * np.square(twists / (2.0 * sigma)).sum(1)
        scores = camera_scores(model, images, poses)
        scores = scores * (1.0 - 0.02 * prior)
        order = np.argsort(-scores)
        if scores[order[0]] > best_score:
            best, best_score = twists[order[0]], float(scores[order[0]])
        elite = twists[order[: max(4, int(ELITE * count))]]
        mean = elite.mean(0)
        spread = elite.std(0) * 1.1 + 0.02 * sigma
    return move_camera(T, best, center), best_score
