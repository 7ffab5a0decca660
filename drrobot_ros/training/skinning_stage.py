"""The first stage of implicit skinning: weights from point clouds that carry no labels.

Every canonical point is moved as if it were fixed to each body in turn; the body it belongs to is
the one that puts it on the surface in every configuration. What stays ambiguous (a cylinder turning
about its axis) follows its neighbours. The network then learns these votes, and last the Chamfer
distance between moved points and clouds.

Source: the Chamfer loss on point clouds is that of Liu et al. 2024, "Differentiable Robot
Rendering"; the votes before it are ours, since from a random start the loss alone has poor minima.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.splats.skinning import ImplicitSkinning


@dataclasses.dataclass(frozen=True)
class SkinningStageConfig:
    """How the skinning network is fitted to point clouds."""

    steps: int = setting(400, "steps in which the network learns the votes", minimum=1)
    chamfer_steps: int = setting(60, "steps on the Chamfer distance after that", minimum=0)
    batch: int = setting(4096, "points per step", minimum=16)
    learning_rate: float = setting(3e-3, "at the start; falls to a tenth", minimum=1e-6, maximum=1)
    neighbours: int = setting(12, "points whose votes a point listens to", minimum=1, maximum=100)
    listening: float = setting(
        4.0, "how strongly neighbours pull an ambiguous point, in nats", minimum=0.0, maximum=100.0
    )

    sharpening: float = setting(
        4.0,
        "factor on the logits at the end: links are rigid, so weights should be 0 or 1",
        minimum=1.0,
        maximum=100.0,
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class SkinningFit:
    """What the stage did.

    Attributes:
        votes: [P, B] probability of each body per canonical point.
        agreement: share of points whose largest network weight is the body with most votes.
        residual_m: median distance of moved points to the clouds.
    """

    votes: Tensor
    agreement: float
    residual_m: float


def fit_skinning(
    skinning: ImplicitSkinning,
    points: Tensor,
    T_canonical_now: Tensor,
    clouds: Sequence[Tensor | NDArray],
    config: SkinningStageConfig | None = None,
    seed: int = 0,
) -> SkinningFit:
    """Fit a skinning network to unlabelled point clouds, in place.

    Args:
        skinning: the network.
        points: [P, 3] on the surface in the canonical configuration, base frame, m.
        T_canonical_now: [S, L, 4, 4] motions of the links to each cloud's configuration.
        clouds: S clouds [M, 3] of the whole surface, base frame, m, in no order.
        config: settings.
        seed: of the random numbers.

    Raises:
        InputError: no cloud, or another number of configurations than clouds.
    """
    config = config or SkinningStageConfig()
    if not clouds or len(clouds) != len(T_canonical_now):
        raise InputError(f"{len(clouds)} clouds for {len(T_canonical_now)} configurations")
    x = points.detach().float()
    motions = T_canonical_now[:, skinning.body].float()
    trees = [KDTree(np.asarray(cloud, np.float64)) for cloud in clouds]
    votes = body_votes(x, motions, trees, config)
    generator = torch.Generator().manual_seed(seed)
    steps = config.steps + config.chamfer_steps
    optimizer = torch.optim.Adam(skinning.network.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / steps))
    for step in range(steps):
        index = torch.randint(len(x), (min(config.batch, len(x)),), generator=generator)
        loss = torch.nn.functional.cross_entropy(skinning.logits(x[index]), votes[index])
        if step >= config.steps:
            loss = loss + _surface_loss(skinning, x[index], motions, trees, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        skinning.sharpen(config.sharpening)
        logits = skinning.logits(x)
        agreement = float((logits.argmax(1) == votes.argmax(1)).float().mean())
        weights = logits.softmax(-1)
        distance = [
            tree.query(_move(weights, motions[s], x).numpy(), workers=1)[0]
            for s, tree in enumerate(trees)
        ]
    return SkinningFit(votes, agreement, float(np.median(distance)))


def body_votes(
    x: Tensor, motions: Tensor, trees: Sequence[KDTree], config: SkinningStageConfig
) -> Tensor:
    """Return the probability [P, B] that each body carries each canonical point [P, 3].

    Args:
        x: canonical points.
        motions: [S, B, 4, 4].
        trees: of the S clouds.
        config: settings.
    """
    # A point on the surface lies about half a spacing from the nearest sample.
    spacing = float(np.median([_spacing(tree) for tree in trees]))
    energy = np.zeros((len(x), motions.shape[1]))
    for s, tree in enumerate(trees):
        for b in range(motions.shape[1]):
            moved = x @ motions[s, b, :3, :3].T + motions[s, b, :3, 3]
            distance = tree.query(moved.numpy(), distance_upper_bound=4 * spacing)[0]
            energy[:, b] += np.square(np.minimum(distance / spacing, 4.0))
    _, near = KDTree(x.numpy()).query(x.numpy(), k=min(config.neighbours + 1, len(x)))
    near = np.asarray(near).reshape(len(x), -1)[:, 1:]
    votes = _softmax(-0.5 * energy)
    for _ in range(30):  # mean field of a Potts model
        votes = _softmax(-0.5 * energy + config.listening * votes[near].mean(1))
    return torch.from_numpy(votes).float()


def _surface_loss(
    skinning: ImplicitSkinning,
    x: Tensor,
    motions: Tensor,
    trees: Sequence[KDTree],
    step: int,
) -> Tensor:
    """Distance from moved points to the surface and back, in units of the robot's extent."""
    s = step % len(trees)
    moved = _move(skinning.weights(x), motions[s], x)
    cloud = np.asarray(trees[s].data)
    at = moved.detach().numpy()
    nearest = torch.from_numpy(cloud[trees[s].query(at)[1]]).float()
    few = cloud[step % 5 :: max(1, len(cloud) // len(x))]
    back = torch.from_numpy(np.asarray(KDTree(at).query(few)[1]))
    there = (moved - nearest).norm(dim=1).mean()
    again = (moved[back] - torch.from_numpy(few).float()).norm(dim=1).mean()
    return 10.0 * (there + again) / skinning.extent


def _move(weights: Tensor, motions: Tensor, x: Tensor) -> Tensor:
    A = (weights @ motions[:, :3].flatten(1)).unflatten(1, (3, 4))
    return (A[:, :, :3] @ x[:, :, None])[..., 0] + A[:, :, 3]


def _spacing(tree: KDTree) -> float:
    some = np.asarray(tree.data)[:: max(1, tree.n // 500)]
    return float(np.median(tree.query(some, k=2)[0][:, 1])) + 1e-6


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(values - values.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
