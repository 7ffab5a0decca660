"""How far the rendered contour lies outside the one seen, everywhere alike.

Splats overlap and are dilated, and masks are drawn a little too wide or too narrow: both shift the
contour along its normal by part of a pixel, which a camera's distance does not explain but a turn
of the base does. The shift is measured over all images of a camera, and splats are drawn in by it.
"""

from collections.abc import Sequence

import numpy as np

from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages

MOST_PX = 2.0


class ContourBias:
    """How far splats are drawn in, per camera and image width.

    Args:
        inset_px: what the splats themselves ask for.
        cameras: how many.
    """

    def __init__(self, inset_px: float, cameras: int) -> None:
        self._start = inset_px
        self._learned: list[dict[int, float]] = [{} for _ in range(cameras)]

    def inset_px(self, camera: int, width: int) -> float:
        """Return how far splats are drawn in, px."""
        return self._learned[camera].get(width, self._start)

    def learn(
        self,
        camera: int,
        width: int,
        targets: Sequence[ImageTarget],
        rendered: Sequence[RenderedImages],
    ) -> float:
        """Measure the shift of the contour and return the new inset, px."""
        excess = length = 0.0
        for target, image in zip(targets, rendered, strict=True):
            if target.mask is None:
                continue
            trust = np.ones_like(target.mask) if target.mask_weight is None else target.mask_weight
            if target.weight is not None:
                trust = trust * target.weight
            down, right = np.gradient(image.alpha)
            edge = np.hypot(down, right)
            # Only the contour tells of a shift of the contour, not a hole or a patch elsewhere.
            near = _near(edge, 2) * trust
            excess += float(((image.alpha - target.mask) * near).sum())
            length += float((edge * trust).sum())
        if length > 0:
            shift = self.inset_px(camera, width) + excess / length
            self._learned[camera][width] = float(
                np.clip(shift, self._start - MOST_PX, self._start + MOST_PX)
            )
        return self.inset_px(camera, width)


def _near(edge: np.ndarray, reach: int) -> np.ndarray:
    """Return 1 within so many pixels of an edge."""
    import cv2

    size = 2 * reach + 1
    strong = (edge > 0.15).astype(np.uint8)
    return np.asarray(cv2.dilate(strong, np.ones((size, size), np.uint8)), np.float32)
