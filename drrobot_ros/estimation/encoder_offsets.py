"""Encoders as a prior: noise of each reading, and a constant error that is learned from images."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.problem import JointPrior

Vector = NDArray[np.float64]

# Errors of neighbouring images are alike: so many count as one.
ALIKE = 10.0


class EncoderOffsets:
    """Estimates one constant error per joint while tracking (a Kalman filter of a constant).

    Args:
        nv: number of velocity coordinates.
        noise: standard deviation of a reading.
        offset: usual size of the constant error; 0: readings have none.
    """

    def __init__(self, nv: int, noise: float, offset: float) -> None:
        self._noise = noise
        self.mean: Vector = np.zeros(nv)
        self._variance = np.full(nv, offset**2)

    @property
    def sigma(self) -> Vector:
        """How well the constant errors are known [nv]."""
        return np.sqrt(self._variance)

    def prior(self, corrected: Vector) -> JointPrior:
        """Return what readings say of the joints: their corrected positions [nq], and how well."""
        return JointPrior(corrected, np.sqrt(self._noise**2 + self._variance))

    def add(self, found: Vector, information: Vector) -> None:
        """Take in an image's result.

        Args:
            found: solved minus corrected positions [nv], NaN where there was no reading.
            information: what the image alone knew of each joint, 1/sigma^2 [nv].
        """
        total = self._noise**2 + self._variance
        # `found` is the posterior's shift; the offset's share of it is its share of the variance.
        share = self._variance / np.maximum(total, 1e-18)
        known = np.isfinite(found) & (information > 0)
        self.mean = self.mean + np.where(known, share * np.nan_to_num(found) / ALIKE, 0.0)
        measured = self._noise**2 + 1.0 / np.maximum(information, 1e-9)
        new = 1.0 / (1.0 / np.maximum(self._variance, 1e-18) + 1.0 / (ALIKE * measured))
        self._variance = np.where(known, new, self._variance)
