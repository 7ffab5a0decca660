"""From a sentence to a pose: search by looking, then descend."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.objectives import Term, WeightedSum
from drrobot_ros.control.objectives.natural import NaturalPose
from drrobot_ros.control.objectives.text import TextSimilarity
from drrobot_ros.control.optimizers import (
    OptimizationResult,
    OptimizerConfig,
    Progress,
    StopReason,
    Watcher,
    optimize,
)
from drrobot_ros.control.search import SearchConfig, search_poses
from drrobot_ros.control.text.captions import pose_names
from drrobot_ros.control.text.encoder import TextImageEncoder
from drrobot_ros.control.text.light import LitRobot
from drrobot_ros.control.text.views import Stage
from drrobot_ros.robot import RobotModel

_SEARCHING = 0.7  # share of the time


@dataclasses.dataclass(frozen=True)
class PosingConfig:
    """How a pose is looked for that a sentence describes."""

    views: int = setting(3, "pictures that are judged, side by side", minimum=1, maximum=20)
    image_px: int = setting(
        0, "edge of the pictures; 0: half as much again as the model sees", unit="px", minimum=0
    )
    pool: int = setting(400, "random poses tried first", minimum=1, maximum=100000)
    rounds: int = setting(6, "times that the best are bred", minimum=0, maximum=1000)
    descents: int = setting(2, "best poses from which to descend", minimum=1, maximum=100)
    iterations: int = setting(40, "steps of each descent", minimum=1, maximum=10000)
    natural: float = setting(0.1, "weight of looking natural", minimum=0.0)
    budget_s: float = setting(0.0, "time; 0: no limit", unit="s", minimum=0.0)
    seed: int = setting(0, "of poses, crops and backgrounds", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


def default_views(
    model: RobotModel, encoder: TextImageEncoder, config: PosingConfig | None = None
) -> tuple[Viewpoint, ...]:
    """Return the viewpoints from which a robot's poses are judged, side by side in front of it."""
    config = config or PosingConfig()
    size = config.image_px or round(1.5 * encoder.image_size)
    return Stage.of(model, pose_names(model)).fan(config.views, size)


def pose_from_text(
    model: RobotModel,
    gaussians: Any,
    encoder: TextImageEncoder,
    prompt: str,
    start: NDArray[np.float64],
    limits: MotionLimits,
    views: tuple[Viewpoint, ...] = (),
    negative: tuple[str, ...] = (),
    config: PosingConfig | None = None,
    free: NDArray[np.bool_] | None = None,
    watcher: Watcher | None = None,
    more: Sequence[Term] = (),
) -> OptimizationResult:
    """Return the joint positions whose pictures are most like a sentence.

    Hundreds of poses are looked at without gradients and the best bred; from the best of those
    Adam descends through the renderer, before changing backgrounds and in changing crops.

    Args:
        model: the robot.
        gaussians: its splats; they are shown in a light of their own (`LitRobot`).
        encoder: text-image model.
        prompt: what the robot is to look like.
        start: [nq] where it is at ease.
        limits: position limits; what is found is inside.
        views: from where it is judged; none: from the front.
        negative: what it is not to look like.
        config: settings; without a budget the result depends on the seed alone.
        free: which joints may move [nq]; None: all.
        watcher: told of progress; returns False to stop.
        more: what else counts, e.g. distances from obstacles and of the robot from itself.

    Raises:
        InputError: an empty or overlong prompt, a start of wrong size or out of the limits.
    """
    config = config or PosingConfig()
    began = time.perf_counter()
    views = views or default_views(model, encoder, config)
    lit = gaussians if isinstance(gaussians, LitRobot) else LitRobot(gaussians)
    natural = Term(NaturalPose(model, start), config.natural)

    def objective(crops: int) -> WeightedSum:
        text = TextSimilarity(encoder, prompt, negative, crops=crops, seed=config.seed)
        return WeightedSum([Term(text), natural, *more])

    stopped = False

    def told(done: float, q: NDArray[np.float64]) -> bool:
        nonlocal stopped
        if watcher is not None:
            step = round(done * config.pool)
            now = Progress(step, _SEARCHING * done, float("nan"), {}, q[None], "searching")
            stopped = not watcher(now)
        return not stopped

    search = SearchConfig(
        pool=config.pool,
        rounds=config.rounds,
        kept=config.descents,
        budget_s=_SEARCHING * config.budget_s,
        seed=config.seed,
    )
    plain = objective(0)
    found = search_poses(model, lit, plain, start, limits, views, search, free, told)

    def further(progress: Progress) -> bool:
        share = _SEARCHING + (1 - _SEARCHING) * progress.fraction
        return watcher is None or watcher(dataclasses.replace(progress, fraction=share))

    spent = time.perf_counter() - began
    descent = OptimizerConfig(
        starts=1,
        iterations=1 if stopped else config.iterations,
        learning_rate=0.03,
        budget_s=config.budget_s and max(config.budget_s - spent, 0.05),
        seed=config.seed,
    )
    made = optimize(
        model,
        lit,
        objective(1),
        found.q[0],
        limits,
        views,
        descent,
        free,
        None if stopped else further,
        more_starts=list(found.q[1:]),
    )
    return _judged(model, lit, plain, views, start, found.q[0], made, stopped, began)


def _judged(
    model: RobotModel,
    lit: LitRobot,
    plain: WeightedSum,
    views: tuple[Viewpoint, ...],
    start: NDArray[np.float64],
    searched: NDArray[np.float64],
    made: OptimizationResult,
    stopped: bool,
    began: float,
) -> OptimizationResult:
    """Return the best of start, search and descent by the pictures without crops."""
    poses = np.stack([start, searched, made.q[0]])
    with torch.no_grad():
        costs, terms = plain.evaluate(Candidate(model, lit, torch.from_numpy(poses), views))
    best = int(costs.argmin())
    return dataclasses.replace(
        made,
        q=poses[best][None],
        cost=float(costs[best]),
        start_cost=float(costs[0]),
        terms={name: float(x[best]) for name, x in terms.items()},
        start_terms={name: float(x[0]) for name, x in terms.items()},
        stop_reason=StopReason.CANCELED if stopped else made.stop_reason,
        time_s=time.perf_counter() - began,
    )
