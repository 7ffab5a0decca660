"""One observation at one pyramid level."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.observation import Observation
from drrobot_ros.geometry.camera import PinholeCamera

FloatImage = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Level:
    """An observation resized.

    Attributes:
        camera: intrinsics of this level.
        pixels: [H,W,3] uint8 RGB.
        color: [H,W,3] 0..1.
        mask: probability of the robot [H,W], or None.
        weight: 0 where the image is ignored [H,W], or None.
        depth: [H,W] m, 0 unknown, or None.
    """

    camera: PinholeCamera
    pixels: NDArray[np.uint8]
    color: FloatImage
    mask: FloatImage | None
    weight: FloatImage | None
    depth: FloatImage | None


def make_level(observation: Observation, width: int) -> Level:
    """Resize an observation to a width; areas are averaged, depth takes the nearest pixel."""
    import cv2

    camera = observation.camera
    width = min(width, camera.width)
    height = max(1, round(camera.height * width / camera.width))
    size = (width, height)
    pixels = reduced(observation.image, size)
    mask = weight = depth = None
    if observation.mask is not None:
        mask = reduced(observation.mask.astype(np.float32), size)
    if observation.ignore_mask is not None:
        weight = 1.0 - reduced(observation.ignore_mask.astype(np.float32), size)
        weight = np.where(weight > 0.99, 1.0, 0.0).astype(np.float32)
    if observation.depth_m is not None:
        near = np.nan_to_num(observation.depth_m.astype(np.float32), posinf=0.0, neginf=0.0)
        nearest = cv2.resize(near, size, interpolation=cv2.INTER_NEAREST)
        depth = np.asarray(nearest, np.float32)
    return Level(
        camera.resized(width, height),
        pixels,
        pixels.astype(np.float32) * np.float32(1 / 255),
        mask,
        weight,
        depth,
    )


def reduced(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return an image or plane [H,W] at a size (width, height), areas being averaged."""
    import cv2

    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA))


def without(level: Level, hidden: NDArray[np.bool_]) -> Level:
    """Return a level that ignores pixels, told at the size of another level of the same image."""
    size = (level.camera.width, level.camera.height)
    share = reduced(hidden.astype(np.float32), size)
    weight = np.where(share < 0.3, 1.0, 0.0).astype(np.float32)
    return dataclasses.replace(
        level, weight=weight if level.weight is None else weight * level.weight
    )
