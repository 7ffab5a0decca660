"""Joint angles and camera poses from a stream of images, each warm-started from the last."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.belief import Belief
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.levels import Level, make_level
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.observation import (
    CameraEstimate,
    Estimate,
    Observation,
    TrackingState,
)
from drrobot_ros.estimation.problem import (
    CameraPrior,
    CameraUnknown,
    JointPrior,
    Moment,
    Problem,
    Solution,
    State,
    View,
)
from drrobot_ros.estimation.search import RegionScore, palette_of, search_joints
from drrobot_ros.estimation.segmentation import part_labels
from drrobot_ros.estimation.solver import SolverConfig, solve
from drrobot_ros.estimation.tracked_camera import CameraMount, TrackedCamera
from drrobot_ros.estimation.uncertainty import uncertainty_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

SEARCH_SPLATS = 1000
COARSE_SPLATS = 2000
SEARCH_WIDTH = 80
MAX_PREDICTION_SIGMA = 0.08  # rad or m


@dataclasses.dataclass(frozen=True)
class Stage:
    """One pass of the coarse-to-fine solution: level width, blur and iterations."""

    width: int
    blur_px: int
    iterations: int


@dataclasses.dataclass(frozen=True)
class Seen:
    """What one camera saw at the moment: its name, image and the image's pyramid."""

    name: str
    observation: Observation
    levels: dict[int, Level]


@dataclasses.dataclass(frozen=True)
class Start:
    """Where the solution starts: joint positions and the cameras' poses."""

    q: Vector
    T: dict[str, Matrix]


class Tracker:
    """Estimates joint positions, and if wanted camera poses, image by image.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
        cameras: how each camera is mounted, by name; None: one camera fixed to the base.

    Raises:
        InputError: a link that the robot does not have, or no camera at all.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        config: TrackerConfig | None = None,
        cameras: Mapping[str, CameraMount] | None = None,
    ) -> None:
        self.model = model
        self.config = config or TrackerConfig()
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        palette = palette_of(np.asarray(gaussians.part_colors))

        def image_model(splats: Any, labels: bool) -> ImageModel:
            colors = part_labels(splats.part_colors, palette) if labels else None
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
        lit = getattr(gaussians, "light", None) is not None or (
            getattr(gaussians, "sh", None) is not None
        )
        self._lit = [(self._colored, gaussians)] if lit and not self._by_parts else []
        if self._lit:
            self._lit.append((self._solve_coarse, gaussians.subset(COARSE_SPLATS)))
        self._limits = (np.asarray(model.lower, float), np.asarray(model.upper, float))
        mounts = {"camera": CameraMount()} if cameras is None else dict(cameras)
        if not mounts:
            raise InputError("a tracker needs at least one camera")
        self._cameras = {
            name: TrackedCamera(
                -1 if mount.link is None else model.link_index(mount.link),
                mount.estimate,
                gaussians,
            )
            for name, mount in mounts.items()
        }
        self._first = next(iter(self._cameras))
        self.reset()

    def reset(
        self,
        q: Vector | None = None,
        T_base_camera: Matrix | Mapping[str, Matrix] | None = None,
    ) -> None:
        """Forget everything; start again from q and the camera poses, if given.

        Args:
            q: joint positions to start from [nq]; None: the last start, at first the neutral ones.
            T_base_camera: pose of the (first) camera [4,4], or of each by name: in the base, or in
                the link that carries it; None: the last ones.

        Raises:
            InputError: a wrong size, values that are not finite, or a camera nobody knows.
        """
        poses = T_base_camera
        if not isinstance(poses, Mapping):
            poses = {} if poses is None else {self._first: poses}
        for name in poses:
            if name not in self._cameras:
                raise unknown_name("camera", name, list(self._cameras))
        if q is not None:
            q = np.asarray(q, np.float64)
            if q.shape != (self.model.nq,) or not np.isfinite(q).all():
                raise InputError(f"q must be {self.model.nq} finite numbers, got {q}")
            self._start_q = np.clip(q, *self._limits)
        elif not hasattr(self, "_start_q"):
            self._start_q = np.asarray(self.model.neutral(), np.float64)
        for name, camera in self._cameras.items():
            camera.reset(poses.get(name))
        self._q = self._believed_q = self._start_q
        self._velocity = np.zeros(self.model.nv)
        self._stamp_s: float | None = None
        self._belief = Belief()
        self._started = False
        self._rng = np.random.default_rng(0)

    def place(self, name: str, T: Matrix) -> None:
        """Say where one camera is, and forget what it saw; the rest goes on undisturbed.

        Args:
            name: of the camera.
            T: its pose [4,4] in the base, or in the link that carries it.

        Raises:
            InputError: an unknown camera, or not a rigid transform.
        """
        self._camera(name).reset(T)

    def learn_background(self, observation: Observation, q: Vector) -> None:
        """Learn what is behind the robot from an image in which its joints are known.

        Several images in different poses, by a camera that stands still, show what is behind the
        whole robot; `reset` forgets it.

        Args:
            observation: the image, of a camera whose pose was given.
            q: joint positions [nq].

        Raises:
            InputError: the camera is unknown, moves with a link, or its pose was never given.
        """
        (seen,) = self._check(observation)
        camera = self._cameras[seen.name]
        if camera.link >= 0:
            raise InputError(f"camera {seen.name!r} moves with the robot: it has no background")
        q = np.clip(np.asarray(q, np.float64), *self._limits)
        for level in seen.levels.values():
            bare = camera.bare(self.config, level.camera, level.weight)
            camera.silhouette.teach(level, self._coarse.images(q, self._pose(seen.name), bare))

    def update(self, observation: Observation | Sequence[Observation]) -> Estimate:
        """Estimate the robot's state at the moment of an image, or of one of each camera.

        Args:
            observation: image, intrinsics and what else is known; of several cameras the images of
                one moment, the stamp and joint positions being those of the first.

        Returns:
            The estimate, of the first observation's stamp.

        Raises:
            InputError: no camera pose was ever given, no image, two of one camera or one of an
                unknown camera, or joint positions of a wrong size.
        """
        started = time.perf_counter()
        seen = self._check(observation)
        first = seen[0].observation
        encoders = first.joint_positions
        dt = self._advance(first.stamp_s)
        start = Start(self._predict(dt, encoders), {s.name: self._pose(s.name) for s in seen})
        if self._belief.search_due:
            start = dataclasses.replace(start, q=self._find(seen, start, encoders))
        solution, targets = self._refine(seen, start, dt, encoders, started)
        return self._finish(seen, solution, targets, dt, started)

    def render(
        self, estimate: Estimate, camera: Any, name: str | None = None
    ) -> tuple[NDArray, NDArray, NDArray]:
        """Return colour [H,W,3] 0..1, alpha [H,W] and depth [H,W] m of the robot as estimated.

        Colours are as the camera sees them (gain and bias); depth is 0 where nothing is drawn.

        Args:
            estimate: of this tracker.
            camera: intrinsics of the image.
            name: of the camera; None: the first.
        """
        eye = self._camera(name)
        target = eye.bare(self.config, camera, None)
        T = estimate.T_base_camera if name is None else estimate.cameras[name].T
        if eye.link >= 0 and name is None:
            T = estimate.cameras[self._first].T
        out = self._colored.images(estimate.q, T, target)
        alpha = out.alpha
        solid = np.maximum(alpha, 1e-4)
        color = out.rgb / solid[..., None] * eye.appearance.gain + eye.appearance.bias
        depth = np.where(alpha > 0.5, out.depth / solid, 0.0)
        return np.clip(color, 0, 1).astype(np.float32), alpha, depth.astype(np.float32)

    # -- one moment, step by step ---------------------------------------------------------------

    def _camera(self, name: str | None) -> TrackedCamera:
        name = self._first if name is None else name
        if name not in self._cameras:
            raise unknown_name("camera", name, list(self._cameras))
        return self._cameras[name]

    def _pose(self, name: str) -> Matrix:
        T = self._cameras[name].T
        if T is None:
            known = f" of camera {name!r}" if len(self._cameras) > 1 else ""
            raise InputError(
                f"the camera pose{known} is unknown: call reset(T_base_camera=...) first"
            )
        return T

    def _check(self, observation: Observation | Sequence[Observation]) -> list[Seen]:
        images = [observation] if isinstance(observation, Observation) else list(observation)
        if not images:
            raise InputError("no image: update needs one of at least one camera")
        names = [o.camera_name or self._first for o in images]
        if len(set(names)) < len(names):
            raise InputError(f"one image per camera, got those of: {', '.join(names)}")
        for name in names:
            self._camera(name)
            self._pose(name)
        encoders = images[0].joint_positions
        if encoders is not None and np.shape(encoders) != (self.model.nq,):
            raise InputError(
                f"joint_positions must be {self.model.nq} numbers, got {np.shape(encoders)}"
            )
        return [
            Seen(n, o, {w: make_level(o, w) for w in self._widths()})
            for n, o in zip(names, images, strict=True)
        ]

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

    def _find(self, seen: list[Seen], start: Start, encoders: Vector | None) -> Vector:
        """Search around a start, and refine region by region: at first, and when in doubt."""
        config = self.config
        width = min(seen[0].levels)
        for s in seen:
            self._cameras[s.name].silhouette.start(s.levels[width])
        sigma = config.start_sigma_rad * (0.5 if self._started else 1.0)
        if encoders is not None and config.encoder_sigma_rad > 0:
            sigma = min(sigma, 3 * config.encoder_sigma_rad)
        if not config.estimate_joints or config.search_hypotheses == 0 or sigma == 0:
            return start.q
        known_mask = config.use_mask and all(s.levels[width].mask is not None for s in seen)
        score = JointScore([self._score(s, start) for s in seen])
        q, T = start.q, start.T[seen[0].name]
        best, best_score = q, float(score(q[None], T)[0])
        spread = np.full(self.model.nv, sigma)
        share = config.search_hypotheses // 2
        for scale in (1.0, 0.4, 0.2):
            found, _ = search_joints(
                score, self._coordinates, q, spread * scale, T, self._limits, share, self._rng
            )
            stages = [Stage(width, 2, 5), Stage(width, 1, 5)] * 2
            refined = [
                self._solve_stages(seen, Start(x, start.T), stages, 0.0, None, None)[0].q
                for x in ([q, found] if known_mask else [found])
            ]
            for candidate in (found, *refined):
                candidate_score = float(score(candidate[None], T)[0])
                if candidate_score > best_score:
                    best, best_score = candidate, candidate_score
            q, share = best, share // 2
        return best

    def _score(self, seen: Seen, start: Start) -> tuple[RegionScore, Matrix]:
        camera, level = self._cameras[seen.name], seen.levels[min(seen.levels)]
        score = RegionScore(
            self._search,
            camera.bare(self.config, level.camera, level.weight),
            camera.silhouette.clusters_of(level),
        )
        return score, start.T[seen.name]

    def _refine(
        self,
        seen: list[Seen],
        start: Start,
        dt: float,
        encoders: Vector | None,
        started: float,
    ) -> tuple[Solution, list[ImageTarget]]:
        n = self.config.iterations
        widths = seen[0].levels
        coarse, fine = min(widths), max(widths)
        stages = [Stage(coarse, 1, n), Stage(fine, 0, n)]
        if not self._started:
            stages = [Stage(coarse, 1, n), Stage(fine, 0, 3 * n), Stage(fine, 0, 2 * n)]
        budget = self.config.budget_ms
        deadline = started + budget * 1e-3 if budget > 0 and self._started else None
        return self._solve_stages(seen, start, stages, dt, encoders, deadline)

    def _solve_stages(
        self,
        seen: list[Seen],
        start: Start,
        stages: list[Stage],
        dt: float,
        encoders: Vector | None,
        deadline_s: float | None,
    ) -> tuple[Solution, list[ImageTarget]]:
        config = self.config
        priors = self._joint_priors(start.q, dt, encoders)
        cameras = [self._unknown(s.name, start.T[s.name]) for s in seen]
        budget_s = 1e-3 * config.budget_ms
        self._relight(seen[0].name, start)
        iterations = 0
        state: State | None = None
        solution: Solution | None = None
        targets: list[ImageTarget] = []
        for stage in stages:
            coarse = stage.width <= SEARCH_WIDTH
            model = self._solve_coarse if coarse else self._fine
            q = start.q if state is None else state.q[0]
            poses = [start.T[s.name] for s in seen] if state is None else state.T_cameras
            targets = [
                self._cameras[s.name].target(
                    config, s.levels[stage.width], self._coarse, q, T, stage.blur_px
                )
                for s, T in zip(seen, poses, strict=True)
            ]
            problem = Problem(
                [
                    Moment(
                        start.q, [View(model, t, i) for i, t in enumerate(targets)], priors=priors
                    )
                ],
                cameras,
                np.full(self.model.nv, config.estimate_joints),
                *self._limits,
                image_weight=config.image_weight * (4.0 if coarse else 1.0),
            )
            # The coarse levels must leave time for the finest, which is where accuracy comes from.
            last = stage is stages[-1]
            until = deadline_s if last or deadline_s is None else deadline_s - 0.6 * budget_s
            solution = solve(
                problem, self._coordinates, SolverConfig(), stage.iterations, until, state
            )
            state = solution.state
            iterations += solution.iterations
        assert solution is not None
        return dataclasses.replace(solution, iterations=iterations), targets

    def _relight(self, name: str, start: Start) -> None:
        """Colour splats that have a light or harmonics as a camera would see them at the start."""
        if not self._lit:
            return
        T_links = self.model.forward_kinematics(torch.from_numpy(start.q)).float()
        eye = torch.from_numpy(self._in_base(name, start.q, start.T[name])).float()
        for model, splats in self._lit:
            model.recolor(splats.seen_colors(T_links, eye).detach().numpy())

    def _joint_priors(self, q: Vector, dt: float, encoders: Vector | None) -> list[JointPrior]:
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
        return joints

    def _unknown(self, name: str, T: Matrix) -> CameraUnknown:
        config, camera = self.config, self._cameras[name]
        prior = None
        if config.camera_sigma_m > 0 and config.camera_sigma_rad > 0:
            sigma = np.repeat([config.camera_sigma_m, config.camera_sigma_rad], 3)
            prior = CameraPrior(np.asarray(camera.start_T), sigma)
        return CameraUnknown(T, camera.is_free(config), prior)

    def _finish(
        self,
        seen: list[Seen],
        solution: Solution,
        targets: list[ImageTarget],
        dt: float,
        started: float,
    ) -> Estimate:
        config = self.config
        q, poses = solution.q, solution.state.T_cameras
        images, agreements = [], []
        for s, target, T in zip(seen, targets, poses, strict=True):
            camera, level = self._cameras[s.name], s.levels[max(s.levels)]
            images.append(self._fine.images(q, T, camera.bare(config, level.camera, level.weight)))
            agreements.append(camera.silhouette.agreement(target, images[-1]))
        insides = np.array([max(s.inside, 1e-6) for s in solution.statistics])
        agreement = float(np.average(agreements, weights=insides))
        visible = float(sum(s.inside for s in solution.statistics))
        state = self._belief.judge(config, agreement, visible, solution.stop_reason)
        if dt > 0:
            measured = self._coordinates.difference(self._q, q) / dt
            self._velocity = 0.5 * self._velocity + 0.5 * measured
        self._q, self._started = q, True
        for s, T in zip(seen, poses, strict=True):
            self._cameras[s.name].T = T
        if self._belief.gave_up:
            self._velocity = np.zeros(self.model.nv)
            if state is TrackingState.LOST:
                # What led here is no longer believed: look around the last place that was.
                self._started = False
                self._q = self._believed_q
                for camera in self._cameras.values():
                    camera.T = camera.believed_T
        elif state is TrackingState.TRACKING:
            self._believed_q = q
            for s, T, image in zip(seen, poses, images, strict=True):
                camera = self._cameras[s.name]
                camera.believed_T = T
                if config.learn_background and camera.link < 0:
                    camera.silhouette.learn(s.levels[max(s.levels)], image)
        if not self._by_parts:
            for s, statistics in zip(seen, solution.statistics, strict=True):
                camera = self._cameras[s.name]
                camera.appearance = camera.appearance.updated(statistics)
        masked = config.use_mask and all(s.observation.mask is not None for s in seen)
        uncertainty = uncertainty_of(solution, masked)
        cameras = {
            s.name: CameraEstimate(
                T=T,
                T_base_camera=self._in_base(s.name, q, T),
                covariance=uncertainty.cameras[i],
                agreement=agreements[i],
                visible=solution.statistics[i].inside,
            )
            for i, (s, T) in enumerate(zip(seen, poses, strict=True))
        }
        main = cameras[seen[0].name]
        return Estimate(
            stamp_s=seen[0].observation.stamp_s,
            q=q,
            T_base_camera=main.T_base_camera,
            covariance=uncertainty.covariance,
            q_std=uncertainty.q_std,
            camera_covariance=main.covariance,
            residual=sum(s.inside_error for s in solution.statistics) / float(insides.sum()),
            agreement=agreement,
            visible=visible,
            iterations=solution.iterations,
            stop_reason=solution.stop_reason,
            state=state,
            solve_time_s=time.perf_counter() - started,
            cameras=cameras,
        )

    def _in_base(self, name: str, q: Vector, T: Matrix) -> Matrix:
        link = self._cameras[name].link
        if link < 0:
            return T
        links = self.model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64))
        return links[link].numpy() @ T


@dataclasses.dataclass(frozen=True)
class JointScore:
    """Adds up what several cameras say of joint positions, each from its own pose."""

    parts: list[tuple[RegionScore, Matrix]]

    def __call__(self, q: Vector, T_camera: Matrix) -> Vector:
        """Return the scores [n] of joint positions [n,nq]; the cameras' own poses are used."""
        return np.sum([score(q, T) for score, T in self.parts], axis=0)
