"""How many views of how many poses a dataset has, and what they show."""

import dataclasses

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.geometry.camera import PinholeCamera


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """How many views of how many poses, and what they show."""

    poses: int = setting(100, "random poses to train on", minimum=1, maximum=100000)
    views: int = setting(2, "views of each random pose", minimum=1, maximum=1000)
    canonical_views: int = setting(24, "views of the neutral pose", minimum=0, maximum=10000)
    validation_poses: int = setting(4, "poses to watch training with", minimum=0, maximum=10000)
    test_poses: int = setting(25, "poses kept for the evaluation", minimum=0, maximum=100000)
    width: int = setting(480, "of the images", unit="px", minimum=16, maximum=4096)
    height: int = setting(480, "of the images", unit="px", minimum=16, maximum=4096)
    fov_deg: float = setting(45.0, "vertical field of view", unit="deg", minimum=5, maximum=120)
    nearest: float = setting(
        1.0, "nearest camera, over the distance at which the robot fills the image", minimum=0.3
    )
    farthest: float = setting(1.3, "farthest camera, likewise", minimum=0.3)
    samples: int = setting(4, "per pixel, for smooth edges", choices=(0, 2, 4, 8))
    shadows: bool = setting(False, "the lamp casts shadows, which takes several times as long")
    randomize: bool = setting(
        False, "other lamps, exposures and backgrounds in each group of poses"
    )
    avoid_collisions: bool = setting(True, "leave out poses in which the robot touches itself")
    surface_points: int = setting(
        20000, "points on the outside of the robot", minimum=100, maximum=10000000
    )
    seed: int = setting(0, "of poses, cameras and lights", minimum=0)

    def __post_init__(self) -> None:
        validate(self)
        if self.nearest > self.farthest:
            raise InputError(
                f"DatasetConfig.nearest {self.nearest} is beyond farthest {self.farthest}"
            )

    @property
    def camera(self) -> PinholeCamera:
        """The camera of all views."""
        return PinholeCamera.from_fov(self.width, self.height, float(np.radians(self.fov_deg)))


#: By name: what a CPU trains on in minutes, and the protocol of Dr. Robot's paper.
DATASET_PRESETS: dict[str, DatasetConfig] = {
    "default": DatasetConfig(),
    "quick": DatasetConfig(
        poses=24, canonical_views=12, test_poses=8, width=160, height=160, surface_points=5000
    ),
    "paper": DatasetConfig(poses=1000, views=12, canonical_views=200, test_poses=100, samples=8),
}


def dataset_preset(name: str) -> DatasetConfig:
    """Return the settings of a preset.

    Raises:
        InputError: there is none of that name.
    """
    if name not in DATASET_PRESETS:
        raise unknown_name("dataset preset", name, DATASET_PRESETS)
    return DATASET_PRESETS[name]
