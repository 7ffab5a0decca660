"""How far halves of the images disagree: what normal matrices do not know of themselves.

Readings that are wrong in every image, links beside their meshes, evidence that errs in patches:
all that is alike in the pixels of an image and not in others moves the solution of one half against
that of the other. Robust residuals hide it from the pulls at the common solution, where a contour
is a pixel wide; solving each half anew does not.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import camera_center, twist_between
from drrobot_ros.estimation.problem import Solution

# Fewer moments have no halves.
FEWEST = 4


def halves_of(moments: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return two ways to halve moments; none where there are too few."""
    if len(moments) < FEWEST:
        return []
    ways = [
        [m for i, m in enumerate(moments) if (i // step) % 2 == side]
        for step in (1, 2)
        for side in (0, 1)
    ]
    return [(ways[0], ways[1]), (ways[2], ways[3])]


def disagreement(pairs: Sequence[tuple[Solution, Solution]]) -> float:
    """Return the variance between solutions of halves over that of their normal matrices.

    Args:
        pairs: solutions of the same unknowns, each from images of its own; none: 0.
    """
    scales = []
    for one, other in pairs:
        n = one.layout.count
        if not n:
            continue
        apart = _difference(one, other)
        loose = 1e-9 * np.eye(n)
        expected = np.linalg.inv(one.H + loose) + np.linalg.inv(other.H + loose)
        scales.append(float(apart @ np.linalg.solve(expected, apart)) / n)
    return float(np.mean(scales)) if scales else 0.0


def _difference(one: Solution, other: Solution) -> NDArray[np.float64]:
    """Return how far two solutions are apart, by the columns of their layout."""
    layout, a, b = one.layout, one.state, other.state
    out = np.zeros(layout.count)
    free = layout.offset >= 0
    out[layout.offset[free]] = (b.offset - a.offset)[free]
    for c, (first, lag) in enumerate(zip(layout.camera, layout.lag, strict=True)):
        if first >= 0:
            T = a.T_cameras[c]
            error, jacobian = twist_between(T, b.T_cameras[c], camera_center(T))
            out[first : first + 6] = np.linalg.solve(jacobian, error)
        if lag >= 0:
            out[lag] = b.lag_s[c] - a.lag_s[c]
    return out
