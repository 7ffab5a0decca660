"""Which keyframes fit, and which are left out."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Keyframes are compared with each other, so only among enough of them.
FEWEST = 4


def view_weights(residuals: Vector, deviations: Vector) -> tuple[Vector, list[str]]:
    """Return the weight of every image, 0 where it is left out, and why it counts less.

    An image is doubted when its residual stands out from the others', or when its own joint
    deviation would have to be many times the encoders' noise.

    Args:
        residuals: of every image [v].
        deviations: root mean square of its moment's deviation, in sigmas [v].
    """
    weights, reasons = np.ones(len(residuals)), [""] * len(residuals)
    if len(residuals) < FEWEST:
        return weights, reasons
    middle = float(np.median(residuals))
    spread = 1.4826 * float(np.median(np.abs(residuals - middle)))
    limit = middle + 3.0 * max(spread, 0.1 * middle, 0.005)
    for i, (residual, deviation) in enumerate(zip(residuals, deviations, strict=True)):
        if residual > limit:
            # As Geman-McClure: what is far out counts ever less.
            weights[i] = (limit / residual) ** 4
            reasons[i] = f"its residual is {residual:.3f}, that of most is {middle:.3f}"
        if deviation > 5.0:
            weights[i] = min(weights[i], (5.0 / deviation) ** 2)
            reasons[i] = f"its joints would have to be {deviation:.0f} sigmas off their readings"
        if weights[i] < 0.4:
            weights[i] = 0.0
    return weights, reasons
