"""Joint angles and camera pose from a stream of images, each warm-started from the last."""

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.appearance import Appearance
from drrobot_ros.estimation.belief import Belief
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.levels import Level, make_level
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, ParameterColumns
from drrobot_ros.estimation.observation import Estimate, Observation, TrackingState
from drrobot_ros.estimation.problem import (
    CameraPrior,
    JointPrior,
    Problem,
    Solution,
    View,
)
from drrobot_ros.estimation.search import RegionScore, palette_of, search_joints
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.silhouette import SilhouetteSource
from drrobot_ros.estimation.solver import SolverConfig, solve
from drrobot_ros.estimation.uncertainty import uncertainty_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

SEARCH_SPLATS = 1000
COARSE_SPLATS = 2000
SEARCH_WIDTH = 80
# How far overlap and dilation push the rendered contour out: measured against the meshes.
INSET_PX = 0.6
EPS2D = 0.3
MAX_PREDICTION_SIGMA = 0.08  # rad or m


@dataclasses.dataclass(frozen=True)
class Stage:
    """One pass of the coarse-to-fine solution: level width, blur and iterations."""

    width: int
    blur_px: int
    iterations: int


class Tracker:
    """Estimates joint positions, and if wanted the camera pose, image by image.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
    """

    def __init__(self, model: Any, gaussians: Any, config: TrackerConfig | None = None) -> None:
        self.model = model
        self.config = config or TrackerConfig()
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        palette = palette_of(np.asarray(gaussians.colors))

        def image_model(splats: Any, labels: bool) -> ImageModel:
            colors = part_labels(splats.colors, palette) if labels else None
            return ImageModel(model.tree, splats, model.nq, model.nv, colors)

        self._search = image_model(gaussians.subset(SEARCH_SPLATS), True)
        self._coarse = image_model(gaussians.subset(COARSE_SPLATS), True)
        self._colored = image_model(gaussians, False)
        self._by_parts = self.config.color_residual != "photometric"
        if self._by_parts:
            self._fine, self._solve_coarse = image_model(gaussians, True), self._coarse
        else:
            self._fine = self._colored
            self._solve_coarse = image_model(gaussians.subset(COARSE_SPLATS), False)
        self._limits = (np.asarray(model.lower, float), np.asarray(model.upper, float))
        self.reset()

    def reset(self, q: Vector | None = None, T_base_camera: Matrix | None = None) -> None:
        """Forget everything; start again from q and the camera pose, if given.

        Args:
            q: joint positions to start from [nq]; None: the last start, at first the neutral ones.
            T_base_camera: camera pose [4,4]; None: the last one.

        Raises:
            InputError: a wrong size, or values that are not finite.
        """
        if q is not None:
            q = np.asarray(q, np.float64)
            if q.shape != (self.model.nq,) or not np.isfinite(q).all():
                raise InputError(f"q must be {self.model.nq} finite numbers, got {q}")
            self._start_q = np.clip(q, *self._limits)
        elif not hasattr(self, "_start_q"):
            self._start_q = np.asarray(self.model.neutral(), np.float64)
        if T_base_camera is not None:
            T = np.asarray(T_base_camera, np.float64)
            if T.shape != (4, 4) or not np.isfinite(T).all():
                raise InputError(f"T_base_camera must be a finite 4x4 matrix, got {T}")
            if np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-3:
                raise InputError("T_base_camera must hold a rotation matrix")
            self._start_T = T
        elif not hasattr(self, "_start_T"):
            self._start_T = None
        self._q = self._start_q
        self._T = self._start_T
        self._believed: tuple[Vector, Matrix | None] = (self._start_q, self._start_T)
        self._velocity = np.zeros(self.model.nv)
        self._stamp_s: float | None = None
        self._belief = Belief()
        self._started = False
        self._appearance = Appearance()
        self._silhouette = SilhouetteSource()
        self._rng = np.random.default_rng(0)

    def update(self, observation: Observation) -> Estimate:
        """Estimate the robot's state at the moment of an image.

        Args:
            observation: image, intrinsics and what else is known.

        Returns:
            The estimate, of the observation's stamp.

        Raises:
            InputError: no camera pose was ever given, or the joint positions have a wrong size.
        """
        started = time.perf_counter()
        if self._T is None:
            raise InputError("the camera pose is unknown: call reset(T_base_camera=...) first")
        encoders = observation.joint_positions
        if encoders is not None and np.shape(encoders) != (self.model.nq,):
            raise InputError(
                f"joint_positions must be {self.model.nq} numbers, got {np.shape(encoders)}"
            )
        dt = self._advance(observation.stamp_s)
        q = self._predict(dt, encoders)
        levels = {w: make_level(observation, w) for w in self._widths()}
        if self._belief.search_due:
            q = self._find(levels, q, self._T, encoders)
        solution, target = self._refine(levels, q, self._T, dt, encoders, started)
        return self._finish(observation, levels, solution, target, dt, started)

    def render(self, estimate: Estimate, camera: Any) -> tuple[NDArray, NDArray, NDArray]:
        """Return colour [H,W,3] 0..1, alpha [H,W] and depth [H,W] m of the robot as estimated.

        Colours are as the camera sees them (gain and bias); depth is 0 where nothing is drawn.
        """
        target = self._target_of(camera, None)
        out = self._colored.images(estimate.q, estimate.T_base_camera, target)
        alpha = out.alpha
        solid = np.maximum(alpha, 1e-4)
        color = out.rgb / solid[..., None] * self._appearance.gain + self._appearance.bias
        depth = np.where(alpha > 0.5, out.depth / solid, 0.0)
        return np.clip(color, 0, 1).astype(np.float32), alpha, depth.astype(np.float32)

    # -- one image, step by step ---------------------------------------------------------------

    def _advance(self, stamp_s: float) -> float:
        """Return the time since the last image; a jump of the clock forgets the motion."""
        dt = 0.0 if self._stamp_s is None else stamp_s - self._stamp_s
        if not 0.0 < dt < 0.5:
            self._velocity = np.zeros(self.model.nv)
            dt = 0.0
        self._stamp_s = stamp_s
        return dt

    def _predict(self, dt: float, encoders: Vector | None) -> Vector:
        q = np.clip(self._coordinates.integrate(self._q, self._velocity * dt), *self._limits)
        if encoders is not None and not self._started:
            q = np.where(np.isfinite(encoders), encoders, q)
        return q

    def _widths(self) -> list[int]:
        fine = self.config.fine_width
        return sorted({min(SEARCH_WIDTH, fine), fine})

    def _columns(self) -> ParameterColumns:
        free = np.full(self.model.nv, self.config.estimate_joints)
        return ParameterColumns.make(self.model.nv, free, self.config.estimate_camera)

    def _find(
        self, levels: dict[int, Level], q: Vector, T: Matrix, encoders: Vector | None
    ) -> Vector:
        """Search around q, and refine region by region: on the first image, and when in doubt."""
        config = self.config
        level = levels[min(levels)]
        self._silhouette.start(level)
        sigma = config.start_sigma_rad * (0.5 if self._started else 1.0)
        if encoders is not None and config.encoder_sigma_rad > 0:
            sigma = min(sigma, 3 * config.encoder_sigma_rad)
        if not config.estimate_joints or config.search_hypotheses == 0 or sigma == 0:
            return q
        known_mask = config.use_mask and level.mask is not None
        score = RegionScore(
            self._search,
            self._target_of(level.camera, level.weight),
            self._silhouette.clusters_of(level),
        )
        best, best_score = q, float(score(q[None], T)[0])
        spread = np.full(self.model.nv, sigma)
        share = config.search_hypotheses // 2
        for scale in (1.0, 0.4, 0.2):
            found, _ = search_joints(
                score, self._coordinates, q, spread * scale, T, self._limits, share, self._rng
            )
            stages = [Stage(level.camera.width, 2, 5), Stage(level.camera.width, 1, 5)] * 2
            refined = [
                self._solve_stages(levels, start, T, stages, 0.0, None, None)[0].q
                for start in ([q, found] if known_mask else [found])
            ]
            for candidate in (found, *refined):
                candidate_score = float(score(candidate[None], T)[0])
                if candidate_score > best_score:
                    best, best_score = candidate, candidate_score
            q, share = best, share // 2
        return best

    def _refine(
        self,
        levels: dict[int, Level],
        q: Vector,
        T: Matrix,
        dt: float,
        encoders: Vector | None,
        started: float,
    ) -> tuple[Solution, ImageTarget]:
        n = self.config.iterations
        coarse, fine = min(levels), max(levels)
        stages = [Stage(coarse, 1, n), Stage(fine, 0, n)]
        if not self._started:
            stages = [Stage(coarse, 1, n), Stage(fine, 0, 3 * n), Stage(fine, 0, 2 * n)]
        budget = self.config.budget_ms
        deadline = started + budget * 1e-3 if budget > 0 and self._started else None
        return self._solve_stages(levels, q, T, stages, dt, encoders, deadline)

    def _solve_stages(
        self,
        levels: dict[int, Level],
        q: Vector,
        T: Matrix,
        stages: list[Stage],
        dt: float,
        encoders: Vector | None,
        deadline_s: float | None,
    ) -> tuple[Solution, ImageTarget]:
        columns = self._columns()
        joints, camera = self._priors(q, T, dt, encoders)
        budget_s = 1e-3 * self.config.budget_ms
        iterations = 0
        solution, target = None, None
        for stage in stages:
            level = levels[stage.width]
            model = self._solve_coarse if stage.width <= SEARCH_WIDTH else self._fine
            target = self._image_target(level, q, T, stage.blur_px)
            problem = Problem(
                [View(model, target)],
                columns,
                *self._limits,
                joint_priors=joints,
                camera_prior=camera,
                image_weight=self.config.image_weight
                * (1.0 if stage.width > SEARCH_WIDTH else 4.0),
            )
            # The coarse levels must leave time for the finest, which is where accuracy comes from.
            last = stage is stages[-1]
            until = deadline_s if last or deadline_s is None else deadline_s - 0.6 * budget_s
            solution = solve(
                problem, self._coordinates, q, T, SolverConfig(), stage.iterations, until
            )
            q, T = solution.q, solution.T_camera
            iterations += solution.iterations
        assert solution is not None and target is not None
        return dataclasses.replace(solution, iterations=iterations), target

    def _priors(
        self, q: Vector, T: Matrix, dt: float, encoders: Vector | None
    ) -> tuple[list[JointPrior], CameraPrior | None]:
        config = self.config
        joints = []
        if self._started and dt > 0:
            # Between rare images the prediction would say nothing, and what the image does not show
            # (a symmetric wrist) would drift: the bound holds it.
            sigma = min(config.acceleration_sigma * dt * dt, MAX_PREDICTION_SIGMA) + 0.003
            joints.append(JointPrior(q, np.full(self.model.nv, sigma)))
        if encoders is not None and config.encoder_sigma_rad > 0:
            sigma = np.full(self.model.nv, config.encoder_sigma_rad)
            joints.append(JointPrior(np.asarray(encoders, np.float64), sigma))
        camera = None
        if config.estimate_camera and config.camera_sigma_m > 0 and config.camera_sigma_rad > 0:
            sigma = np.repeat([config.camera_sigma_m, config.camera_sigma_rad], 3)
            camera = CameraPrior(np.asarray(self._start_T), sigma)
        return joints, camera

    def _target_of(self, camera: Any, weight: NDArray | None) -> ImageTarget:
        return ImageTarget(
            K=camera.K,
            width=camera.width,
            height=camera.height,
            weight=weight,
            inset_px=INSET_PX,
            eps2d=EPS2D,
            mask_sigma=self.config.mask_sigma,
            depth_sigma=self.config.depth_sigma_m,
            robust=self.config.robust,
        )

    def _image_target(self, level: Level, q: Vector, T: Matrix, blur_px: int) -> ImageTarget:
        """Return what a level is to be compared with, its silhouette taken around the estimate."""
        config = self.config
        bare = self._target_of(level.camera, level.weight)
        seen = level if config.use_mask else dataclasses.replace(level, mask=None)
        region = self._silhouette.target(seen, self._coarse.images(q, T, bare))
        common = dataclasses.replace(
            bare,
            mask=region.mask,
            mask_weight=region.mask_trust,
            depth=level.depth if config.use_depth else None,
            blur_radius=blur_px,
        )
        if config.color_residual == "parts":
            return dataclasses.replace(
                common,
                color=region.parts,
                color_weight=region.parts_trust,
                background=np.zeros_like(region.parts),
                color_sigma=config.parts_sigma,
            )
        if config.color_residual == "photometric":
            return dataclasses.replace(
                common,
                color=level.color,
                background=self._silhouette.background(level),
                color_sigma=config.color_sigma,
                gain=self._appearance.gain,
                bias=self._appearance.bias,
            )
        return common

    def _finish(
        self,
        observation: Observation,
        levels: dict[int, Level],
        solution: Solution,
        target: ImageTarget,
        dt: float,
        started: float,
    ) -> Estimate:
        q, T = solution.q, solution.T_camera
        statistics = solution.statistics[0]
        level = levels[max(levels)]
        images = self._fine.images(q, T, self._target_of(level.camera, level.weight))
        agreement = self._silhouette.agreement(target, images)
        state = self._belief.judge(self.config, agreement, statistics.inside, solution.stop_reason)
        if dt > 0:
            measured = self._coordinates.difference(self._q, q) / dt
            self._velocity = 0.5 * self._velocity + 0.5 * measured
        self._q, self._T, self._started = q, T, True
        if self._belief.gave_up:
            self._velocity = np.zeros(self.model.nv)
            if state is TrackingState.LOST:
                # What led here is no longer believed: look around the last place that was.
                self._started = False
                self._q, self._T = self._believed
        elif state is TrackingState.TRACKING:
            self._believed = (q, T)
            if self.config.learn_background:
                self._silhouette.learn(level, images)
        if not self._by_parts:
            self._appearance = self._appearance.updated(statistics)
        masked = self.config.use_mask and observation.mask is not None
        uncertainty = uncertainty_of(solution, self._columns(), masked)
        inside = max(statistics.inside, 1e-6)
        return Estimate(
            stamp_s=observation.stamp_s,
            q=q,
            T_base_camera=T,
            covariance=uncertainty.covariance,
            q_std=uncertainty.q_std,
            camera_covariance=uncertainty.camera,
            residual=statistics.inside_error / inside,
            agreement=agreement,
            visible=statistics.inside,
            iterations=solution.iterations,
            stop_reason=solution.stop_reason,
            state=state,
            solve_time_s=time.perf_counter() - started,
        )
