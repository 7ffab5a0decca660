"""One number per pixel for searches: its colour, and how far it changed against the plate.

Searches judge a pose by the mutual information of what is rendered (part, surroundings) and what is
seen. With the change in the code they learn from the images themselves how much a change tells:
much where the robot moved before a camera that stands, nothing where it did not. A given mask is
told in the same way.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.evidence.colors import cluster_colors
from drrobot_ros.estimation.evidence.plate import PhotoPlate
from drrobot_ros.estimation.levels import Level

COLORS = 24
# Deviations from the plate, in units of its noise, that part the classes of change.
CHANGES = (2.0, 3.5, 6.0, 12.0)


def appearance_codes(
    levels: Sequence[Level], plate: PhotoPlate | None = None
) -> list[NDArray[np.uint8]]:
    """Return the code of every pixel of each image [H,W]: group of colour times class of change.

    Args:
        levels: all images of one camera, of one size.
        plate: of these images; None: colour alone. Masks stand for it where all images have one.
    """
    clusters = cluster_colors(levels, COLORS)
    masked = all(level.mask is not None for level in levels)
    out = []
    for i, level in enumerate(levels):
        code = clusters.assign(level.pixels).astype(np.intp)
        if masked and level.mask is not None:
            code = code + clusters.count * (level.mask > 0.5)
        elif plate is not None:
            code = code + clusters.count * np.digitize(plate.deviation(i), CHANGES)
        out.append(code.astype(np.uint8))
    return out
