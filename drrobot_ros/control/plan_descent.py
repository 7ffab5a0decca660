"""All goals of a request minimised together by Adam, from what other methods found of each."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.goal_terms import GoalTerms
from drrobot_ros.control.goals import Goal, TracksGoal, VideoGoal
from drrobot_ros.control.imitation import Imitator
from drrobot_ros.control.objectives import PointTracks, StayNear, Term, WeightedSum
from drrobot_ros.control.optimizers import optimize
from drrobot_ros.control.plan_types import Found, PlanRequest, Watch
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.track_motion import TrackMotion, follow_tracks
from drrobot_ros.control.trajectory import Vector
from drrobot_ros.robot import RobotModel


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """The robot that is planned for: its splats, its gate and its terms."""

    model: RobotModel
    gaussians: Any
    gate: SafetyGate
    terms: GoalTerms

    def imitator(
        self, request: PlanRequest, view: int, start: Vector, free: NDArray[np.bool_]
    ) -> Imitator:
        """Return the robot as one that is to move as a viewpoint of a request saw it."""
        return Imitator(
            self.model,
            self.gaussians,
            request.views[view],
            start,
            self.gate.limits,
            free,
            request.config,
        )


class _Follow(StayNear):
    """Distance from the motion read from a video."""

    name = "video"


def descend(
    at: Planned,
    request: PlanRequest,
    start: Vector,
    free: NDArray[np.bool_],
    watch: Watch,
    motion: Goal | None,
    read: dict[int, Vector],
    found: Found | None,
) -> Found:
    """Minimise all terms of a request together by Adam.

    Args:
        at: the robot.
        request: goals, viewpoints, settings.
        start: joint positions [nq].
        free: which may move [nq].
        watch: told of progress; knows how much time is left.
        motion: the goal that speaks of a motion; None: a pose is looked for.
        read: joint positions already read from pictures, by the goal's index.
        found: what another method found, one more start; None: nothing.
    """
    config, views = request.config, tuple(request.views)
    times = np.zeros(1) if found is None else found.times_s
    if found is None and isinstance(motion, TracksGoal):
        times = motion.tracks.times(config.rate_hz)
    still = np.tile(start, (len(times), 1))
    terms = at.terms.goals(request.goals, views, read, config.seed)
    details = None if found is None else found.details
    if isinstance(motion, TracksGoal):
        if isinstance(details, TrackMotion):
            points, tracks, visible = details.points, details.used, details.visible
        else:
            quick = dataclasses.replace(config, iterations=1, starts=1, budget_s=0.0)
            to = dataclasses.replace(at.imitator(request, motion.view, start, free), config=quick)
            made = follow_tracks(to, motion)
            points, tracks, visible = made.points, made.used, made.visible
        if visible is not None and not visible.any(axis=1).all():
            visible = None  # out of sight for a while: then all count
        bound = motion.correspondence == "bound"
        view = views[motion.view]
        objective = PointTracks(tracks, view, points.links, points.points, bound, visible=visible)
        terms.append(Term(objective, motion.weight))
    elif isinstance(motion, VideoGoal):
        assert found is not None
        terms.append(Term(_Follow(found.q), motion.weight))
    terms += at.terms.regularizers(config, still, times)
    if found is not None and len(request.goals) == 1:
        config = dataclasses.replace(config, starts=1)  # only to be mended
    left = config.budget_s and max(config.budget_s - watch.spent_s, 0.05)
    made = optimize(
        at.model,
        at.gaussians,
        WeightedSum(terms),
        still,
        at.gate.limits,
        views,
        dataclasses.replace(config, budget_s=left),
        free,
        watch.direct,
        () if found is None else (found.q,),
    )
    return Found(
        made.q,
        times,
        made.cost,
        made.start_cost,
        made.terms,
        made.start_terms,
        made.curve,
        made.stop_reason,
        details,
    )
