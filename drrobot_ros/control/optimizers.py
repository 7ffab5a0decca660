"""Joint positions, or whole motions, that minimise objectives."""

import dataclasses
import enum
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.objectives import WeightedSum
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

Matrix = NDArray[np.float64]


class StopReason(enum.Enum):
    """Why an optimizer stopped."""

    CONVERGED = "converged"
    ITERATIONS = "iterations"
    BUDGET = "budget"
    CANCELED = "canceled"


class StoppedError(Exception):
    """Ends a method from within: time is up, or a watcher said so."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How joint targets are looked for."""

    starts: int = setting(4, "starts of which the best is kept", minimum=1, maximum=1000)
    start_spread: float = setting(
        0.5, "how far the other starts are from the given one", unit="rad or m", minimum=0.0
    )
    iterations: int = setting(200, "steps per start", minimum=1, maximum=100000)
    learning_rate: float = setting(
        0.05, "length of a first step", unit="rad or m", minimum=1e-6, maximum=1.0
    )
    halving: float = setting(
        0.5,
        "share of the starts that is kept, each time a quarter of the steps is done",
        minimum=0.01,
        maximum=1.0,
    )
    tolerance: float = setting(
        1e-5, "converged when no joint moved more in ten steps", unit="rad or m", minimum=0.0
    )
    budget_s: float = setting(10.0, "time; 0: no limit", unit="s", minimum=0.0)
    seed: int = setting(0, "of the starts", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """Where an optimizer is.

    Attributes:
        step: taken so far.
        fraction: of the work or of the time, whichever is further, 0..1.
        cost: of the best so far.
        terms: the best's weighted terms.
        q: the best [T,nq].
        stage: what is being done, in a few words.
        picture: renders the best as it looks now, uint8 [H,W,3]; it takes some milliseconds.
    """

    step: int
    fraction: float
    cost: float
    terms: dict[str, float]
    q: Matrix
    stage: str = "descending"
    picture: Callable[[], NDArray[np.uint8]] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class OptimizationResult:
    """What was found.

    Attributes:
        q: best joint positions [T,nq]; T = 1 for a pose.
        cost: theirs.
        start_cost: of the given start.
        terms: the best's weighted terms.
        steps: taken.
        stop_reason: why it stopped.
        time_s: spent.
        start_terms: the given start's weighted terms.
        curve: the best cost so far after each step that lowered it: (step, cost).
    """

    q: Matrix
    cost: float
    start_cost: float
    terms: dict[str, float]
    steps: int
    stop_reason: StopReason
    time_s: float
    start_terms: dict[str, float] = dataclasses.field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()


#: Told of progress; returns False to stop.
Watcher = Callable[[Progress], bool]


def optimize(
    model: RobotModel,
    gaussians: Any,
    objective: WeightedSum,
    start: Matrix,
    limits: MotionLimits,
    views: tuple[Viewpoint, ...] = (),
    config: OptimizerConfig | None = None,
    free: NDArray[np.bool_] | None = None,
    watcher: Watcher | None = None,
    more_starts: Sequence[Matrix] = (),
) -> OptimizationResult:
    """Return the joint positions of least cost that a few starts lead to, by Adam within limits.

    A pose is a motion of one time step. Starts that fall behind are dropped on the way (successive
    halving), so that many cost little more than few. With the same seed and no time budget the
    result is the same, bit by bit.

    Args:
        model: the robot.
        gaussians: its splats.
        objective: to minimise, summed over time steps.
        start: [nq] for a pose, or [T,nq] for a motion, all time steps at once.
        limits: position limits; what is found is inside.
        views: from where objectives look.
        config: settings.
        free: which joints may move [nq]; None: all.
        watcher: told of progress after every step of every start.
        more_starts: further starts of the same size, e.g. what another method found.

    Raises:
        InputError: a start of wrong size or out of the limits, or no joint is free.
    """
    config = config or OptimizerConfig()
    began = time.perf_counter()
    first = np.atleast_2d(np.asarray(start, np.float64))
    if first.ndim != 2 or first.shape[1] != model.nq:
        raise InputError(f"start must be [{model.nq}] or [T, {model.nq}], got {np.shape(start)}")
    for q in first:
        limits.check_position(q, "start")
    moving = np.ones(model.nq, bool) if free is None else np.asarray(free, bool)
    if moving.shape != (model.nq,) or not moving.any():
        raise InputError(f"free must be {model.nq} booleans, one at least true; got {free}")

    def evaluate(q: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        total, terms = objective.evaluate(Candidate(model, gaussians, q, views))
        return total.sum(), {name: float(x.sum()) for name, x in terms.items()}

    def picture() -> NDArray[np.uint8]:
        assert best is not None
        with torch.no_grad():
            seen = Candidate(model, gaussians, torch.from_numpy(best.q[-1:]), views).render(0, 0)
        return (255 * seen.rgb.clamp(0, 1) + 0.5).numpy().astype(np.uint8)

    def told(fraction: float) -> bool:
        """Tell of progress; return whether to go on."""
        assert best is not None
        if watcher is None:
            return True
        shown = picture if views else None
        return watcher(
            dataclasses.replace(best, step=steps, fraction=min(fraction, 1.0), picture=shown)
        )

    given = _starts(first, moving, limits, config)
    given += [np.clip(np.atleast_2d(q), limits.lower, limits.upper) for q in more_starts]
    runs = [_Run(q, moving, limits, config.learning_rate) for q in given]
    start_cost, start_terms = float("nan"), {}
    best: Progress | None = None
    curve: list[tuple[int, float]] = []
    steps, reason = 0, StopReason.ITERATIONS
    quarter = max(1, config.iterations // 4)
    total = sum(_plan(config, len(runs)))
    for k in range(config.iterations):
        if k and k % quarter == 0 and len(runs) > 1:
            runs.sort(key=lambda run: run.best)
            runs = runs[: max(1, round(len(runs) * config.halving))]
        for run in runs:
            cost, terms = run.step(evaluate, k / config.iterations)
            steps += 1
            if np.isnan(start_cost):
                start_cost, start_terms = cost, terms
            if best is None or cost < best.cost:
                best = Progress(steps, 0.0, cost, terms, run.best_q)
                curve.append((steps, cost))
            spent = time.perf_counter() - began
            share = max(steps / total, spent / config.budget_s if config.budget_s else 0.0)
            if not told(share):
                reason = StopReason.CANCELED
            elif config.budget_s and spent > config.budget_s:
                reason = StopReason.BUDGET
            if reason is not StopReason.ITERATIONS:
                break
        if reason is not StopReason.ITERATIONS:
            break
        if all(run.still(config.tolerance) for run in runs):
            reason = StopReason.CONVERGED
            break
    assert best is not None
    return OptimizationResult(
        best.q,
        best.cost,
        start_cost,
        best.terms,
        steps,
        reason,
        time.perf_counter() - began,
        start_terms,
        tuple(curve),
    )


def _plan(config: OptimizerConfig, starts: int) -> list[int]:
    """Return how many runs take each step."""
    quarter = max(1, config.iterations // 4)
    plan, left = [], starts
    for k in range(config.iterations):
        if k and k % quarter == 0:
            left = max(1, round(left * config.halving))
        plan.append(left)
    return plan


def _starts(
    first: Matrix, moving: NDArray[np.bool_], limits: MotionLimits, config: OptimizerConfig
) -> list[Matrix]:
    random = np.random.default_rng(config.seed)
    found = [first]
    for _ in range(config.starts - 1):
        # A motion is moved as a whole: its time steps belong together.
        away = random.uniform(-1, 1, first.shape[1]) * config.start_spread * moving
        found.append(np.clip(first + away, limits.lower, limits.upper))
    return found


class _Run:
    """One start on its way down, by Adam.

    Written out, since torch's class imports a compiler: seconds of a goal's time, the first time.
    """

    _BETAS, _EPS = (0.9, 0.99), 1e-8

    def __init__(
        self, q: Matrix, moving: NDArray[np.bool_], limits: MotionLimits, rate: float
    ) -> None:
        self._q = torch.tensor(q, requires_grad=True)
        self._moving = torch.from_numpy(moving)
        self._low, self._high = torch.from_numpy(limits.lower), torch.from_numpy(limits.upper)
        self._mean, self._square = torch.zeros_like(self._q), torch.zeros_like(self._q)
        self._steps, self._rate = 0, rate
        self._history: list[torch.Tensor] = []
        self.best, self.best_q = float("inf"), q

    def step(self, evaluate: Callable, done: float) -> tuple[float, dict[str, float]]:
        """Take one step; return cost and terms from before it."""
        self._q.grad = None
        cost, terms = evaluate(self._q)
        value = float(cost.detach())
        if value < self.best:
            self.best, self.best_q = value, self._q.detach().numpy().copy()
        cost.backward()
        assert self._q.grad is not None
        self._q.grad[:, ~self._moving] = 0
        # One bad pixel must not throw the whole pose away.
        self._q.grad.nan_to_num_(0.0, 0.0, 0.0)
        self._history = [*self._history[-9:], self._q.detach().clone()]
        self._descend(self._q.grad, self._rate * (1 - 0.95 * done))
        return value, terms

    @torch.no_grad()
    def _descend(self, gradient: torch.Tensor, rate: float) -> None:
        a, b = self._BETAS
        self._steps += 1
        self._mean.lerp_(gradient, 1 - a)
        self._square.lerp_(gradient.square(), 1 - b)
        mean, square = self._mean / (1 - a**self._steps), self._square / (1 - b**self._steps)
        self._q.sub_(rate * mean / (square.sqrt() + self._EPS)).clamp_(self._low, self._high)

    def still(self, tolerance: float) -> bool:
        """Tell whether nothing moved in the last ten steps."""
        if len(self._history) < 10:
            return False
        return float((self._q.detach() - self._history[0]).abs().max()) < tolerance
