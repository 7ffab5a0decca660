"""The rendered robot blended on the camera image."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray


def blend(image: NDArray[np.uint8], rgb: Any, alpha: Any, opacity: float) -> NDArray[np.uint8]:
    """Return the rendered robot over the image, uint8 [H, W, 3].

    Args:
        image: of the camera, uint8 [H, W, 3].
        rgb: rendered colours [H, W, 3] 0..1.
        alpha: rendered coverage [H, W] 0..1.
        opacity: of the robot, 0..1.
    """
    weight = opacity * np.asarray(alpha, np.float32)[..., None]
    mixed = image * (1.0 - weight) + 255.0 * weight * np.asarray(rgb, np.float32)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


class RateLimit:
    """Says when something is due that is to happen at most so often."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def due(self, rate_hz: float) -> bool:
        """Return whether it is due now, and then count it as done."""
        now = time.monotonic()
        if rate_hz <= 0 or now < self._next_s:
            return False
        # Keeping to the grid keeps the rate where calls come at odd times.
        self._next_s = max(self._next_s + 1.0 / rate_hz, now)
        return True
