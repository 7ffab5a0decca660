"""A segmenter that is plugged in: any function that tells the robot from an image alone."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.evidence.odds import PhotoSet
from drrobot_ros.estimation.normal_equations import FloatImage

#: Takes an image [H,W,3] uint8 RGB, returns the probability [H,W] that a pixel shows the robot.
Segmenter = Callable[[NDArray[np.uint8]], NDArray[np.floating]]

LEAST = 1e-3  # nobody is surer than this


class SegmenterSource:
    """What a segmenter says, asked once per image and size.

    Args:
        segmenter: image to probability.
        trust: factor on its log-odds; below 1 where it is surer than it is right.
    """

    def __init__(self, segmenter: Segmenter, trust: float = 0.5) -> None:
        self._segmenter, self._trust = segmenter, trust
        self._answers: dict[tuple[str, int], list[FloatImage]] = {}

    def __call__(self, photos: PhotoSet) -> Sequence[FloatImage | None]:
        """Return the log-odds of every photo.

        Raises:
            InputError: the segmenter's answer is not one probability per pixel.
        """
        key = (photos.name, photos.width)
        if key not in self._answers:
            self._answers[key] = [self._ask(level.pixels) for level in photos.levels]
        return self._answers[key]

    def _ask(self, image: NDArray[np.uint8]) -> FloatImage:
        answer = np.asarray(self._segmenter(image), np.float32)
        if answer.shape != image.shape[:2]:
            raise InputError(
                f"the segmenter answered {list(answer.shape)} to an image {list(image.shape)}; "
                f"it must be one probability per pixel, {list(image.shape[:2])}"
            )
        if not ((answer >= 0) & (answer <= 1)).all():
            raise InputError(
                f"the segmenter's probabilities must lie in 0..1, got "
                f"{answer.min():g} to {answer.max():g}"
            )
        p = np.clip(answer, LEAST, 1 - LEAST)
        return (self._trust * np.log(p / (1 - p))).astype(np.float32)
