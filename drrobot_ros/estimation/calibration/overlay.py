"""Pictures of how a calibration fits."""

import numpy as np
from numpy.typing import NDArray


def draw_contour(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return an image [H,W,3] with the contour of a rendered alpha [H,W] drawn over it."""
    import cv2

    out = image.copy()
    contours, _ = cv2.findContours(
        (alpha > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    width = max(1, round(image.shape[1] / 400))
    cv2.drawContours(out, contours, -1, (0, 255, 0), width, cv2.LINE_AA)
    return out
