"""Goals and regularisers as terms that are minimised together."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.goals import Goal, JointGoal, LinkPoseGoal, PictureGoal, SentenceGoal
from drrobot_ros.control.objectives import (
    EndEffectorPose,
    ImageGoal,
    JointLimits,
    Manipulability,
    Objective,
    ObstacleDistance,
    SelfDistance,
    Smoothness,
    StayNear,
    Term,
)
from drrobot_ros.control.objectives.spheres import LinkSpheres
from drrobot_ros.control.objectives.text import TextSimilarity
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.text.encoder import TextImageEncoder
from drrobot_ros.control.trajectory import Matrix, Vector
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel


class AtEnd:
    """An objective of a motion's last time step; of a pose, the objective itself.

    Args:
        objective: of a pose.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    @property
    def name(self) -> str:
        """The objective's own."""
        return self._objective.name

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the costs [B], 0 but for the last."""
        if len(candidate.q) == 1:
            return self._objective(candidate)
        last = Candidate(candidate.model, candidate.gaussians, candidate.q[-1:], candidate.views)
        return torch.nn.functional.pad(self._objective(last), (len(candidate.q) - 1, 0))


@dataclasses.dataclass
class Named:
    """An objective under another name: several goals of one kind are told apart."""

    objective: Objective
    name: str

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return the costs [B]."""
        return self.objective(candidate)


class GoalTerms:
    """Makes terms for one robot; what is costly is made once.

    Args:
        model: the robot.
        gaussians: its splats.
        gate: knows limits, obstacles and which links are compared.
        encoder: text-image model for sentences; None: sentences are refused.
    """

    def __init__(
        self,
        model: RobotModel,
        gaussians: Any,
        gate: SafetyGate,
        encoder: TextImageEncoder | None = None,
    ) -> None:
        self._model, self._gaussians, self._gate = model, gaussians, gate
        self._encoder = encoder
        self._collision: tuple[SelfDistance, ObstacleDistance] | None = None

    def goals(
        self, goals: Sequence[Goal], views: Sequence[Viewpoint], read: dict[int, Vector], seed: int
    ) -> list[Term]:
        """Return the terms of goals that speak of poses.

        Args:
            goals: all of the request; those of motions are left out.
            views: of the request.
            read: joint positions already read from pictures, by the goal's index: likeness to the
                robot rendered there is then asked for, whatever the picture's light and background.
            seed: of crops of sentences' views.
        """
        terms = []
        for i, goal in enumerate(goals):
            objective = self._objective(goal, views, read.get(i), seed)
            if objective is not None:
                terms.append(Term(AtEnd(objective), goal.weight))
        return _told_apart(terms)

    def _objective(
        self, goal: Goal, views: Sequence[Viewpoint], read: Vector | None, seed: int
    ) -> Objective | None:
        if isinstance(goal, SentenceGoal):
            if self._encoder is None:
                raise InputError("a sentence needs a text-image model, and none was given")
            if not views:
                raise InputError("a sentence needs a viewpoint to look from")
            return TextSimilarity(self._encoder, goal.prompt, goal.negative, seed=seed)
        if isinstance(goal, PictureGoal):
            if read is None:
                return ImageGoal(goal.rgb, goal.mask, goal.view)
            q = torch.from_numpy(np.asarray(read, np.float64))[None]
            with torch.no_grad():
                at = Candidate(self._model, self._gaussians, q, tuple(views))
                seen = at.render(0, goal.view)
            rgb = seen.rgb.clamp(0, 1).numpy() if goal.rgb is not None else None
            return ImageGoal(rgb, seen.alpha.clamp(0, 1).numpy(), goal.view)
        if isinstance(goal, LinkPoseGoal):
            return EndEffectorPose(
                self._model,
                goal.link,
                goal.T_base_link,
                goal.position_sigma_m,
                goal.rotation_sigma_rad,
            )
        if isinstance(goal, JointGoal):
            self._gate.limits.check_position(np.asarray(goal.q), "the joint goal")
            return Named(StayNear(goal.q), "joints")
        return None

    def regularizers(self, config: PlanConfig, start: Matrix, times_s: Vector) -> list[Term]:
        """Return the terms that are always there, of motions [T,nq] that begin like `start`."""
        limits, model = self._gate.limits, self._model
        terms: list[Term] = [
            Term(JointLimits(limits.lower, limits.upper), config.joint_limits),
            Term(StayNear(start), config.stay_near),
        ]
        if len(times_s) > 2:
            step = float(np.diff(times_s).mean())
            terms.append(Term(Smoothness(step), config.smoothness))
        terms += self.distances(config)
        if config.manipulability > 0:
            tip = config.tip_link or model.link_names[-1]
            terms.append(Term(Manipulability(model, tip), config.manipulability))
        return [term for term in terms if term.weight > 0]

    def distances(self, config: PlanConfig) -> list[Term]:
        """Return the terms that keep the robot off itself and off what stands around."""
        if config.self_collision == 0 and config.obstacles == 0:
            return []
        checker = self._gate.checker
        if self._collision is None:
            spheres = LinkSpheres.of(self._model)
            self._collision = (
                SelfDistance(self._model, checker, spheres=spheres),
                ObstacleDistance(self._model, checker, spheres=spheres),
            )
        terms = [Term(self._collision[0], config.self_collision)]
        if checker.obstacles:
            terms.append(Term(self._collision[1], config.obstacles))
        return [term for term in terms if term.weight > 0]


def _told_apart(terms: list[Term]) -> list[Term]:
    names = [term.objective.name for term in terms]
    result = []
    for i, term in enumerate(terms):
        count = names[:i].count(names[i])
        named = Named(term.objective, f"{names[i]} {count + 1}") if count else term.objective
        result.append(Term(named, term.weight))
    return result
