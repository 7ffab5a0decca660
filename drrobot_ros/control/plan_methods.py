"""Which method reaches which goals."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.goals import PictureGoal, SentenceGoal, TracksGoal, VideoGoal
from drrobot_ros.control.optimizers import StopReason
from drrobot_ros.control.picture_search import PictureSearch
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.plan_descent import Planned, descend
from drrobot_ros.control.plan_types import Found, PlanRequest, Watch
from drrobot_ros.control.text.encoder import TextImageEncoder
from drrobot_ros.control.text.posing import PosingConfig, pose_from_text
from drrobot_ros.control.track_motion import TrackMotion, follow_tracks
from drrobot_ros.control.trajectory import Matrix, Vector
from drrobot_ros.control.video import VideoMotion, joints_from_video

_LOOKS = 20  # waypoints of a motion at which it is looked whether there is room


class Methods:
    """Reaches goals of one robot; what is costly is made once.

    Args:
        at: the robot.
        encoder: text-image model for sentences.
    """

    def __init__(self, at: Planned, encoder: TextImageEncoder | None) -> None:
        self.at, self._encoder = at, encoder
        self._searches: dict[bool, PictureSearch] = {}

    def solve(
        self, request: PlanRequest, start: Vector, free: NDArray[np.bool_], watch: Watch
    ) -> Found:
        """Return what serves a request's goals best, from a start [nq] and with free joints."""
        least_squares = request.config.method != "adam"
        goals = list(request.goals)
        motion = next((g for g in goals if g.is_motion), None)
        found: Found | None = None
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
        return descend(self.at, request, start, free, watch, motion, read, found)

    def _crowded(self, q: Matrix, config: PlanConfig) -> bool:
        """Whether a result comes nearer to itself or to obstacles than the gate lets pass."""
        if config.self_collision == 0 and config.obstacles == 0:
            return False
        some = q[:: max(1, len(q) // _LOOKS)]
        return any(self.at.gate.checker.nearest(at).spare_m < 0 for at in some)

    def _sentence(
        self,
        request: PlanRequest,
        goal: SentenceGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: Watch,
    ) -> Found:
        assert self._encoder is not None
        made = pose_from_text(
            self.at.model,
            self.at.gaussians,
            self._encoder,
            goal.prompt,
            start,
            self.at.gate.limits,
            tuple(request.views),
            goal.negative,
            PosingConfig(budget_s=request.config.budget_s, seed=request.config.seed),
            free,
            watch.direct,
            self.at.terms.distances(request.config),
        )
        return Found(
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
            self._searches[color] = PictureSearch(self.at.model, self.at.gaussians, color)
        return self._searches[color]

    def _picture(
        self,
        request: PlanRequest,
        goal: PictureGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: Watch,
    ) -> Found:
        search = self._search(goal.rgb is not None)
        view = request.views[goal.view]
        pixels = view.camera.width * view.camera.height

        def told(stage: str, fraction: float, score: float, q: Vector) -> bool:
            cost = -score / pixels
            return watch(stage, fraction, cost, {"picture": cost}, q[None])

        made = search.find(goal, view, start, self.at.gate.limits, free, request.config, told)
        cost, before = -made.score / pixels, -made.start_score / pixels
        curve = tuple((step, -score / pixels) for step, score in made.curve)
        return Found(
            made.q[None],
            np.zeros(1),
            cost,
            before,
            {"picture": cost},
            {"picture": before},
            curve,
            made.stop_reason,
            unseen=tuple(int(j) for j in np.flatnonzero(made.unseen)),
        )

    def _tracks(
        self,
        request: PlanRequest,
        goal: TracksGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: Watch,
    ) -> Found:
        def told(stage: str, fraction: float, cost: float, q: Matrix) -> bool:
            return watch(stage, fraction, cost, {"point tracks": cost}, q)

        to = self.at.imitator(request, goal.view, start, free)
        made = follow_tracks(to, goal, told)
        return _motion(made, "point tracks", made.cost, made.start_cost)

    def _video(
        self,
        request: PlanRequest,
        goal: VideoGoal,
        start: Vector,
        free: NDArray[np.bool_],
        watch: Watch,
    ) -> Found:
        def told(stage: str, fraction: float, doubt: float, q: Matrix) -> bool:
            return watch(stage, fraction, doubt, {"video": doubt}, q)

        to = self.at.imitator(request, goal.view, start, free)
        made = joints_from_video(to, goal, told, self._search(True))
        return _motion(made, "video", 1 - made.agreement, 1.0)


def _motion(made: TrackMotion | VideoMotion, term: str, cost: float, before: float) -> Found:
    """Return a motion that has one term."""
    return Found(
        made.q,
        made.times_s,
        cost,
        before,
        {term: cost},
        {term: before},
        made.curve,
        made.stop_reason,
        made,
    )
