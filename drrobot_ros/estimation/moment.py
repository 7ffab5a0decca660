"""What belongs to one moment of tracking: images, where the solution starts, its passes."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.observation import Observation

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

SEARCH_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Stage:
    """One pass of the coarse-to-fine solution: level width, blur and iterations."""

    width: int
    blur_px: int
    iterations: int

    @property
    def coarse(self) -> bool:
        """Whether few splats are enough."""
        return self.width <= SEARCH_WIDTH


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
