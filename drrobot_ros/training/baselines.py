"""What a self-model is compared with: no training, the nearest of many images, a random image.

Source: the rows of table 1 of Liu et al. 2024, "Differentiable Robot Rendering".
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.training.dataset import RobotDataset


class RetrievedImage:
    """Answers with a picture of the robot in another pose, drawn perfectly from the asked camera.

    Args:
        model: the robot.
        dataset: whose camera, light and kind of poses it shares.
        count: random poses to choose the nearest of; 1 makes it a random image.
        seed: of the poses.

    Raises:
        BackendError: there is no off-screen OpenGL.
    """

    def __init__(self, model: Any, dataset: RobotDataset, count: int = 1000, seed: int = 1) -> None:
        from drrobot_ros.simulation import SimulatedRobot
        from drrobot_ros.training.dataset_render import scene_of

        self._model, self._dataset = model, dataset
        self._known = model.random_configuration(count, seed)
        self._robot = SimulatedRobot(model, dataset.camera, np.eye(4), scene_of(dataset.config, 0))

    def close(self) -> None:
        """Free the renderer."""
        self._robot.close()

    def nearest(self, q: NDArray[np.float64]) -> Tensor:
        """Return the known pose [nq] nearest to q, by the length of the velocity between them."""
        target = torch.as_tensor(q).expand_as(self._known)
        return self._known[self._model.difference(target, self._known).norm(dim=-1).argmin()]

    def image(
        self, q: NDArray[np.float64], T_base_camera: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """Return colours [H, W, 3] 0..1 and coverage [H, W] of the answer to a pose."""
        frame = self._robot.render(self.nearest(q).numpy(), T_base_camera=T_base_camera)
        rgb = torch.from_numpy(frame.rgb.astype(np.float32) / 255)
        return rgb, torch.from_numpy(np.asarray(frame.mask, np.float32))

    def points(self, q: NDArray[np.float64]) -> Tensor:
        """Return points [K, 3] on the surface of the answer, base frame, m."""
        T = self._model.forward_kinematics(self.nearest(q)).float()
        T = T[torch.from_numpy(self._dataset.surface_links)]
        local = torch.from_numpy(self._dataset.surface_points)
        return (T[:, :3, :3] @ local[:, :, None])[..., 0] + T[:, :3, 3]
