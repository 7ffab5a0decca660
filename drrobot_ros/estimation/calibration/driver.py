"""Camera poses, joint offsets and lags from many keyframes at once."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from drrobot_ros.estimation.calibration.cold import CameraStart, StartImage
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.evidence import Evidence, ImageEvidence
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.calibration.halves import disagreement, halves_of
from drrobot_ros.estimation.calibration.images import Pictures, silhouette_error
from drrobot_ros.estimation.calibration.loose import LooseRobot
from drrobot_ros.estimation.calibration.report import Found, make_result
from drrobot_ros.estimation.calibration.result import (
    CalibrationCamera,
    CalibrationCancelledError,
    CalibrationResult,
    Progress,
)
from drrobot_ros.estimation.calibration.stages import (
    COARSE_WIDTH,
    MIDDLE_WIDTH,
    Stage,
    stages_of,
    start_stages,
)
from drrobot_ros.estimation.calibration.unknowns import Unknowns
from drrobot_ros.estimation.calibration.weights import view_weights
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import Solution, State, StopReason, View
from drrobot_ros.estimation.solver import SolverConfig, offset_bounds, solve

# A round that moves nothing farther ends its stage.
SETTLED = 5e-5
HALF_ROUNDS = 2
# Little damping: a camera's turn and the first joint's offset are told apart by little, and a
# damped step along such a direction is so short that it looks like the end.
SOLVER = SolverConfig(damping=1e-5, floor=1e-3, tolerance_rad=1e-5)

ProgressCallback = Callable[[Progress], bool | None]


def calibrate(
    model: Any,
    gaussians: Any,
    observations: Sequence[Observation | Sequence[Observation]],
    cameras: Mapping[str, CalibrationCamera] | CalibrationCamera,
    config: CalibrationConfig | None = None,
    *,
    joints: Sequence[str] | None = None,
    progress: ProgressCallback | None = None,
    evidence: Evidence | None = None,
) -> CalibrationResult:
    """Find camera poses, joint offsets and lags that explain images of a robot in many poses.

    Where an observation has a mask it is believed; else the robot is told from its surroundings.

    Args:
        model: the robot.
        gaussians: its splats.
        observations: one entry per keyframe: an image, or one of each of several cameras.
        cameras: what is known of each camera, by the name its observations carry.
        config: settings.
        joints: names of the joints whose offset is looked for; None: all.
        progress: told after every round; returning False cancels.
        evidence: what images say of where the robot is; None: colour regions and background.

    Raises:
        InputError: keyframes that cannot be used: too few, a robot that never moves, is behind a
            camera or in no image, readings that are missing, not finite or span more than a
            joint's limits, an unknown camera, link or joint, or offsets of joints that are not
            one number each.
        CalibrationCancelledError: the callback asked to stop.
    """
    named = {"camera": cameras} if isinstance(cameras, CalibrationCamera) else dict(cameras)
    run = _Calibration(
        model, gaussians, observations, named, config or CalibrationConfig(), joints, evidence
    )
    return run.run(progress)


class _Calibration:
    """The keyframes, and the estimate so far."""

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        observations: Sequence[Observation | Sequence[Observation]],
        cameras: Mapping[str, CalibrationCamera],
        config: CalibrationConfig,
        joints: Sequence[str] | None,
        evidence: Evidence | None,
    ) -> None:
        self.started = time.perf_counter()
        self.model, self.config = model, config
        robot = LooseRobot.of(model, gaussians, config.link_sigma_m)
        self.frames = Frames(model, observations, cameras, config)
        self.frames.extend(robot.slides)
        self.unknowns = Unknowns(model, robot, self.frames, config, joints)
        still = {n for n, k in zip(self.frames.names, self.frames.links, strict=True) if k < 0}
        self.evidence = evidence or ImageEvidence(config, frozenset(still))
        self.pictures = Pictures(model, robot, self.frames, config, self.evidence)
        n = len(self.frames.frames)
        self.weights, self.reasons = np.ones(n), [""] * n
        self.residuals = self.residuals_before = np.full(n, np.nan)
        self.agreements = np.full(n, np.nan)
        self.iterations = 0
        self.state = State.start(self.unknowns.problem())

    def run(self, progress: ProgressCallback | None) -> CalibrationResult:
        """Return the result of all stages."""
        config = self.config
        widths = [f.observation.camera.width for f in self.frames.frames]
        fine = min(config.fine_width, max(widths))
        depth = config.use_depth and any(
            f.observation.depth_m is not None for f in self.frames.frames
        )
        stages = stages_of(config, fine, depth)
        steps = sum(s.rounds for s in stages) + 1
        coarse = self.frames.levels(min(COARSE_WIDTH, fine), config)
        self.pictures.check_visible(coarse, self.state)
        if config.estimate_camera:
            self._tell(progress, "start", 0, steps, "searching the start of the cameras")
            self._cold_start(fine)
        step, solution, targets, levels = 1, None, [], []
        for stage in stages:
            levels = self.frames.levels(stage.width, config)
            for k in range(stage.rounds):
                self._tell(progress, stage.name, step + k, steps, f"round {k + 1}")
                targets, rendered = self.pictures.targets(stage, levels, self.state)
                self._judge(stage, targets, rendered)
                solution, moved = self._round(stage, levels, targets)
                if solution.stop_reason is StopReason.NOTHING_VISIBLE:
                    break
                if moved < SETTLED:
                    # Whatever ended the round: looking again changed nothing.
                    solution = dataclasses.replace(solution, stop_reason=StopReason.CONVERGED)
                    break
            step += stage.rounds
        assert solution is not None
        self._tell(progress, "checking", steps - 1, steps, "halves of the images")
        unlike = disagreement(self._solve_halves(stages[-1]))
        last = dataclasses.replace(stages[-1], blur_px=0)
        targets, rendered = self.pictures.targets(last, levels, self.state)
        self._judge(last, targets, rendered)
        start = State.start(self.unknowns.problem())
        self.residuals = self.pictures.errors(targets, levels, self.state)
        self.residuals_before = self.pictures.errors(targets, levels, start)
        found = Found(
            self.model,
            self.frames,
            config,
            self.unknowns.joints[: self.model.nv],
            solution,
            unlike,
            offset_bounds(self.unknowns.problem(), self.unknowns.coordinates),
            self.residuals,
            self.residuals_before,
            self.agreements,
            self.weights,
            self.reasons,
            self.iterations,
            self.started,
        )
        self._tell(progress, "done", steps, steps, "")
        return make_result(found)

    def _cold_start(self, fine: int) -> None:
        """Move the cameras that are looked for to the best poses found around their starts."""
        widths = sorted({s.width for s in start_stages(frozenset(), 1, fine)})
        levels = {w: self.frames.levels(w, self.config) for w in widths}
        poses = self.state.T_cameras.copy()
        rng = np.random.default_rng(0)
        for c, name in enumerate(self.frames.names):
            if not self.unknowns.free_camera(c):
                continue
            by_width = {
                w: [
                    StartImage(
                        self.pictures.positions(self.state, i),
                        levels[w][i],
                        self.pictures.bare(i, levels[w][i]),
                    )
                    for i in self.frames.of_camera(c)
                ]
                for w in widths
            }
            start = CameraStart(
                name,
                self.pictures.search,
                self.pictures.coarse,
                self.unknowns.coordinates,
                self.config,
                self.evidence,
            )
            given = self.frames.cameras[c]
            found = start.find_turned(
                by_width, given.T, given.turns, self.unknowns.camera_sigma(c), rng
            )
            self.frames.cameras[c] = dataclasses.replace(given, T=found.start)
            poses[c] = found.T
        self.state = dataclasses.replace(self.state, T_cameras=poses)

    def _judge(
        self, stage: Stage, targets: list[ImageTarget], rendered: list[RenderedImages]
    ) -> None:
        """Measure how every image fits, and weigh it."""
        pairs = list(zip(targets, rendered, strict=True))
        self.residuals = np.array([silhouette_error(t, r.alpha) for t, r in pairs])
        self.agreements = np.array([self.evidence.agreement(t, r) for t, r in pairs])
        if not stage.reject:
            return
        sigma = self.config.encoder_sigma_rad
        deviation = (
            np.sqrt(np.square(self.state.deviation[:, : self.model.nv]).mean(1)) / sigma
            if sigma > 0
            else None
        )
        for c in range(len(self.frames.names)):
            # How large the robot is in it makes one camera's residuals unlike another's.
            index = self.frames.of_camera(c)
            moments = [self.frames.frames[i].moment for i in index]
            own = np.zeros(len(index)) if deviation is None else deviation[moments]
            self.weights[index], reasons = view_weights(self.residuals[index], own)
            for i, reason in zip(index, reasons, strict=True):
                self.reasons[i] = reason

    def _round(
        self, stage: Stage, levels: list[Level], targets: list[ImageTarget]
    ) -> tuple[Solution, float]:
        """Solve once; return the solution and the largest change of any unknown."""
        model = self.pictures.model(stage)
        targets = self.pictures.true_contours(stage, levels, targets, self.state, self.weights)
        views: list[list[View]] = [[] for _ in self.frames.q]
        for i, (frame, target) in enumerate(zip(self.frames.frames, targets, strict=True)):
            if self.weights[i] > 0:
                views[frame.moment].append(
                    View(model, target, frame.camera, weight=float(self.weights[i]))
                )
        problem = self.unknowns.problem(
            views, offsets=stage.offsets, lags=stage.lags, loose=not stage.is_coarse
        )
        before = self.state
        solution = solve(
            problem, self.unknowns.coordinates, SOLVER, self.config.iterations, None, before
        )
        self.state = solution.state
        self.iterations += solution.iterations
        moved = max(
            np.abs(self.state.offset - before.offset).max(initial=0.0),
            np.abs(self.state.T_cameras - before.T_cameras).max(initial=0.0),
            np.abs(self.state.lag_s - before.lag_s).max(initial=0.0),
        )
        return solution, float(moved)

    def _solve_halves(self, stage: Stage) -> list[tuple[Solution, Solution]]:
        """Return solutions of halves of the images, from the common one; that one stays."""
        stage = dataclasses.replace(stage, width=min(MIDDLE_WIDTH, stage.width))
        levels = self.frames.levels(stage.width, self.config)
        targets, _ = self.pictures.targets(stage, levels, self.state)
        state, weights, iterations = self.state, self.weights, self.iterations
        moments = np.array([f.moment for f in self.frames.frames])
        out = []
        for pair in halves_of(sorted(set(moments[weights > 0].tolist()))):
            found = []
            for half in pair:
                self.state = state
                self.weights = np.where(np.isin(moments, half), weights, 0.0)
                for _ in range(HALF_ROUNDS):
                    solution, _ = self._round(stage, levels, targets)
                found.append(solution)
            out.append((found[0], found[1]))
        self.state, self.weights, self.iterations = state, weights, iterations
        return out

    # -- what is told ------------------------------------------------------------------------------

    def _tell(
        self, progress: ProgressCallback | None, stage: str, step: int, steps: int, message: str
    ) -> None:
        if progress is None:
            return
        names = self.frames.names
        go_on = progress(
            Progress(
                stage,
                step,
                steps,
                message,
                dict(zip(names, self.state.T_cameras.copy(), strict=True)),
                self.state.offset[: self.model.nv].copy(),
                dict(zip(names, map(float, self.state.lag_s), strict=True)),
                self.residuals.copy(),
                lambda i: self.pictures.overlay(self.state, i),
            )
        )
        if go_on is False:
            raise CalibrationCancelledError(f"the calibration was cancelled while at: {stage}")
