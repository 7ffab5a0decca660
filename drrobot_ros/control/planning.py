"""One function from wishes to joint waypoints, and one from waypoints to a motion that is safe.

Goals are combined by their weights. A picture, tracks or a video alone are least squares and are
reached by Gauss-Newton; anything else by Adam, from what Gauss-Newton found of its parts and from
other starts.
"""

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goal_terms import GoalTerms
from drrobot_ros.control.goals import PictureGoal, SentenceGoal, TracksGoal, VideoGoal
from drrobot_ros.control.optimizers import Watcher
from drrobot_ros.control.plan_descent import Planned
from drrobot_ros.control.plan_methods import Methods
from drrobot_ros.control.plan_pictures import plan_pictures
from drrobot_ros.control.plan_types import Plan, PlanRequest, Watch
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.text.encoder import TextImageEncoder
from drrobot_ros.control.text.posing import default_views
from drrobot_ros.control.timing import follow_path, move_to
from drrobot_ros.control.trajectory import Trajectory, Vector, joined
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.robot import RobotModel

__all__ = ["Plan", "PlanRequest", "Planner"]

_HERE = 0.01  # rad or m: a motion that begins no farther away begins here


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
        terms = GoalTerms(model, gaussians, self.gate, encoder)
        self._methods = Methods(Planned(model, gaussians, self.gate, terms), encoder)

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
        found = self._methods.solve(request, start, free, Watch(self, request, watcher, began))
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
            tuple(self.model.joint_names[j] for j in found.unseen),
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

    def _views_for_sentences(self) -> tuple[Viewpoint, ...]:
        assert self._encoder is not None
        try:
            return default_views(self.model, self._encoder)
        except InputError as error:  # neither a hand nor an arm: nobody knows its front
            raise InputError(f"a sentence needs a viewpoint to look from ({error})") from error
