"""The background behind the robot, learned while the robot moves before a camera that stands."""

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

ALL = (slice(None), slice(None))


class BackgroundPlate:
    """Running mean and deviation of every pixel while the robot is elsewhere.

    Args:
        memory: number of images the running mean remembers.
        settled: number of images after which a pixel is known.
    """

    def __init__(self, memory: int = 60, settled: int = 3) -> None:
        self._memory = memory
        self._settled = settled
        self._count: FloatImage | None = None
        self._mean: FloatImage | None = None
        self._square: FloatImage | None = None

    def learn(self, image: FloatImage, free: NDArray[np.bool_]) -> None:
        """Take in the pixels of an image [H,W,3] 0..1 where the robot surely is not [H,W]."""
        if self._mean is None or self._mean.shape != image.shape:
            self._count = np.zeros(image.shape[:2], np.float32)
            self._mean = np.zeros_like(image)
            self._square = np.zeros(image.shape[:2], np.float32)
        assert self._count is not None and self._square is not None
        self._count += free
        rate = np.where(free, 1.0 / np.clip(self._count, 1, self._memory), 0.0).astype(np.float32)
        error = image - self._mean
        self._mean += rate[..., None] * error
        # Welford: the error before times the error after, so that one image has no variance.
        square = (error * (image - self._mean)).mean(-1)
        self._square += rate * (square - self._square)

    @property
    def known(self) -> NDArray[np.bool_] | None:
        """Where the background is known [H,W]; None before the first image."""
        return None if self._count is None else self._count >= self._settled

    @property
    def mean(self) -> FloatImage | None:
        """The background [H,W,3]; meaningless where it is not known."""
        return self._mean

    def log_odds(
        self, image: FloatImage, roi: tuple[slice, slice] = ALL, sigma: float = 0.03
    ) -> FloatImage:
        """Return how likely each pixel is something else than the background.

        A pixel that looks like the background is weak evidence (the robot may have that colour);
        one that does not is strong evidence. Unknown pixels get 0.

        Args:
            image: [H,W,3] 0..1.
            roi: rows and columns that are wanted.
            sigma: noise of a colour channel.
        """
        odds = np.clip(self.distance(image, roi, sigma) - 2.5, -1.5, 3.0)
        known = self.known
        if known is None:
            return np.zeros_like(odds)
        return np.where(known[roi], odds, 0.0).astype(np.float32)

    def distance(
        self, image: FloatImage, roi: tuple[slice, slice] = ALL, sigma: float = 0.03
    ) -> FloatImage:
        """Return how many deviations each pixel is off the background; 0 where it is unknown."""
        seen = image[roi]
        known = self.known
        if self._mean is None or self._square is None or known is None:
            return np.zeros(seen.shape[:2], np.float32)
        deviation = np.sqrt(self._square[roi] + sigma**2)
        off = seen - self._mean[roi]
        # einsum adds three channels several times faster than a mean over the last axis.
        distance = np.sqrt(np.einsum("hwc,hwc->hw", off, off) / 3) / deviation
        return np.where(known[roi], distance, 0.0).astype(np.float32)
