"""Does the estimate's outline lie on edges of the image, and its surface on the depth seen?

The silhouette that the solver is compared with is made around the estimate and tends to confirm it:
an arm laid over the wrong half of a like-coloured scene agrees with itself. Edges and depths are
there before the estimate. On renders and real photos a right outline has an edge nearly everywhere,
whatever the contrast of the colours; a wrong one crosses even patches.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.light import noise_of
from drrobot_ros.estimation.normal_equations import RenderedImages
from drrobot_ros.estimation.segmentation import bounding_box

FloatImage = NDArray[np.float32]

EDGE_LAB = 1.5  # Lab units per px, along the outline's normal: what counts as an edge
REACH_PX = 2
FEWEST = 20  # outline pixels, or pixels of known depth, from which on something is said
NEAR_M = 0.03
MAX_BIAS_M = 0.02  # of a depth camera


def outline_on_edges(level: Level, rendered: RenderedImages) -> float | None:
    """Return the share of the rendered outline that has an edge of the image within 2 px.

    What is ignored, and what lies next to it, is left out; None where too little remains.

    Args:
        level: the image.
        rendered: the robot as estimated, of the level's size.
    """
    import cv2

    roi = bounding_box(rendered.alpha > 0.02)
    if roi is None:
        return None
    h, w = rendered.alpha.shape
    rows, columns = (
        slice(max(s.start - 4, 0), min(s.stop + 4, n)) for s, n in zip(roi, (h, w), strict=True)
    )
    alpha = np.ascontiguousarray(rendered.alpha[rows, columns])
    lab = cv2.cvtColor(level.pixels[rows, columns], cv2.COLOR_RGB2LAB).astype(np.float32)
    ax, ay = _gradient(alpha)
    steep = np.hypot(ax, ay)
    outline = steep > 0.125
    if level.weight is not None:
        clear = np.ascontiguousarray(level.weight[rows, columns], np.float32)
        outline &= cv2.erode(clear, np.ones((7, 7), np.uint8)) > 0
    y, x = np.nonzero(outline)
    if len(y) < FEWEST:
        return None
    nx, ny = ax[y, x] / steep[y, x], ay[y, x] / steep[y, x]
    gx, gy = _gradient(lab)
    strongest = np.zeros(len(y), np.float32)
    for d in range(-REACH_PX, REACH_PX + 1):
        u = np.clip(np.rint(x + d * nx).astype(np.intp), 0, alpha.shape[1] - 1)
        v = np.clip(np.rint(y + d * ny).astype(np.intp), 0, alpha.shape[0] - 1)
        along = np.abs(gx[v, u] * nx[:, None] + gy[v, u] * ny[:, None]).max(1)
        strongest = np.maximum(strongest, along)
    # Pixel noise alone makes gradients of 0.43 times its deviation; the strongest of many counts.
    limit = max(EDGE_LAB, 3.0 * 0.43 * 255.0 * noise_of(level.pixels))
    return float((strongest > limit).mean())


def depth_fit(level: Level, rendered: RenderedImages) -> float | None:
    """Return the share of the robot's pixels at whose rendered depth something is seen.

    A bias of the sensor, of all pixels alike, is taken out. None where too little depth is known.

    Args:
        level: the image, with depth.
        rendered: the robot as estimated, of the level's size.
    """
    if level.depth is None:
        return None
    known = (rendered.alpha > 0.8) & (level.depth > 0)
    if level.weight is not None:
        known &= level.weight > 0
    if known.sum() < FEWEST:
        return None
    error = level.depth[known] - rendered.depth[known] / rendered.alpha[known]
    error -= np.clip(np.median(error), -MAX_BIAS_M, MAX_BIAS_M)
    return float((np.abs(error) < NEAR_M).mean())


def _gradient(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return the change per px along columns and rows."""
    import cv2

    x, y = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    return np.asarray(x / 8, np.float32), np.asarray(y / 8, np.float32)
