"""Which regular solid stands for an object: the most probable one, or a box where none fits."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from drrobot_ros.scene.evidence import Evidence
from drrobot_ros.scene.superquadrics import Superquadrics, rectangle_yaw
from drrobot_ros.scene.turned_shapes import TurnedShapes
from drrobot_ros.scene.types import Floats

#: Where both fit, a turned shape is taken: what is seen of it tells all around.
_BONUS = 8.0
#: Above this cost a shape does not explain its points, and only bounds them.
POOR = 60.0


@dataclasses.dataclass(frozen=True, eq=False)
class Solid:
    """A solid in the plane's frame.

    Attributes:
        kind: "superquadric", "turned" or "box".
        distance: of points [P, 3] to its surface, + outside, m.
        rotation: axes of its frame [3, 3].
        low: of its extent in that frame [3], m.
        high: of its extent in that frame [3], m.
        cost: negative log posterior of the shape it was made from.
    """

    kind: str
    distance: Callable[[Floats], Floats]
    rotation: Floats
    low: Floats
    high: Floats
    cost: float


def choose_solids(
    evidence: Evidence, squared: Superquadrics, turned: TurnedShapes, poor: float = POOR
) -> list[Solid]:
    """Return the solid of each object."""
    solids = []
    for i in range(len(evidence.points)):
        costs = float(squared.cost[i]), float(turned.cost[i]) - _BONUS
        if min(costs) > poor:
            solids.append(_box(evidence, i, min(costs)))
        elif costs[1] < costs[0]:
            solids.append(_turned(turned, i, costs[1]))
        else:
            solids.append(_squared(squared, i, costs[0]))
    return solids


def _tensor(points: Floats) -> torch.Tensor:
    return torch.as_tensor(points, dtype=torch.float64)[None]


def _squared(found: Superquadrics, i: int, cost: float) -> Solid:
    one = Superquadrics(
        *(
            getattr(found, k)[i : i + 1]
            for k in ("centers", "axes", "rotations", "exponents", "taper", "cost")
        )
    )
    R, half = found.rotations[i].numpy(), found.axes[i].numpy().copy()
    half[:2] *= 1 + abs(float(found.taper[i]))
    middle = R.T @ found.centers[i].numpy()
    return Solid(
        "superquadric",
        lambda points: one.distance(_tensor(points))[0].numpy(),
        R,
        middle - half,
        middle + half,
        cost,
    )


def _turned(found: TurnedShapes, i: int, cost: float) -> Solid:
    one = TurnedShapes(
        *(getattr(found, k)[i : i + 1] for k in ("centers", "radii", "bottom", "top", "cost"))
    )
    center, radius = found.centers[i].numpy(), float(found.radii[i].max())
    low = np.r_[center - radius, float(found.bottom[i])]
    high = np.r_[center + radius, float(found.top[i])]
    return Solid(
        "turned", lambda p: one.distance(_tensor(p))[0].numpy(), np.eye(3), low, high, cost
    )


def _box(evidence: Evidence, i: int, cost: float) -> Solid:
    """Return the upright box around the points."""
    points = evidence.points[i].numpy()
    yaw = rectangle_yaw(points[:, :2])
    c, s = np.cos(yaw), np.sin(yaw)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    local = points @ R
    low, high = np.percentile(local, 1, axis=0), np.percentile(local, 99, axis=0)
    low[2] = float(evidence.floor_m[i])
    high = np.maximum(high, low + 0.006)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)

    def distance(points: Floats) -> Floats:
        beyond = np.abs(points @ R - middle) - half
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        return outside + np.minimum(beyond.max(-1), 0)

    return Solid("box", distance, R, low, high, cost)
