"""The best grasp of an object that the arm can reach, tried in physics, with its motion."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.candidates import Candidates, find_candidates
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.lifting import met_when_lifted
from drrobot_ros.grasping.motion import MotionPlanner, Phase
from drrobot_ros.grasping.scene import GraspObject, GraspScene
from drrobot_ros.grasping.trial import GraspTrials, TrialResult
from drrobot_ros.robot.ik import inverse_kinematics

Floats = NDArray[np.float64]

_SURE, _ENOUGH = 0.9, 3  # score in physics, and how many with it are enough
_ALIKE_M, _ALIKE_COS = 0.03, 0.5  # how near two grasps are that fare alike
_RANDOM, _LOOKED_AT, _SEEDS = 1500, 60, 8  # configurations from which the reach is computed
_ABOVE_M = 0.2
_MOST_MOTIONS = 12  # grasps whose motion is planned, at most


class GraspRefusedError(InputError):
    """No grasp is attempted.

    Attributes:
        kind: confidence, candidates, reach, physics or motion.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind


@dataclasses.dataclass(frozen=True, eq=False)
class GraspPlan:
    """A grasp and how to carry it out.

    Attributes:
        target: name of the object.
        T_base_tool: [4, 4] the gripper's tool frame when it closes.
        gap_m: opening on the way in.
        width_m: of what it closes on.
        phases: what to do, in order.
        score: of its geometry, 0 to 1.
        trial: what physics said; None: it was not asked.
        considered: tool poses [n, 4, 4] of the best grasps within reach, for pictures.
        counts: how many candidates were left at each stage.
        seconds: spent at each stage.
    """

    target: str
    T_base_tool: Floats
    gap_m: float
    width_m: float
    phases: tuple[Phase, ...]
    score: float
    trial: TrialResult | None
    considered: Floats
    counts: dict[str, int]
    seconds: dict[str, float]

    @property
    def duration_s(self) -> float:
        """Of all motions together."""
        return sum(p.motion.duration_s for p in self.phases if p.motion is not None)


def plan_grasp(
    gripper: Gripper,
    scene: GraspScene,
    target: str,
    q_now: Floats,
    config: GraspConfig | None = None,
    safety: SafetyConfig | None = None,
    watch: Callable[[str, float], None] | None = None,
) -> GraspPlan:
    """Plan a grasp of one object of a scene.

    Args:
        gripper: of the robot.
        scene: as reconstructed, in the robot's base frame.
        target: name of the object.
        q_now: [nq] where the robot is, at rest.
        config: see `GraspConfig`.
        safety: limits of every motion.
        watch: told the stage and how far it is, 0 to 1; what it raises ends the planning.

    Raises:
        GraspRefusedError: no grasp that would be believed; `kind` says at what it fails.
        InputError: an unknown object, or a wrong size of q.
    """
    config, safety = config or GraspConfig(), safety or SafetyConfig()
    q_now = np.asarray(q_now, np.float64)
    if q_now.shape != (gripper.model.nq,) or not np.isfinite(q_now).all():
        raise InputError(f"q_now must be {gripper.model.nq} finite numbers, got {q_now!r}")
    return _Search(gripper, scene, scene.find(target), q_now, config, safety, watch).run()


def _likeness(grasps: Candidates, row: int) -> Floats:
    """Return how much every grasp is like one of them, 0 to 1."""
    T = grasps.T_base_tool
    far = np.linalg.norm(T[:, :3, 3] - T[row, :3, 3], axis=1) / _ALIKE_M
    turned = np.abs(T[:, :3, 1] @ T[row, :3, 1])  # how parallel the closing axes are
    along = np.clip((T[:, :3, 2] @ T[row, :3, 2] - _ALIKE_COS) / (1 - _ALIKE_COS), 0, 1)
    return np.exp(-(far**2)) * turned**4 * along


class _Search:
    def __init__(
        self,
        gripper: Gripper,
        scene: GraspScene,
        target: GraspObject,
        q_now: Floats,
        config: GraspConfig,
        safety: SafetyConfig,
        watch: Callable[[str, float], None] | None,
    ) -> None:
        self.gripper, self.scene, self.target, self.q_now = gripper, scene, target, q_now
        self.config, self.safety = config, safety
        self._watch = watch or (lambda *_: None)
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def run(self) -> GraspPlan:
        self._believe()
        met = met_when_lifted(self.scene, self.target, self.config.lift_m)
        if met:
            raise GraspRefusedError("motion", f"lifted, {self.target.name!r} would meet {met!r}")
        start = time.process_time()
        self._watch("candidates", 0.0)
        grasps = find_candidates(self.gripper, self.scene, self.target, self.config)
        self.counts |= grasps.rejected | {"different": len(grasps)}
        start = self._took("candidates", start)
        if not len(grasps):
            raise GraspRefusedError("candidates", self._why_none(grasps))
        self._watch("reach", 0.2)
        planner = MotionPlanner(self.gripper, self.scene, self.target, self.config, self.safety)
        grasps, q = self._reachable(grasps.take(np.arange(len(grasps))), planner)
        start = self._took("reach", start)
        self._watch("physics", 0.4)
        order, trials = self._tried(grasps, {}, _ENOUGH)
        start = self._took("physics", start)
        self._watch("motion", 0.8)
        try:
            plan = self._moved(grasps, q, order, trials, planner)
        except GraspRefusedError:
            # No motion to those that would do: to others there may be one.
            if len(trials) == min(len(grasps), self.config.tried):
                raise
            failed = set(order)
            order, trials = self._tried(grasps, trials, self.config.tried)
            order = [row for row in order if row not in failed]
            if not order:
                raise
            plan = self._moved(grasps, q, order, trials, planner)
        self._took("motion", start)
        self._watch("done", 1.0)
        return plan

    def _took(self, stage: str, start: float) -> float:
        now = time.process_time()
        self.seconds[stage] = now - start
        return now

    def _believe(self) -> None:
        least = self.config.min_confidence
        for what, thing in (("the scene", self.scene), (f"{self.target.name!r}", self.target)):
            if thing.confidence < least:
                why = "; ".join(thing.reasons) or "no reason was given"
                raise GraspRefusedError(
                    "confidence",
                    f"{what} is believed to {thing.confidence:.2f}, at least {least:.2f} is "
                    f"needed ({why})",
                )

    def _why_none(self, grasps: Candidates) -> str:
        counts = grasps.rejected
        name, gap = self.target.name, self.gripper.max_gap_m
        if not counts.get("antipodal"):
            return f"no two opposite sides of {name!r} fit between the pads ({gap * 1e3:.0f} mm)"
        if not counts.get("turned"):
            return f"{name!r} could be held only from below"
        return f"the hand has no free way to {name!r}: {counts}"

    def _reachable(self, grasps: Candidates, planner: MotionPlanner) -> tuple[Candidates, Floats]:
        """Return those within reach, and configurations [n, nq] that reach them."""
        gripper, model = self.gripper, self.gripper.model
        found: list[int] = []
        q_found: list[Floats] = []
        nearest, seeds = np.inf, self._seeds(planner)
        for start in range(0, min(len(grasps), 3 * self.config.ranked), self.config.ranked):
            rows = np.arange(start, min(start + self.config.ranked, len(grasps)))
            T = grasps.T_base_tool[rows] @ np.linalg.inv(gripper.T_palm_tool)
            result = inverse_kinematics(
                model, gripper.palm, np.repeat(T[:, None], len(seeds), 1), q_start=seeds,
                starts=1, iterations=40, position_tolerance_m=5e-4, rotation_tolerance_rad=5e-3,
            )  # fmt: skip
            nearest = min(nearest, float(result.position_error_m.min()))
            q = result.q.numpy()
            far = np.where(result.success.numpy(), np.abs(q - self.q_now).max(2), np.inf)
            for k, row in enumerate(rows):
                for i in np.argsort(far[k]):
                    if not np.isfinite(far[k, i]):
                        break
                    q_row = gripper.set(q[k, i], float(grasps.gap_m[row]))
                    way = grasps.T_base_tool[row][None], q_row[None]
                    if planner.is_free(q_row) and planner.has_way(*way)[0]:
                        found.append(int(row))
                        q_found.append(q_row)
                        break
                if len(found) >= 3 * self.config.tried:
                    break
            if len(found) >= self.config.tried:
                break
        self.counts["reachable"] = len(found)
        if not found:
            if nearest > 0.01:
                at = np.round(self.target.T_base_object[:3, 3], 3).tolist()
                raise GraspRefusedError(
                    "reach",
                    f"{self.target.name!r} at {at} m is out of reach: the hand stays "
                    f"{nearest * 1e3:.0f} mm away from every grasp",
                )
            raise GraspRefusedError(
                "reach", f"the arm touches something at every grasp of {self.target.name!r}"
            )
        return grasps.take(np.array(found)), np.array(q_found)

    def _seeds(self, planner: MotionPlanner) -> Floats:
        """Return configurations [n, nq] to start from: here, and free ones near the object.

        An arm reaches a pose in several ways, of which some lead through the table.
        """
        model, gripper = self.gripper.model, self.gripper
        q = model.random_configuration(_RANDOM, self.config.seed + 1)
        at = model.link_pose(q, model.link_index(gripper.palm)).numpy()[:, :3, 3]
        above = self.target.base_vertices.mean(0) + _ABOVE_M * self.scene.normal
        kept = [gripper.set(self.q_now, gripper.max_gap_m)]
        for k in np.argsort(np.linalg.norm(at - above, axis=1))[:_LOOKED_AT]:
            seed = gripper.set(q[k].numpy(), gripper.max_gap_m)
            if planner.is_free(seed):
                kept.append(seed)
            if len(kept) == _SEEDS:
                break
        return np.array(kept)

    def _tried(
        self, grasps: Candidates, known: dict[int, TrialResult], enough: int
    ) -> tuple[list[int], dict[int, TrialResult]]:
        """Return rows, best first, and what physics said of them.

        Args:
            grasps: within reach.
            known: what physics said before.
            enough: so many that hold surely are enough.
        """
        if not self.config.physics:
            return list(range(len(grasps))), {}
        trials = GraspTrials(self.gripper, self.scene, self.target, self.config)
        results = dict(known)
        hope = np.array(grasps.score)
        for row, result in results.items():
            hope *= 1 - (1 - result.score) * _likeness(grasps, row)
        for k in range(len(results), min(len(grasps), self.config.tried)):
            self._watch("physics", 0.4 + 0.4 * k / self.config.tried)
            hope[list(results)] = -1
            row = int(hope.argmax())
            results[row] = trials.run(grasps, row)
            if sum(result.score > _SURE for result in results.values()) >= enough:
                break
            # What is much like one that failed will hardly do better.
            hope *= 1 - (1 - results[row].score) * _likeness(grasps, row)
        self.counts["tried"] = len(results)
        good = [r for r, t in results.items() if np.mean(t.held) >= self.config.hold_margin]
        self.counts["held"] = len(good)
        if not good:
            why = ", ".join(sorted({t.why for t in results.values()}))
            raise GraspRefusedError(
                "physics", f"none of {len(results)} grasps of {self.target.name!r} held ({why})"
            )
        worth = {r: results[r].score * (0.3 + 0.7 * float(grasps.score[r])) for r in good}
        return sorted(good, key=lambda r: -worth[r]), results

    def _moved(
        self,
        grasps: Candidates,
        q: Floats,
        order: list[int],
        trials: dict[int, TrialResult],
        planner: MotionPlanner,
    ) -> GraspPlan:
        reasons = []
        for row in order[:_MOST_MOTIONS]:
            T, gap = grasps.T_base_tool[row], float(grasps.gap_m[row])
            width = float(grasps.width_m[row])
            try:
                phases = planner.plan(T, gap, width, q[row], self.q_now)
            except InputError as error:
                reasons.append(str(error))
                continue
            score, trial = float(grasps.score[row]), trials.get(row)
            return GraspPlan(self.target.name, T, gap, width, phases, score, trial,
                             grasps.T_base_tool[:20], self.counts, self.seconds)  # fmt: skip
        raise GraspRefusedError("motion", f"no safe motion to {self.target.name!r}: {reasons[0]}")
