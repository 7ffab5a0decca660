"""From where a robot is looked at when its pose is to be named: from the front, in a fan."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.text.captions import HandPoses, PoseNames, pose_names
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel

_FOV = 0.7  # rad
_VIEW_PX = 128  # edge of the views from which a sentence alone is judged
_GREY = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where a robot's poses are shown.

    Attributes:
        center: middle of the pictures [3], base frame, m.
        radius_m: of the sphere that holds the poses.
        spread_rad: how far to either side of the front a robot can be looked at and its poses still
            told: an arm seen from half-way to the left reaches forward as it does to the right
            seen from half-way to the right.
    """

    center: np.ndarray
    radius_m: float
    spread_rad: float

    @classmethod
    def of(cls, model: RobotModel, names: PoseNames) -> "Stage":
        """Return the stage of a robot: of a hand, from the palm on; of an arm, all it can reach."""
        neutral = torch.from_numpy(np.asarray(model.neutral(), np.float64))
        T = model.forward_kinematics(neutral)[:, :3, 3].numpy()
        moving = np.flatnonzero(model.tree.v_index >= 0)
        if isinstance(names, HandPoses):
            fingers = T[moving[2:]]
            center = (fingers.min(0) + fingers.max(0)) / 2
            return cls(center, 1.25 * float(np.linalg.norm(fingers - center, axis=1).max()), 0.6)
        random = np.random.default_rng(0)
        poses = np.stack([names.sample(random, None) for _ in range(200)])
        every = model.forward_kinematics(torch.from_numpy(poses))[..., :3, 3].numpy()
        shoulder = T[moving[1]]
        reach = float(np.quantile(np.linalg.norm(every[:, -1] - shoulder, axis=1), 0.98))
        return cls(shoulder + 0.25 * reach * np.eye(3)[2], reach, 0.4)

    def view(self, azimuth: float, elevation: float, size: int, zoom: float = 1.0) -> Viewpoint:
        """Return a viewpoint in front (base frame's +x), turned to the left by the azimuth, rad."""
        distance = self.radius_m / np.tan(_FOV / 2) / zoom
        c, s = np.cos(elevation), np.sin(elevation)
        eye = self.center + distance * np.array([c * np.cos(azimuth), c * np.sin(azimuth), s])
        camera = PinholeCamera.from_fov(size, size, _FOV)
        # Grey: white robots must not vanish.
        return Viewpoint(camera, look_at(eye, self.center), (0.55, 0.6, 0.65))

    def fan(self, count: int, size: int) -> tuple[Viewpoint, ...]:
        """Return viewpoints side by side."""
        angles = self.spread_rad * (np.linspace(-1, 1, count) if count > 1 else np.zeros(1))
        return tuple(self.view(a, np.radians(20), size) for a in angles)


def sentence_views(model: RobotModel, start: NDArray[np.float64]) -> tuple[Viewpoint, ...]:
    """Return viewpoints from which a sentence alone is judged: those its model was trained on.

    A robot that is neither a hand nor an arm has no front that is known: it is looked at from
    around where it sees best what it is at the start.

    Args:
        model: the robot.
        start: joint positions [nq].
    """
    try:
        return Stage.of(model, pose_names(model)).fan(3, _VIEW_PX)
    except InputError:
        camera = PinholeCamera.from_fov(_VIEW_PX, _VIEW_PX, 0.7)
        return tuple(
            Viewpoint(camera, pose_that_sees(model, start, camera, turned), _GREY)
            for turned in (-0.5, 0.0, 0.5)
        )
