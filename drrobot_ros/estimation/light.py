"""Images made alike before they are compared: lamps that flicker, and pixel noise.

Colour groups and the learned background are told from earlier images; a light that changes from
image to image would make all of them wrong at once.
"""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SMALL = (80, 60)
NOISE_LIMIT = 0.02  # of 1: noisier images are smoothed
PASSES = (3.0, 1.5, 1.0)  # of the smoothing: differences that are noise, in its deviations
SAME = 0.02  # gains nearer to 1 than this are left alone


class LightMeter:
    """Brings images of a camera that stands still to the light of its first one."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None
        self.gain: NDArray[np.float64] = np.ones(3)

    def normalized(self, image: Image) -> Image:
        """Return the image [H,W,3] under the first image's light.

        The gain of each channel is the median ratio of a small image to the first one: most of the
        scene stands still, and most changes of light are common to it.
        """
        import cv2

        small = cv2.resize(image, SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._reference is None:
            self._reference = small
            return image
        usable = (small > 8) & (small < 247) & (self._reference > 8) & (self._reference < 247)
        gain = np.ones(3)
        for c in range(3):
            u = usable[..., c]
            if u.sum() > 200:
                gain[c] = np.median(self._reference[..., c][u] / small[..., c][u])
        self.gain = gain = np.clip(gain, 0.3, 3.0)
        if np.abs(gain - 1).max() < SAME:
            return image
        table = np.clip(np.arange(256)[:, None] * gain + 0.5, 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def noise_of(image: Image) -> float:
    """Return the standard deviation of the pixel noise of an image [H,W,3], of 1.

    Source: median of the second differences, which edges hardly move (after Immerkaer, 1996).
    """
    g = image[::2, :, 1].astype(np.int16)
    second = g[:, :-2] - 2 * g[:, 1:-1] + g[:, 2:]
    return float(np.median(np.abs(second))) / (0.6745 * np.sqrt(6.0) * 255.0)


def smoothed(image: Image) -> Image:
    """Return the image, smoothed if it is noisy."""
    import cv2

    sigma = noise_of(image)
    if sigma < NOISE_LIMIT:
        return image
    # Differences far above the noise are contours and stay where they are; a blur would widen the
    # mixed pixels along them. Each pass leaves less noise, so the next tells contours better.
    for limit in PASSES:
        image = np.asarray(cv2.bilateralFilter(image, 5, limit * 255 * sigma, 1.5), np.uint8)
    return image
