"""What is asked of a planner, what it answers, and how it tells of its progress."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goals import Goal
from drrobot_ros.control.optimizers import Progress, StopReason, Watcher
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.plan_pictures import picture_of
from drrobot_ros.control.track_motion import TrackMotion
from drrobot_ros.control.trajectory import Matrix, Vector
from drrobot_ros.control.video import VideoMotion


@dataclasses.dataclass(frozen=True, eq=False)
class PlanRequest:
    """What is wanted, from where.

    Attributes:
        goals: any number of poses' goals, and at most one of a motion.
        start: joint positions now [nq].
        views: cameras; goals that look name them by index.
        free_joints: names of those that may move; none: all.
        config: settings.
    """

    goals: Sequence[Goal]
    start: Vector
    views: Sequence[Viewpoint] = ()
    free_joints: Sequence[str] = ()
    config: PlanConfig = dataclasses.field(default_factory=PlanConfig)


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Joint waypoints, and how they came about.

    Attributes:
        joint_names: [nq].
        start: joint positions of the request [nq].
        q: waypoints [T,nq]; T = 1: a pose.
        times_s: [T] when, from 0; of a pose 0.
        cost: what was minimised.
        start_cost: of staying at the start.
        terms: the cost's parts by name.
        start_terms: those of the start.
        curve: the best cost so far: (step, cost).
        stop_reason: why it stopped.
        time_s: spent.
        pictures: uint8 [H,W,3] by name: start, goal, result, overlay, losses, as far as there are.
        details: of the motion found from tracks or a video; None else.
        unseen_joints: free joints that a goal picture does not show, by name: a round flange looks
            the same however it turns. Where they are is not known from the picture.
    """

    joint_names: tuple[str, ...]
    start: Vector
    q: Matrix
    times_s: Vector
    cost: float
    start_cost: float
    terms: dict[str, float]
    start_terms: dict[str, float]
    curve: tuple[tuple[int, float], ...]
    stop_reason: StopReason
    time_s: float
    pictures: dict[str, NDArray[np.uint8]]
    details: TrackMotion | VideoMotion | None = None
    unseen_joints: tuple[str, ...] = ()


@dataclasses.dataclass
class Found:
    """What a method found, before it becomes a plan."""

    q: Matrix
    times_s: Vector
    cost: float
    start_cost: float
    terms: dict[str, float]
    start_terms: dict[str, float]
    curve: tuple[tuple[int, float], ...]
    stop_reason: StopReason
    details: TrackMotion | VideoMotion | None = None
    unseen: tuple[int, ...] = ()


class Watch:
    """Tells a watcher of what any method does."""

    def __init__(
        self, planner: Any, request: PlanRequest, watcher: Watcher | None, began: float
    ) -> None:
        self._planner, self._request, self._watcher = planner, request, watcher
        self._began, self._step = began, 0

    @property
    def spent_s(self) -> float:
        """Time since the request, s."""
        return time.perf_counter() - self._began

    def __call__(
        self, stage: str, fraction: float, cost: float, terms: dict[str, float], q: Matrix
    ) -> bool:
        """Tell of a step; return whether to go on."""
        self._step += 1
        if self._watcher is None:
            return True
        q = q.copy()

        def picture() -> NDArray[np.uint8]:
            return picture_of(self._planner, self._request, q[-1])

        shown = picture if self._request.views else None
        return self._watcher(Progress(self._step, fraction, cost, terms, q, stage, shown))

    @property
    def direct(self) -> Watcher | None:
        """The watcher itself, for what tells it in its own words."""
        return self._watcher
