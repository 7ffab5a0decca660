"""Joint positions under consideration, and what follows from them, computed once for all terms."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.robot import RobotModel


@dataclasses.dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera from which the robot is rendered.

    Attributes:
        camera: intrinsics and image size.
        T_base_camera: [4,4] pose, optical axes.
        background: colour [3] behind the robot, 0..1.
    """

    camera: PinholeCamera
    T_base_camera: NDArray[np.float64]
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        T = np.asarray(self.T_base_camera, np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise InputError(f"T_base_camera must be a finite 4x4 matrix, got {T}")
        object.__setattr__(self, "T_base_camera", T)


@dataclasses.dataclass(frozen=True, eq=False)
class RenderedView:
    """What a viewpoint shows: colours [H,W,3] 0..1 on its background, alpha [H,W], depth [H,W]."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor


class Candidate:
    """A batch of joint positions: independent poses, or the time steps of one motion.

    Args:
        model: the robot.
        gaussians: its splats.
        q: [B, nq]; gradients reach it through everything below.
        views: from where it can be rendered.
    """

    def __init__(
        self, model: RobotModel, gaussians: Any, q: Tensor, views: tuple[Viewpoint, ...] = ()
    ) -> None:
        if q.ndim != 2 or q.shape[1] != model.nq:
            raise InputError(f"q must be [B, {model.nq}], got {list(q.shape)}")
        self.model, self.gaussians, self.q, self.views = model, gaussians, q, views
        self._links: Tensor | None = None
        self._rendered: dict[tuple[int, int], RenderedView] = {}

    @property
    def T_base_link(self) -> Tensor:
        """Poses of all links [B,L,4,4]."""
        if self._links is None:
            self._links = self.model.forward_kinematics(self.q)
        return self._links

    def render(self, step: int, view: int) -> RenderedView:
        """Return one pose seen from one viewpoint.

        Raises:
            InputError: there is no such viewpoint.
        """
        if not 0 <= view < len(self.views):
            raise InputError(f"no viewpoint {view}; there are {len(self.views)}")
        key = (step, view)
        if key not in self._rendered:
            at = self.views[view]
            rgb, alpha, depth = render_robot(
                self.model,
                self.gaussians,
                self.q[step],
                at.T_base_camera,
                at.camera,
                background=torch.tensor(at.background),
            )
            self._rendered[key] = RenderedView(rgb, alpha, depth)
        return self._rendered[key]
