"""The rendered robot drawn over a camera image, with its contour."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Image = NDArray[np.uint8]

#: Colour of the contour, 0..1.
EDGE_COLOR = (1.0, 0.45, 0.05)


def overlay_image(
    image: Image,
    rgb: Any,
    alpha: Any,
    opacity: float = 0.6,
    edge_color: tuple[float, float, float] | None = EDGE_COLOR,
    edge_px: float | None = None,
) -> Image:
    """Return the rendered robot over the camera image.

    Args:
        image: of the camera, uint8 [H, W, 3].
        rgb: rendered colours [H, W, 3] 0..1.
        alpha: rendered coverage [H, W] 0..1.
        opacity: of the rendered robot, 0..1.
        edge_color: of the contour, 0..1; None: no contour.
        edge_px: half the width of the contour; None: fitting the size of the image.

    Returns:
        uint8 [H, W, 3].
    """
    alpha = np.asarray(alpha, np.float32)
    weight = (opacity * alpha)[..., None]
    mixed = (1 - weight) * (image / np.float32(255)) + weight * np.asarray(rgb, np.float32)
    if edge_color is not None:
        half = max(0.8, image.shape[0] / 300) if edge_px is None else edge_px
        soft = gaussian_filter((alpha > 0.5).astype(np.float32), half, mode="nearest")
        # Near the contour the blurred coverage is 0.5; this is 1 there and 0 some pixels away.
        line = np.clip(2.5 * (1 - np.abs(2 * soft - 1)) - 0.9, 0, 1)[..., None]
        mixed = (1 - line) * mixed + line * np.asarray(edge_color, np.float32)
    return np.clip(255 * mixed + 0.5, 0, 255).astype(np.uint8)
