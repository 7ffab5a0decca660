"""Camera poses, joint offsets and lags from many keyframes at once."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.calibration.cold import CameraStart, StartImage
from drrobot_ros.estimation.calibration.config import CalibrationConfig
from drrobot_ros.estimation.calibration.contours import ContourBias
from drrobot_ros.estimation.calibration.evidence import Evidence, ImageEvidence
from drrobot_ros.estimation.calibration.frames import Frames
from drrobot_ros.estimation.calibration.overlay import draw_contour
from drrobot_ros.estimation.calibration.report import Found, make_result
from drrobot_ros.estimation.calibration.result import (
    CalibrationCamera,
    CalibrationCancelledError,
    CalibrationResult,
    Progress,
    Vector,
)
from drrobot_ros.estimation.calibration.stages import COARSE_WIDTH, Stage, stages_of, start_stages
from drrobot_ros.estimation.calibration.weights import view_weights
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, RenderedImages
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.estimation.problem import (
    CameraPrior,
    CameraUnknown,
    Moment,
    Problem,
    Solution,
    State,
    StopReason,
    View,
)
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.solver import SolverConfig, offset_bounds, solve
from drrobot_ros.estimation.tracked_camera import EPS2D
from drrobot_ros.splats.gaussians import INSET_PX

SEARCH_SPLATS, COARSE_SPLATS = 1000, 2000
# A round that moves nothing farther ends its stage.
SETTLED = 5e-5
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
        self.frames = Frames(model, observations, cameras, config)
        self.coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        self.joints = self._free_joints(joints)
        still = {n for n, k in zip(self.frames.names, self.frames.links, strict=True) if k < 0}
        self.evidence = evidence or ImageEvidence(config, frozenset(still))
        inset_px = float(getattr(gaussians, "inset_px", INSET_PX))
        self.contours = ContourBias(inset_px, len(self.frames.names))
        self.eps2d = float(getattr(gaussians, "eps2d", EPS2D))
        palette = palette_of(np.asarray(gaussians.colors))

        def image_model(splats: Any) -> ImageModel:
            labels = part_labels(splats.colors, palette)
            return ImageModel(model.tree, splats, model.nq, model.nv, labels)

        self.search = image_model(gaussians.subset(SEARCH_SPLATS))
        self.coarse = image_model(gaussians.subset(COARSE_SPLATS))
        self.fine = image_model(gaussians)
        n = len(self.frames.frames)
        self.weights, self.reasons = np.ones(n), [""] * n
        self.residuals = self.residuals_before = np.full(n, np.nan)
        self.agreements = np.full(n, np.nan)
        self.iterations = 0
        self.state = State.start(self._problem([[] for _ in self.frames.q], True, True))
        self._check_offsets()

    # -- what is asked ---------------------------------------------------------------------------

    def _free_joints(self, joints: Sequence[str] | None) -> NDArray[np.bool_]:
        model = self.model
        names = model.joint_names
        for name in joints if joints is not None else ():
            if name not in names:
                raise unknown_name("joint", name, names)
        free = np.zeros(model.nv, bool)
        if not self.config.estimate_offsets:
            return free
        scalar = model.nq == len(names) and model.nv == model.nq
        if not scalar:
            raise InputError(
                f"{model.name!r} has ball or floating joints; offsets are one number per joint"
            )
        wanted = np.array([joints is None or name in joints for name in names])
        free[:] = wanted[self.coordinates.v_to_q]
        return free

    def _check_offsets(self) -> None:
        """Raise where no offset brings a joint's readings within its limits."""
        model, q, reach = self.model, self.frames.q, self.config.max_offset
        for j in np.flatnonzero(self.joints):
            k = self.coordinates.v_to_q[j]
            low, high = float(model.lower[k]) - q[:, k].min(), float(model.upper[k]) - q[:, k].max()
            slack = 3 * self.config.encoder_sigma_rad
            if max(low, -reach) > min(high, reach) + slack:
                raise InputError(
                    f"no offset up to {reach:g} brings the readings of joint "
                    f"{model.joint_names[k]!r} ({q[:, k].min():.4g} to {q[:, k].max():.4g}) into "
                    f"its limits ({model.lower[k]:.4g} to {model.upper[k]:.4g})"
                )

    def _free_camera(self, c: int) -> bool:
        own = self.frames.cameras[c].estimate
        return self.config.estimate_camera if own is None else own

    def _problem(self, views: list[list[View]], offsets: bool, lags: bool) -> Problem:
        config, frames = self.config, self.frames
        nv = self.model.nv
        sigma = np.full(nv, config.encoder_sigma_rad)
        lag = lags and config.estimate_lag
        moments = [
            Moment(q, v, velocity, sigma if config.encoder_sigma_rad > 0 else None)
            for q, v, velocity in zip(frames.q, views, frames.velocity, strict=True)
        ]
        unknowns = []
        for c, camera in enumerate(frames.cameras):
            sigmas = np.repeat(
                [
                    camera.sigma_m or config.start_sigma_m,
                    camera.sigma_rad or config.start_sigma_rad,
                ],
                3,
            )
            # What many images show outweighs this by far; a single one does not tell a turn from a
            # shift, and needs it.
            prior = CameraPrior(camera.T, sigmas)
            unknowns.append(
                CameraUnknown(
                    camera.T, self._free_camera(c), prior, camera.lag_s, lag, config.lag_sigma_s
                )
            )
        return Problem(
            moments,
            unknowns,
            self.joints if offsets else np.zeros(nv, bool),
            np.asarray(self.model.lower, np.float64),
            np.asarray(self.model.upper, np.float64),
            np.full(nv, config.offset_sigma),
            config.max_offset,
            config.image_weight,
        )

    # -- how it is solved --------------------------------------------------------------------------

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
        self._check_visible(fine)
        if config.estimate_camera:
            self._tell(progress, "start", 0, steps, "searching the start of the cameras")
            self._cold_start(fine)
        step, solution, targets, levels = 1, None, [], []
        for stage in stages:
            levels = self.frames.levels(stage.width, config)
            for k in range(stage.rounds):
                self._tell(progress, stage.name, step + k, steps, f"round {k + 1}")
                targets, rendered = self._targets(stage, levels)
                self._judge(stage, targets, rendered)
                solution, moved = self._round(stage, targets)
                if solution.stop_reason is StopReason.NOTHING_VISIBLE:
                    break
                if moved < SETTLED:
                    # Whatever ended the round: looking again changed nothing.
                    solution = dataclasses.replace(solution, stop_reason=StopReason.CONVERGED)
                    break
            step += stage.rounds
        assert solution is not None
        last = dataclasses.replace(stages[-1], blur_px=0)
        targets, rendered = self._targets(last, levels)
        self._judge(last, targets, rendered)
        self._judge_start(targets)
        found = Found(
            self.model,
            self.frames,
            config,
            self.joints,
            solution,
            offset_bounds(self._problem([[] for _ in self.frames.q], True, True), self.coordinates),
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
        for c, camera in enumerate(self.frames.cameras):
            if not self._free_camera(c):
                continue
            by_width = {
                w: [
                    StartImage(self._view_q(i), levels[w][i], self._bare(i, levels[w][i]))
                    for i in self.frames.of_camera(c)
                ]
                for w in widths
            }
            sigma = np.repeat(
                [
                    camera.sigma_m or self.config.start_sigma_m,
                    camera.sigma_rad or self.config.start_sigma_rad,
                ],
                3,
            )
            start = CameraStart(
                self.frames.names[c],
                self.search,
                self.coarse,
                self.coordinates,
                self.config,
                self.evidence,
            )
            poses[c] = start.find(by_width, poses[c], sigma, rng)
        self.state = dataclasses.replace(self.state, T_cameras=poses)

    def _bare(self, i: int, level: Level) -> ImageTarget:
        return ImageTarget(
            K=level.camera.K,
            width=level.camera.width,
            height=level.camera.height,
            weight=level.weight,
            camera_link=self.frames.links[self.frames.frames[i].camera],
            mask_sigma=self.config.mask_sigma,
            depth_sigma=self.config.depth_sigma_m,
            robust=self.config.robust,
            eps2d=self.eps2d,
            inset_px=self.contours.inset_px(self.frames.frames[i].camera, level.camera.width),
        )

    def _view_q(self, i: int) -> Vector:
        """Return the joints as image i shows them."""
        frame = self.frames.frames[i]
        q, velocity = self.state.q[frame.moment], self.frames.velocity[frame.moment]
        if velocity is None:
            return q
        return self.coordinates.integrate(q, velocity * self.state.lag_s[frame.camera])

    def _render(self, model: ImageModel, i: int, bare: ImageTarget) -> RenderedImages:
        T = self.state.T_cameras[self.frames.frames[i].camera]
        return model.images(self._view_q(i), T, bare)

    def _targets(
        self, stage: Stage, levels: list[Level]
    ) -> tuple[list[ImageTarget], list[RenderedImages]]:
        model = self.coarse if stage.is_coarse else self.fine
        bare = [
            dataclasses.replace(self._bare(i, level), blur_radius=stage.blur_px)
            for i, level in enumerate(levels)
        ]
        sharp = [dataclasses.replace(b, blur_radius=0) for b in bare]
        rendered = [self._render(model, i, b) for i, b in enumerate(sharp)]
        targets: list[ImageTarget] = list(bare)
        for c, name in enumerate(self.frames.names):
            index = self.frames.of_camera(c)
            made = self.evidence.targets(
                name,
                stage,
                [levels[i] for i in index],
                [rendered[i] for i in index],
                [bare[i] for i in index],
            )
            for i, target in zip(index, made, strict=True):
                targets[i] = target
        return targets, rendered

    def _judge(
        self, stage: Stage, targets: list[ImageTarget], rendered: list[RenderedImages]
    ) -> None:
        """Measure how every image fits, and weigh it."""
        pairs = list(zip(targets, rendered, strict=True))
        self.residuals = np.array([_residual(t, r) for t, r in pairs])
        self.agreements = np.array([self.evidence.agreement(t, r) for t, r in pairs])
        if not stage.reject:
            return
        sigma = self.config.encoder_sigma_rad
        deviation = np.sqrt(np.square(self.state.deviation).mean(1)) / sigma if sigma > 0 else None
        moments = [f.moment for f in self.frames.frames]
        own = np.zeros(len(moments)) if deviation is None else deviation[moments]
        self.weights, self.reasons = view_weights(self.residuals, own)

    def _judge_start(self, targets: list[ImageTarget]) -> None:
        """Measure how every image fits at the start that was given."""
        found = self.state
        self.state = State.start(self._problem([[] for _ in self.frames.q], True, True))
        pairs = [(t, self._render(self.fine, i, t)) for i, t in enumerate(targets)]
        self.residuals_before = np.array([_residual(t, r) for t, r in pairs])
        self.state = found

    def _round(self, stage: Stage, targets: list[ImageTarget]) -> tuple[Solution, float]:
        """Solve once; return the solution and the largest change of any unknown."""
        model = self.coarse if stage.is_coarse else self.fine
        targets = self._true_contours(stage, targets)
        views: list[list[View]] = [[] for _ in self.frames.q]
        for i, (frame, target) in enumerate(zip(self.frames.frames, targets, strict=True)):
            views[frame.moment].append(
                View(model, target, frame.camera, weight=float(self.weights[i]))
            )
        problem = self._problem(views, stage.offsets, stage.lags)
        before = self.state
        solution = solve(problem, self.coordinates, SOLVER, self.config.iterations, None, before)
        self.state = solution.state
        self.iterations += solution.iterations
        moved = max(
            np.abs(self.state.offset - before.offset).max(initial=0.0),
            np.abs(self.state.T_cameras - before.T_cameras).max(initial=0.0),
            np.abs(self.state.lag_s - before.lag_s).max(initial=0.0),
        )
        return solution, float(moved)

    def _true_contours(self, stage: Stage, targets: list[ImageTarget]) -> list[ImageTarget]:
        """Return the targets with the splats drawn in as far as the images say."""
        masked = all(f.observation.mask is not None for f in self.frames.frames)
        if stage.blur_px or not (stage.offsets or masked):
            return targets
        out = list(targets)
        for c in range(len(self.frames.names)):
            index = [i for i in self.frames.of_camera(c) if self.weights[i] > 0]
            rendered = [self._render(self.fine, i, targets[i]) for i in index]
            width = targets[self.frames.of_camera(c)[0]].width
            inset_px = self.contours.learn(c, width, [targets[i] for i in index], rendered)
            for i in self.frames.of_camera(c):
                out[i] = dataclasses.replace(targets[i], inset_px=inset_px)
        return out

    def _check_visible(self, fine: int) -> None:
        """Raise where a camera's images show nothing of the robot at its start."""
        levels = self.frames.levels(min(COARSE_WIDTH, fine), self.config)
        for c, name in enumerate(self.frames.names):
            seen = [
                self._render(self.coarse, i, self._bare(i, levels[i])).alpha.sum()
                for i in self.frames.of_camera(c)
            ]
            if max(seen) < 1.0:
                raise InputError(
                    f"the robot is in no image of camera {name!r} if its pose is as given: it "
                    "looks elsewhere"
                )

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
                self.state.offset.copy(),
                dict(zip(names, map(float, self.state.lag_s), strict=True)),
                self.residuals.copy(),
                self._overlay,
            )
        )
        if go_on is False:
            raise CalibrationCancelledError(f"the calibration was cancelled while at: {stage}")

    def _overlay(self, i: int) -> NDArray[np.uint8]:
        observation = self.frames.frames[i].observation
        camera = observation.camera
        bare = ImageTarget(
            K=camera.K,
            width=camera.width,
            height=camera.height,
            camera_link=self.frames.links[self.frames.frames[i].camera],
            eps2d=self.eps2d,
            inset_px=self.contours.inset_px(self.frames.frames[i].camera, camera.width),
        )
        return draw_contour(observation.image, self._render(self.fine, i, bare).alpha)


def _residual(target: ImageTarget, rendered: RenderedImages) -> float:
    """Return the mean absolute silhouette error over the robot's area."""
    if target.mask is None:
        return 0.0
    trust = np.ones_like(target.mask) if target.mask_weight is None else target.mask_weight
    if target.weight is not None:
        trust = trust * target.weight
    error = np.abs(rendered.alpha - target.mask) * trust
    return float(error.sum() / max(float((target.mask * trust).sum()), 1.0))
