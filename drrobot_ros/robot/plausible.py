"""Whether joint positions that somebody gave can be a robot's."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

# Readings may be beyond limits by an offset, but not by more than this, rad or m.
BEYOND = 0.5
MOST_RAD = 8 * np.pi
# Some reading of a recording in degrees is larger than this.
FEWEST_DEG = 10.0


def check_positions(model: Any, q: NDArray[np.float64], where: str = "") -> None:
    """Check that joint positions [m,nq] are where the joints can be, rad or m.

    Args:
        model: the robot; one with joints of several numbers is not checked.
        q: positions, a row per moment.
        where: what they are of, "{}" stands for the row.

    Raises:
        InputError: one is far beyond its limits, or more turns from 0 than cables allow.
    """
    lower, upper = np.asarray(model.lower, np.float64), np.asarray(model.upper, np.float64)
    low = np.where(np.isfinite(lower), lower - BEYOND, -MOST_RAD)
    high = np.where(np.isfinite(upper), upper + BEYOND, MOST_RAD)
    outside = (q < low) | (q > high)
    if not outside.any() or model.nq != len(model.joint_names):
        return
    i, k = np.argwhere(outside)[0]
    small = np.radians(q)
    degrees = bool(((small >= low) & (small <= high)).all()) and np.abs(q).max() > FEWEST_DEG
    hint = "are these degrees? Give rad" if degrees else "is this the robot that was recorded?"
    raise InputError(
        f"joint {model.joint_names[k]!r}{where.format(i)} is at {q[i, k]:.4g}, its limits are "
        f"{lower[k]:.4g} and {upper[k]:.4g} rad or m: {hint}"
    )
