"""Where to start descending: many poses are tried by looking only, the best are bred.

For costs with many valleys (sentences): an evolutionary search whose moves know the robot's limbs.
Fingers are exchanged between poses as wholes; the joints of a finger are bent together.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.limbs import Limbs
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.objectives import WeightedSum
from drrobot_ros.robot import RobotModel

Matrix = NDArray[np.float64]
_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How many poses are tried."""

    pool: int = setting(400, "random poses tried first", minimum=1, maximum=100000)
    rounds: int = setting(6, "times that the best are bred", minimum=0, maximum=1000)
    children: int = setting(60, "poses bred each time", minimum=1, maximum=10000)
    parents: int = setting(16, "poses that are bred from", minimum=2, maximum=1000)
    kept: int = setting(3, "poses returned", minimum=1, maximum=100)
    apart: float = setting(
        0.15, "how different those must be: mean distance of joints", unit="rad or m", minimum=0.0
    )
    budget_s: float = setting(0.0, "time; 0: no limit", unit="s", minimum=0.0)
    seed: int = setting(0, "of the poses", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """Poses that a search found, best first.

    Attributes:
        q: [k,nq].
        costs: [k].
        tried: poses looked at.
    """

    q: Matrix
    costs: Matrix
    tried: int


def search_poses(
    model: RobotModel,
    gaussians: Any,
    objective: WeightedSum,
    start: NDArray[np.float64],
    limits: MotionLimits,
    views: tuple[Viewpoint, ...] = (),
    config: SearchConfig | None = None,
    free: NDArray[np.bool_] | None = None,
    keep_on: Callable[[float, Matrix], bool] | None = None,
) -> Found:
    """Return a few poses of low cost, found without gradients; `optimize` goes on from them.

    Deterministic with a seed and without a budget.

    Args:
        model: the robot.
        gaussians: its splats.
        objective: to minimise.
        start: [nq] where the robot is at ease; among those tried, and kept by joints not free.
        limits: position limits; what is found is inside.
        views: from where objectives look.
        config: settings.
        free: which joints may move [nq]; None: all.
        keep_on: told the share that is done, 0..1, and the best pose [nq] now and then; returns
            False to stop.

    Raises:
        InputError: a start of wrong size or out of the limits.
    """
    config = config or SearchConfig()
    start = np.asarray(start, np.float64)
    limits.check_position(start, "start")
    search = _Search(Limbs.of(model, start), limits, free, config.seed)
    began = time.perf_counter()
    total = config.pool + config.rounds * config.children
    q, costs = np.empty((0, model.nq)), np.empty(0)

    def look(poses: Matrix) -> bool:
        """Add poses with their costs; return whether to go on."""
        nonlocal q, costs
        for part in np.split(poses, range(_CHUNK, len(poses), _CHUNK)):
            with torch.no_grad():
                at = Candidate(model, gaussians, torch.from_numpy(part), views)
                cost, _ = objective.evaluate(at)
            q = np.concatenate([q, part])
            costs = np.concatenate([costs, np.nan_to_num(cost.numpy(), nan=np.inf)])
            late = 0 < config.budget_s < time.perf_counter() - began
            best = q[int(costs.argmin())]
            if late or (keep_on is not None and not keep_on(len(q) / total, best)):
                return False
        return True

    going = look(np.concatenate([start[None], search.fresh(config.pool - 1)]))
    for k in range(config.rounds):
        if not going:
            break
        best = np.argsort(costs, kind="stable")[: config.parents]
        going = look(search.bred(q[best], config.children, 0.12 * (1 - k / config.rounds)))
    order = np.argsort(costs, kind="stable")
    kept: list[int] = []
    for i in order:
        if all(np.abs(q[i] - q[j]).mean() >= config.apart for j in kept):
            kept.append(int(i))
        if len(kept) == config.kept:
            break
    return Found(q[kept], costs[kept], len(q))


class _Search:
    """Draws poses."""

    def __init__(
        self, limbs: Limbs, limits: MotionLimits, free: NDArray[np.bool_] | None, seed: int
    ) -> None:
        self._limbs = limbs
        self._low = np.maximum(limbs.low, limits.lower)
        self._high = np.minimum(limbs.high, limits.upper)
        self._free = np.ones(len(limbs.rest), bool) if free is None else np.asarray(free, bool)
        self._random = np.random.default_rng(seed)

    def _valid(self, q: Matrix) -> Matrix:
        return np.where(self._free, np.clip(q, self._low, self._high), self._limbs.rest)

    def fresh(self, count: int) -> Matrix:
        """Return random poses [n,nq]."""
        poses = np.tile(self._limbs.rest, (count, 1))
        for q in poses:
            # A wrist may rest; an arm with a gripper has to go somewhere.
            if self._random.uniform() < 0.5 or len(self._limbs.trunk) > 2:
                self._anywhere(q, self._limbs.trunk)
            for limb in self._limbs.limbs:
                self._move(q, limb)
        return self._valid(poses)

    def _move(self, q: Matrix, limb: NDArray[np.int64]) -> None:
        """Put a limb somewhere: at rest, its joints bent together, or anywhere."""
        kind = self._random.uniform()
        if not self._limbs.branched or kind < 0.15:
            self._anywhere(q, limb)
        else:
            share = self._random.beta(0.5, 0.5)
            room = (self._high - self._low)[limb]
            noise = self._random.normal(0, 0.06, len(limb)) * room
            q[limb] = self._limbs.rest[limb] + share * self._limbs.travel[limb] + noise

    def _anywhere(self, q: Matrix, joints: NDArray[np.int64]) -> None:
        q[joints] = self._random.uniform(self._low[joints], self._high[joints])

    def bred(self, parents: Matrix, count: int, spread: float) -> Matrix:
        """Return poses [n,nq] made of pairs of others, changed a little."""
        random, n = self._random, len(parents)
        # The better, the more often.
        one = np.minimum(random.integers(n, size=count), random.integers(n, size=count))
        other = random.integers(n, size=count)
        poses = [
            self._child(a, b, spread) for a, b in zip(parents[one], parents[other], strict=True)
        ]
        return self._valid(np.stack(poses))

    def _child(self, one: NDArray, other: NDArray, spread: float) -> NDArray[np.float64]:
        random, limbs = self._random, self._limbs
        q = one.copy()
        if limbs.branched:
            for limb in (limbs.trunk, *limbs.limbs):
                if random.uniform() < 0.4:
                    q[limb] = other[limb]
            if random.uniform() < 0.4:
                self._move(q, limbs.limbs[random.integers(len(limbs.limbs))])
        else:
            q = q + random.uniform(-0.2, 0.8) * (other - q)
        moved = random.uniform(size=len(q)) < 0.4
        return q + moved * random.normal(0, spread, len(q)) * (self._high - self._low)
