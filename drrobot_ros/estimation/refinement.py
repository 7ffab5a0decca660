"""Coarse-to-fine solution of one moment: what each camera's image says, and the priors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.mesh_outline import corrected
from drrobot_ros.estimation.moment import Matrix, Seen, Stage, Start, Vector
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
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
from drrobot_ros.estimation.robot_images import RobotImages
from drrobot_ros.estimation.solver import SolverConfig, solve
from drrobot_ros.estimation.tracked_camera import TrackedCamera


@dataclasses.dataclass(frozen=True)
class Priors:
    """What is known before the images: of the joints, and of each camera by name."""

    joints: Sequence[JointPrior] = ()
    cameras: Mapping[str, CameraPrior] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Refinement:
    """Solves moments.

    Attributes:
        model: the robot.
        config: settings.
        coordinates: how velocities move q.
        limits: joint limits, lower and upper [nq].
        images: what the robot is rendered with.
        cameras: by name.
    """

    model: Any
    config: TrackerConfig
    coordinates: Coordinates
    limits: tuple[Vector, Vector]
    images: RobotImages
    cameras: Mapping[str, TrackedCamera]

    def solve(
        self,
        seen: list[Seen],
        start: Start,
        stages: Sequence[Stage],
        priors: Priors,
        deadline_s: float | None = None,
    ) -> tuple[Solution, list[ImageTarget]]:
        """Solve stage by stage; return the solution and the last stage's targets.

        Args:
            seen: the images.
            start: where to start.
            stages: from coarse to fine.
            priors: what is known before.
            deadline_s: value of ``time.perf_counter()`` by which to be done.
        """
        config = self.config
        cameras = [self._unknown(s.name, start.T[s.name], priors) for s in seen]
        self._relight(seen[0].name, start)
        iterations = 0
        state: State | None = None
        solution: Solution | None = None
        targets: list[ImageTarget] = []
        for stage in stages:
            q = start.q if state is None else state.q[0]
            poses = [start.T[s.name] for s in seen] if state is None else state.T_cameras
            views = [
                self._view(s, stage, q, T, i)
                for i, (s, T) in enumerate(zip(seen, poses, strict=True))
            ]
            targets = [view.target for view in views]
            problem = Problem(
                [Moment(start.q, views, priors=priors.joints)],
                cameras,
                np.full(self.model.nv, config.estimate_joints),
                *self.limits,
                image_weight=config.image_weight * (4.0 if stage.coarse else 1.0),
            )
            # The coarse levels must leave time for the finest, which is where accuracy comes from.
            until = deadline_s
            if deadline_s is not None and stage is not stages[-1]:
                until = deadline_s - 0.6e-3 * config.budget_ms
            solution = solve(
                problem, self.coordinates, SolverConfig(), stage.iterations, until, state
            )
            state = solution.state
            iterations += solution.iterations
        assert solution is not None
        return dataclasses.replace(solution, iterations=iterations), targets

    def in_base(self, name: str, q: Vector, T: Matrix) -> Matrix:
        """Return a camera's pose in the base [4,4], whatever carries it."""
        link = self.cameras[name].link
        if link < 0:
            return T
        links = self.model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64))
        return links[link].numpy() @ T

    def _view(self, seen: Seen, stage: Stage, q: Vector, T: Matrix, index: int) -> View:
        camera, level = self.cameras[seen.name], seen.levels[stage.width]
        images, config = self.images, self.config
        bare = camera.bare(config, level.camera, level.weight)
        outline = None
        if images.outline is not None and config.mesh_outline and not stage.coarse:
            outline = images.outline.begin(q, T, level.camera, bare.camera_link)
        # The meshes are compared with the splats whose residuals they correct.
        drawn = (images.coarse if outline is None else images.fine).images(q, T, bare)
        target = camera.target(config, level, drawn, stage.blur_px)
        model: ImageModel = images.coarse if stage.coarse else images.fine
        if images.residual == "photometric":
            model = images.coarse_colored if stage.coarse else images.colored
        elif images.residual == "shaded" and not stage.coarse:
            model, target = camera.shaded(config, level, target, images, q, T)
        if outline is not None:
            target = corrected(target, drawn.alpha, outline())
        return View(model, target, index)

    def _unknown(self, name: str, T: Matrix, priors: Priors) -> CameraUnknown:
        free = self.cameras[name].is_free(self.config)
        return CameraUnknown(T, free, priors.cameras.get(name) if free else None)

    def _relight(self, name: str, start: Start) -> None:
        """Colour splats that have a light or harmonics as a camera would see them at the start."""
        if self.images.residual != "photometric" or not self.images.lit:
            return
        T_links = self.model.forward_kinematics(torch.from_numpy(start.q)).float()
        eye = torch.from_numpy(self.in_base(name, start.q, start.T[name])).float()
        self.images.relight(T_links, eye)
