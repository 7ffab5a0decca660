"""The robot's true outline at an estimate, in place of the one that splats draw.

Splats round edges and reach beyond them, by another part of a pixel on each side of a link: a turn
of the base explains that as well as a shift of the contour. What they are off by is measured where
the robot is thought to be, by drawing the meshes themselves there, and taken off what they are
compared with: residuals are then those of the meshes, and only their derivatives those of splats.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.estimation.calibration.loose import AXES, LooseRobot
from drrobot_ros.estimation.manifold import inverse_se3
from drrobot_ros.estimation.normal_equations import FloatImage
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.coverage import LinkMeshes


class Outlines:
    """Draws the meshes of a robot with loose links.

    Args:
        model: the robot.
        robot: the same with loose links.
    """

    def __init__(self, model: Any, robot: LooseRobot) -> None:
        self._model, self._slides = model, robot.slides
        self._loose = np.asarray(robot.links)
        self._meshes = LinkMeshes.of(model.visuals)

    def __call__(
        self,
        q: NDArray[np.float64],
        T: NDArray[np.float64],
        link: int,
        camera: PinholeCamera,
        *,
        hard: bool,
    ) -> FloatImage:
        """Return the share of every pixel that shows the robot [H,W].

        Args:
            q: joint positions and those of the links' slides [nq of the loose robot].
            T: camera's pose [4,4] in the base, or in the link that carries it.
            link: index of that link, -1: the base.
            camera: intrinsics and size.
            hard: 1 where a pixel's centre shows it, else 0, as masks are made.
        """
        own = np.ascontiguousarray(q[: len(q) - self._slides])
        links = self._model.forward_kinematics(torch.from_numpy(own)).numpy()
        T_base_camera = T if link < 0 else links[link] @ T
        if self._slides:
            slid = np.tile(np.eye(4), (len(links), 1, 1))
            slid[self._loose, :3, 3] = q[len(own) :].reshape(-1, AXES)
            links = links @ slid
        return self._meshes.coverage(inverse_se3(T_base_camera) @ links, camera, hard=hard)
