"""Joint angles and camera poses from a stream of images, each warm-started from the last."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.estimation.appraisal import Appraisal
from drrobot_ros.estimation.belief import Belief, Evidence
from drrobot_ros.estimation.camera_memory import without_joints
from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.finding import JointFinder
from drrobot_ros.estimation.joint_memory import JointMemory
from drrobot_ros.estimation.levels import make_level, without
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.moment import SEARCH_WIDTH, Matrix, Seen, Stage, Start, Vector
from drrobot_ros.estimation.normal_equations import ImageTarget
from drrobot_ros.estimation.observability import unobserved, velocity_names
from drrobot_ros.estimation.observation import (
    CameraEstimate,
    Estimate,
    Observation,
    TrackingState,
)
from drrobot_ros.estimation.probe import margin as margin_of
from drrobot_ros.estimation.problem import JointPrior, Solution
from drrobot_ros.estimation.refinement import Priors, Refinement
from drrobot_ros.estimation.relocation import Relocation
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.tracked_camera import CameraMount, TrackedCamera
from drrobot_ros.estimation.uncertainty import inflation_of, uncertainty_of

# The neighbours of an estimate are looked at in every so many images.
PROBE_EVERY = 5
# Share of the budget that is left to what comes after solving, at most.
_FINISH = 0.3


class Tracker:
    """Estimates joint positions, and if wanted camera poses, image by image.

    Args:
        model: the robot.
        gaussians: its splats.
        config: settings.
        cameras: how each camera is mounted, by name; None: one camera fixed to the base.
        run_search: runs the search for a lost robot; None: a thread.

    Raises:
        InputError: a link that the robot does not have, or no camera at all.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        config: TrackerConfig | None = None,
        cameras: Mapping[str, CameraMount] | None = None,
        run_search: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.model = model
        self._config = config or TrackerConfig()
        self._coordinates = Coordinates.of(model.tree, model.nq, model.nv)
        self._images = RobotImages.of(
            model, gaussians, self.config.color_residual, self.config.device
        )
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
        self._relocation = Relocation(
            model, gaussians, self._coordinates, self._limits, self._cameras, run_search
        )
        self._velocity_names = velocity_names(model, self._coordinates)
        self._refinement = Refinement(
            model, self.config, self._coordinates, self._limits, self._images, self._cameras
        )
        self.reset()

    @property
    def config(self) -> TrackerConfig:
        """The settings; new ones hold from the next image on, but for what is read-only."""
        return self._config

    @config.setter
    def config(self, config: TrackerConfig) -> None:
        self._config = config
        self._refinement = dataclasses.replace(self._refinement, config=config)
        self._finder = dataclasses.replace(self._finder, config=config)

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
        self._relocation.reset()
        self._state = TrackingState.UNCERTAIN
        config = self.config
        self._memory = JointMemory(config, self._coordinates)
        self._stamp_s: float | None = None
        self._belief = Belief()
        self._started = False
        self._updates = 0
        self._finish_s = 0.0
        self._finder = JointFinder(
            config,
            self._coordinates,
            self._limits,
            self._images,
            self._cameras,
            np.random.default_rng(0),
        )

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
            camera.silhouette.teach(
                level, self._images.coarse.images(q, self._pose(seen.name), bare)
            )

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
        dt = self._advance(first.stamp_s)
        readings = self._memory.corrected(
            first.joint_positions, self._q, dt, first.joint_velocities
        )
        step, sigma = self._memory.motion.predict(dt)
        q = np.clip(self._coordinates.integrate(self._q, step), *self._limits)
        if readings is not None and not self._started:
            q = np.where(np.isfinite(readings), readings, q)
        start = Start(q, {s.name: self._pose(s.name) for s in seen})
        seen = [self._without_hidden(s, start) for s in seen]
        start = self._recovered(seen, start)
        predicted = self._start_prior(start.q)
        if self._belief.gave_up or (self._belief.search_due and not self._relocation.searching):
            start = dataclasses.replace(start, q=self._find(seen, start, readings is not None))
        if self._started and dt > 0:
            predicted = JointPrior(start.q, sigma)
        joints = self._memory.priors(predicted, readings)
        priors = dataclasses.replace(self._camera_priors(), joints=joints)
        solution, targets = self._refine(seen, start, priors, started)
        solved = time.perf_counter()
        estimate = self._finish(seen, start, solution, targets, dt, readings, started)
        self._finish_s += 0.2 * (time.perf_counter() - solved - self._finish_s)
        return estimate

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
        out = self._images.colored.images(estimate.q, T, target)
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
            self._seen(n, self._cameras[n].seen(self.config, o))
            for n, o in zip(names, images, strict=True)
        ]

    def _seen(self, name: str, observation: Observation) -> Seen:
        fine = self.config.fine_width
        widths = sorted({min(SEARCH_WIDTH, fine), fine})
        return Seen(name, observation, {w: make_level(observation, w) for w in widths})

    def _without_hidden(self, seen: Seen, start: Start) -> Seen:
        """Leave out the pixels of what hides the robot."""
        if not self.config.ignore_occluders:
            return seen
        camera, fine = self._cameras[seen.name], max(seen.levels)
        level = seen.levels[fine]
        rendered = None
        if level.depth is not None and self._started:
            bare = camera.bare(self.config, level.camera, None)
            rendered = self._images.coarse.images(start.q, start.T[seen.name], bare)
        hidden = camera.hidden(level, rendered)
        if hidden is None or not hidden.any():
            return seen
        return dataclasses.replace(
            seen, levels={w: without(x, hidden) for w, x in seen.levels.items()}
        )

    def _advance(self, stamp_s: float) -> float:
        """Return the time since the last image; a jump of the clock forgets the motion."""
        dt = 0.0 if self._stamp_s is None else stamp_s - self._stamp_s
        if not 0.0 < dt < 0.5:
            self._memory.motion.stop()
            dt = 0.0
        self._stamp_s = stamp_s
        return dt

    def _start_prior(self, q: Vector) -> JointPrior | None:
        """Return what a start says of joints: what the image hardly shows stays near it."""
        sigma = self._start_sigma()
        return JointPrior(q, np.full(self.model.nv, sigma)) if sigma > 0 else None

    def _start_sigma(self) -> float:
        return self.config.start_sigma_rad * (0.5 if self._started else 1.0)

    def _find(self, seen: list[Seen], start: Start, encoders: bool) -> Vector:
        config, sigma = self.config, self._start_sigma()
        solve = functools.partial(self._solve_coarsely, known=self._start_prior(start.q))
        if encoders and config.encoder_sigma_rad > 0:
            total = np.hypot(config.encoder_sigma_rad, config.encoder_offset_sigma_rad)
            sigma = min(sigma, 3 * float(total))
        return self._finder.find(seen, start, sigma, solve)

    def _solve_coarsely(
        self,
        seen: list[Seen],
        start: Start,
        stages: list[Stage],
        known: JointPrior | None = None,
    ) -> Vector:
        priors = dataclasses.replace(self._camera_priors(), joints=[] if known is None else [known])
        return self._refinement.solve(seen, start, stages, priors)[0].q

    def _camera_priors(self) -> Priors:
        found = {name: camera.prior(self.config) for name, camera in self._cameras.items()}
        return Priors(cameras={name: p for name, p in found.items() if p is not None})

    def _refine(
        self, seen: list[Seen], start: Start, priors: Priors, started: float
    ) -> tuple[Solution, list[ImageTarget]]:
        n = self.config.iterations
        widths = seen[0].levels
        coarse, fine = min(widths), max(widths)
        stages = [Stage(coarse, 1, n), Stage(fine, 0, n)]
        if not self._started:
            stages = [Stage(coarse, 1, n), Stage(fine, 0, 3 * n), Stage(fine, 0, 2 * n)]
        budget = self.config.budget_ms
        deadline = None
        if budget > 0 and self._started:
            # What comes after solving takes about as long as it did lately.
            deadline = started + budget * 1e-3 - min(self._finish_s, _FINISH * budget * 1e-3)
        return self._refinement.solve(seen, start, stages, priors, deadline)

    def _finish(
        self,
        seen: list[Seen],
        start: Start,
        solution: Solution,
        targets: list[ImageTarget],
        dt: float,
        readings: Vector | None,
        started: float,
    ) -> Estimate:
        config = self.config
        # Start plus offset may round past a limit.
        q, poses = np.clip(solution.q, *self._limits), solution.state.T_cameras
        shown = Appraisal.of(config, self._images, self._cameras, seen, targets, solution, q)
        lead = self._margin(seen, q, list(poses))
        evidence = Evidence(
            shown.agreement,
            shown.visible,
            solution.stop_reason,
            lead,
            shown.outline,
            shown.depth,
        )
        state = self._state = self._belief.judge(config, evidence)
        margin = self._belief.margin
        self._memory.add(start.q, solution, readings, dt > 0)
        self._remember_cameras(seen, solution)
        self._q, self._started = q, True
        for s, T in zip(seen, poses, strict=True):
            self._cameras[s.name].T = T
        self._relocation.look_for(config, self._belief, state, seen, self._believed_q)
        if self._belief.gave_up:
            self._memory.motion.stop()
            if state is TrackingState.LOST:
                # What led here is no longer believed: look around the last place that was.
                self._started = False
                self._q = self._believed_q
                for camera in self._cameras.values():
                    camera.T = camera.believed_T
        elif state is TrackingState.TRACKING:
            self._believed_q = q
            for s, T, image in zip(seen, poses, shown.images, strict=True):
                camera = self._cameras[s.name]
                camera.believed_T = T
                camera.learn(config, s.levels[max(s.levels)], image)
        if self._images.residual == "photometric":
            for s, statistics in zip(seen, solution.statistics, strict=True):
                camera = self._cameras[s.name]
                camera.appearance = camera.appearance.updated(statistics)
        return self._answer(seen, solution, q, shown, state, margin, readings, started)

    def _answer(
        self,
        seen: list[Seen],
        solution: Solution,
        q: Vector,
        shown: Appraisal,
        state: TrackingState,
        margin: float | None,
        readings: Vector | None,
        started: float,
    ) -> Estimate:
        config, poses = self.config, solution.state.T_cameras
        masked = config.use_mask and all(s.observation.mask is not None for s in seen)
        known = self._memory.known(solution, readings)
        meshes = config.mesh_outline and self._images.outline is not None
        inflation = inflation_of(masked, meshes)
        uncertainty = uncertainty_of(solution, inflation, known)
        cameras = {
            s.name: CameraEstimate(
                T=T,
                T_base_camera=self._refinement.in_base(s.name, q, T),
                covariance=uncertainty.cameras[i],
                agreement=shown.agreements[i],
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
            residual=shown.residual,
            agreement=shown.agreement,
            visible=shown.visible,
            iterations=solution.iterations,
            stop_reason=solution.stop_reason,
            state=state,
            solve_time_s=time.perf_counter() - started,
            cameras=cameras,
            margin=margin,
            unobserved=unobserved(
                solution, inflation, self._velocity_names, [s.name for s in seen]
            ),
            searching=self._relocation.progress,
            lag_s=self._memory.lag[0],
            lag_std_s=self._memory.lag[1],
        )

    def _recovered(self, seen: list[Seen], start: Start) -> Start:
        """Start from where a search found the robot, if that explains the images better."""
        found = self._relocation.found(
            self.config,
            self._state,
            seen,
            start,
            self._believed_q,
            self._finder,
            self._solve_coarsely,
            lambda seen, start: self._find(seen, start, False),
        )
        if found is None:
            return start
        start, self._belief = found
        self._memory.motion.stop()
        self._started, self._updates = False, 0
        return start

    def _margin(self, seen: list[Seen], q: Vector, poses: Sequence[Matrix]) -> float | None:
        """Return the lead over neighbouring poses, at times; of several cameras the mean."""
        config = self.config
        self._updates += 1
        if config.uncertain_margin <= -1.0 or (self._updates - 1) % PROBE_EVERY:
            return None
        joints = np.full(self.model.nv, config.estimate_joints)
        leads = []
        for s, T in zip(seen, poses, strict=True):
            score = self._finder.score(s)
            free = self._cameras[s.name].is_free(config)
            leads.append(margin_of(score, self._coordinates, self._limits, q, T, joints, free))
        return float(np.mean(leads))

    def _remember_cameras(self, seen: list[Seen], solution: Solution) -> None:
        layout, H = solution.layout, solution.informations[0]
        joints = layout.offset[layout.offset >= 0]
        for s, column, T in zip(seen, layout.camera, solution.state.T_cameras, strict=True):
            if column >= 0:
                told = without_joints(H, column, joints)
                self._cameras[s.name].remember(self.config, T, told)
