"""One function from wishes to joint waypoints, and one from waypoints to a motion that is safe.

Goals are combined by their weights. A picture, tracks or a video alone are least squares and are
reached by Gauss-Newton; anything else by Adam, from what Gauss-Newton found of its parts and from
other starts.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goal_terms import GoalTerms
from drrobot_ros.control.goals import Goal, PictureGoal, SentenceGoal, TracksGoal, VideoGoal
from drrobot_ros.control.objectives import PointTracks, StayNear, Term, WeightedSum
from drrobot_ros.control.optimizers import Progress, StopReason, Watcher, optimize
from drrobot_ros.control.picture_search import PictureSearch
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.plan_pictures import picture_of, plan_pictures
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.text.encoder import TextImageEncoder
from drrobot_ros.control.text.posing import PosingConfig, default_views, pose_from_text
from drrobot_ros.control.timing import follow_path, move_to
from drrobot_ros.control.track_motion import TrackMotion, follow_tracks
from drrobot_ros.control.trajectory import Matrix, Trajectory, Vector, joined
from drrobot_ros.control.video import VideoMotion, joints_from_video
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.robot import RobotModel

_HERE = 0.01  # rad or m: a motion that begins no farther away begins here
_LOOKS = 20  # waypoints of a motion at which it is looked whether there is room


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


@dataclasses.dataclass
class _Found:
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


class Planner:
    """Turns requests into plans for one robot; make it once.

    Args:
        model: the robot.
        gaussians: its splats.
        gate: limits, obstacles and collisions; None: the default settings, nothing around.
        encoder: text-image model for sentences; None: sentences are refused.
    """

    def __init__(
        self,
        model: RobotModel,
        gaussians: Any,
        gate: SafetyGate | None = None,
        encoder: TextImageEncoder | None = None,
    ) -> None:
        self.model, self.gaussians = model, gaussians
        self.gate = gate or SafetyGate(model)
        self._encoder = encoder
        self._terms = GoalTerms(model, gaussians, self.gate, encoder)
        self._searches: dict[bool, PictureSearch] = {}

    def plan(self, request: PlanRequest, watcher: Watcher | None = None) -> Plan:
        """Return joint waypoints that serve the goals best.

        Blocks for as long as the request's budget says. With the same seed and no budget the result
        is the same, bit by bit.

        Args:
            request: what is wanted.
            watcher: told of progress at every step; returns False to stop, and what was found so
                far is returned.

        Raises:
            InputError: anything about the request that cannot be, e.g. unknown joints, a start out
                of the limits, pictures of another size than their viewpoint.
        """
        began = time.perf_counter()
        start, free = self._checked(request)
        if not request.views and any(isinstance(g, SentenceGoal) for g in request.goals):
            request = dataclasses.replace(request, views=self._views_for_sentences())
        found = self._solve(request, start, free, _Watch(self, request, watcher, began))
        pictures = plan_pictures(self, request, start, found.q, found.curve, found.details)
        return Plan(
            self.model.joint_names,
            start,
            found.q,
            found.times_s,
            found.cost,
            found.start_cost,
            found.terms,
            found.start_terms,
            found.curve,
            found.stop_reason,
            time.perf_counter() - began,
            pictures,
            found.details,
        )

    def trajectory(self, plan: Plan, q_now: Vector | None = None) -> Trajectory:
        """Return the motion through a plan's waypoints: timed within the limits, and checked.

        A pose is gone to in a straight line of joint space; a motion keeps its own times where the
        limits let it, and is slowed down as a whole else. It begins where the arm is.

        Args:
            plan: of this planner.
            q_now: where the arm is [nq]; None: at the plan's start.

        Raises:
            UnsafeMotionError: the gate refuses it; with the offending moment and the reason.
        """
        limits, rate = self.gate.limits, self.gate.config.rate_hz
        q_now = plan.start if q_now is None else np.asarray(q_now, np.float64)
        if np.abs(plan.q[0] - q_now).max() > _HERE or len(plan.q) == 1:
            motion = move_to(limits, q_now, plan.q[0], rate)
        else:
            motion = None
        if len(plan.q) > 1:
            points = plan.q.copy()
            if motion is None:
                points[0] = q_now
            path = follow_path(limits, points, plan.times_s, rate)
            motion = path if motion is None else joined(motion, path)
        assert motion is not None
        self.gate.check(motion, q_now)
        return motion

    # -- what a request may be ----------------------------------------------------------------

    def _checked(self, request: PlanRequest) -> tuple[Vector, NDArray[np.bool_]]:
        names, model = self.model.joint_names, self.model
        if not request.goals:
            raise InputError("there is no goal")
        motions = [goal for goal in request.goals if goal.is_motion]
        if len(motions) > 1:
            raise InputError(f"at most one goal may be a motion, got {len(motions)}")
        for name in request.free_joints:
            if name not in names:
                raise unknown_name("joint", name, names)
        free = np.array([not request.free_joints or n in request.free_joints for n in names])
        start = np.asarray(request.start, np.float64)
        if start.shape != (model.nq,) or not np.isfinite(start).all():
            raise InputError(f"start must be {model.nq} finite numbers: {', '.join(names)}")
        # A held joint need not be within the limits; the gate judges it in the end.
        limits = self.gate.limits
        self.gate.limits.check_position(
            np.where(free, start, np.clip(start, limits.lower, limits.upper)), "start"
        )
        for goal in request.goals:
            if isinstance(goal, PictureGoal | TracksGoal | VideoGoal) and not (
                0 <= goal.view < len(request.views)
            ):
                raise InputError(f"no viewpoint {goal.view}; there are {len(request.views)}")
        if self._encoder is None and any(isinstance(g, SentenceGoal) for g in request.goals):
            raise InputError("a sentence needs a text-image model, and none was given")
        solved = isinstance(request.goals[0], PictureGoal | TracksGoal | VideoGoal)
        if request.config.method == "gauss_newton" and not (solved and len(request.goals) == 1):
            raise InputError("method gauss_newton reaches a picture, tracks or a video alone")
        return start, free

    # -- methods --------------------------------------------------------------------------------

    def _solve(
        self, request: PlanRequest, start: Vector, free: NDArray[np.bool_], watch: "_Watch"
    ) -> _Found:
        least_squares = request.config.method != "adam"
        goals = list(request.goals)
        motion = next((g for g in goals if g.is_motion), None)
        found: _Found | None = None
        if least_squares and len(goals) == 1 and isinstance(goals[0], SentenceGoal):
            found = self._sentence(request, goals[0], start, free, watch)
        read: dict[int, Vector] = {}
        if isinstance(motion, VideoGoal):
            found = self._video(request, motion, start, free, watch)
        elif isinstance(motion, TracksGoal) and least_squares:
            found = self._tracks(request, motion, start, free, watch)
        elif motion is None and least_squares:
            for i, goal in enumerate(goals):
                if isinstance(goal, PictureGoal):
                    found = self._picture(request, goal, start, free, watch)
                    read[i] = found.q[0]
        if found is not None and found.stop_reason in (StopReason.CANCELED, StopReason.BUDGET):
            return found
        if found is not None and len(goals) == 1 and not self._crowded(found.q, request.config):
            return found
        return self._descend(request, start, free, watch, motion, read, found)

    def _crowded(self, q: Matrix, config: PlanConfig) -> bool:
        """Whether a result comes nearer to itself or to obstacles than the gate lets pass."""
        if config.self_collision == 0 and config.obstacles == 0:
            return False
        some = q[:: max(1, len(q) // _LOOKS)]
        return any(self.gate.checker.nearest(at).spare_m < 0 for at in some)

    def _views_for_sentences(self) -> tuple[Viewpoint, ...]:
        assert self._encoder is not None
        try:
            return default_views(self.model, self._encoder)
        except InputError as error:  # neither a hand nor an arm: nobody knows its front
            raise InputError(f"a sentence needs a viewpoint to look from ({error})") from error

    def _sentence(
        self,
        request: PlanRequest,
        goal: SentenceGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: "_Watch",
    ) -> _Found:
        assert self._encoder is not None
        made = pose_from_text(
            self.model,
            self.gaussians,
            self._encoder,
            goal.prompt,
            start,
            self.gate.limits,
            tuple(request.views),
            goal.negative,
            PosingConfig(budget_s=request.config.budget_s, seed=request.config.seed),
            free,
            watch.direct,
        )
        return _Found(
            made.q,
            np.zeros(1),
            made.cost,
            made.start_cost,
            made.terms,
            made.start_terms,
            made.curve,
            made.stop_reason,
        )

    def _search(self, color: bool) -> PictureSearch:
        if color not in self._searches:
            self._searches[color] = PictureSearch(self.model, self.gaussians, color)
        return self._searches[color]

    def _picture(
        self,
        request: PlanRequest,
        goal: PictureGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: "_Watch",
    ) -> _Found:
        search = self._search(goal.rgb is not None)
        view = request.views[goal.view]
        pixels = view.camera.width * view.camera.height

        def told(stage: str, fraction: float, score: float, q: Vector) -> bool:
            cost = -score / pixels
            return watch(stage, fraction, cost, {"picture": cost}, q[None])

        made = search.find(goal, view, start, self.gate.limits, free, request.config, told)
        cost, before = -made.score / pixels, -made.start_score / pixels
        curve = tuple((step, -score / pixels) for step, score in made.curve)
        return _Found(
            made.q[None],
            np.zeros(1),
            cost,
            before,
            {"picture": cost},
            {"picture": before},
            curve,
            made.stop_reason,
        )

    def _tracks(
        self,
        request: PlanRequest,
        goal: TracksGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: "_Watch",
    ) -> _Found:
        def told(stage: str, fraction: float, cost: float, q: Matrix) -> bool:
            return watch(stage, fraction, cost, {"point tracks": cost}, q)

        made = follow_tracks(
            self.model,
            self.gaussians,
            goal,
            request.views[goal.view],
            start,
            self.gate.limits,
            free,
            request.config,
            told,
        )
        return _Found(
            made.q,
            made.times_s,
            made.cost,
            made.start_cost,
            {"point tracks": made.cost},
            {"point tracks": made.start_cost},
            made.curve,
            made.stop_reason,
            made,
        )

    def _video(
        self,
        request: PlanRequest,
        goal: VideoGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: "_Watch",
    ) -> _Found:
        def told(stage: str, fraction: float, doubt: float, q: Matrix) -> bool:
            return watch(stage, fraction, doubt, {"video": doubt}, q)

        made = joints_from_video(
            self.model,
            self.gaussians,
            goal,
            request.views[goal.view],
            start,
            self.gate.limits,
            free,
            request.config,
            told,
            self._search(True),
        )
        cost = 1 - made.agreement
        return _Found(
            made.q,
            made.times_s,
            cost,
            1.0,
            {"video": cost},
            {"video": 1.0},
            made.curve,
            made.stop_reason,
            made,
        )

    def _descend(
        self,
        request: PlanRequest,
        start: Vector,
        free: NDArray[np.bool_],
        watch: "_Watch",
        motion: Goal | None,
        read: dict[int, Vector],
        found: _Found | None,
    ) -> _Found:
        """Minimise all terms together by Adam."""
        config, views = request.config, tuple(request.views)
        times = np.zeros(1) if found is None else found.times_s
        if found is None and isinstance(motion, TracksGoal):
            times = motion.tracks.times(config.rate_hz)
        still = np.tile(start, (len(times), 1))
        terms = self._terms.goals(request.goals, views, read, config.seed)
        details = None if found is None else found.details
        if isinstance(motion, TracksGoal):
            if isinstance(details, TrackMotion):
                points, tracks, visible = details.points, details.used, details.visible
            else:
                quick = dataclasses.replace(config, iterations=1, budget_s=0.0)
                made = follow_tracks(
                    self.model,
                    self.gaussians,
                    motion,
                    views[motion.view],
                    start,
                    self.gate.limits,
                    free,
                    quick,
                )
                points, tracks, visible = made.points, made.used, made.visible
            if visible is not None and not visible.any(axis=1).all():
                visible = None  # out of sight for a while: then all count
            bound = motion.correspondence == "bound"
            view = views[motion.view]
            objective = PointTracks(
                tracks, view, points.links, points.points, bound, visible=visible
            )
            terms.append(Term(objective, motion.weight))
        elif isinstance(motion, VideoGoal):
            assert found is not None
            terms.append(Term(_Follow(found.q), motion.weight))
        terms += self._terms.regularizers(config, still, times)
        if found is not None and len(request.goals) == 1:
            config = dataclasses.replace(config, starts=1)  # only to be mended
        left = config.budget_s and max(config.budget_s - watch.spent_s, 0.05)
        made = optimize(
            self.model,
            self.gaussians,
            WeightedSum(terms),
            still,
            self.gate.limits,
            views,
            dataclasses.replace(config, budget_s=left),
            free,
            watch.direct,
            () if found is None else (found.q,),
        )
        return _Found(
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


class _Follow(StayNear):
    """Distance from the motion read from a video."""

    name = "video"


class _Watch:
    """Tells a watcher of what any method does."""

    def __init__(
        self, planner: Planner, request: PlanRequest, watcher: Watcher | None, began: float
    ) -> None:
        self._planner, self._request, self._watcher = planner, request, watcher
        self._began, self._step = began, 0

    @property
    def spent_s(self) -> float:
        return time.perf_counter() - self._began

    def __call__(
        self, stage: str, fraction: float, cost: float, terms: dict[str, float], q: Matrix
    ) -> bool:
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
