"""Checks of images that come from outside."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drrobot_ros.errors import InputError


def check_image(image: Any, what: str) -> None:
    """Raise InputError unless an image is uint8 [H,W,3]."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"{what} must be uint8 [H, W, 3], got {array.dtype} {list(array.shape)}")


def check_images(images: Sequence[Any]) -> None:
    """Raise InputError unless images are at least two, uint8 [H,W,3] and of one size."""
    if len(images) < 2:
        raise InputError(f"a video needs at least two images, got {len(images)}")
    for i, image in enumerate(images):
        check_image(image, f"image {i} of the video")
        if np.shape(image) != np.shape(images[0]):
            raise InputError(
                f"image {i} of the video is {list(np.shape(image)[:2])}, the first one "
                f"{list(np.shape(images[0])[:2])}"
            )
