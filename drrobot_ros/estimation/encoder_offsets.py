"""Encoders as a prior: noise of each reading, and what is constantly wrong with them.

Each joint's readings may be off by a constant, and all of them may be late (or early) against the
images: both are learned from images while tracking, by one Kalman filter of constants. A delay
shows in joints that move, by their velocity; an offset at all times.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.problem import JointPrior

Vector = NDArray[np.float64]

# Errors of neighbouring images are alike: so many count as one.
ALIKE = 10.0
# Share of an image's own finding that must be left in the posterior to be told from it.
FAINT = 0.05


class EncoderOffsets:
    """Estimates one constant error per joint, and one delay, while tracking.

    Args:
        nv: number of velocity coordinates.
        noise: standard deviation of a reading.
        offset: usual size of the constant error; 0: readings have none.
        lag: usual size of the delay, s; 0: there is none.
    """

    def __init__(self, nv: int, noise: float, offset: float, lag: float = 0.0) -> None:
        self._noise = noise
        self._state = np.zeros(nv + 1)
        self._covariance = np.diag(np.r_[np.full(nv, offset**2), lag**2])
        self._velocity = np.zeros(nv)

    @property
    def mean(self) -> Vector:
        """The constant errors [nv]."""
        return self._state[:-1]

    @property
    def sigma(self) -> Vector:
        """How well the constant errors are known [nv]."""
        return np.sqrt(np.diag(self._covariance)[:-1])

    @property
    def lag_s(self) -> float:
        """How late readings are: an image shows where they will be so much later, s."""
        return float(self._state[-1])

    @property
    def lag_sigma_s(self) -> float:
        """How well the delay is known, s."""
        return float(np.sqrt(self._covariance[-1, -1]))

    def step(self, velocity: Vector | None) -> Vector:
        """Return what has to be added to readings [nv].

        Args:
            velocity: of the joints as the readings move [nv]; None: not known, taken as at rest.
        """
        n = len(self._velocity)
        self._velocity = np.zeros(n) if velocity is None else np.nan_to_num(velocity)
        return self.mean + self._velocity * self.lag_s

    def prior(self, corrected: Vector) -> JointPrior:
        """Return what readings say of the joints: their corrected positions [nq], and how well."""
        return JointPrior(corrected, np.sqrt(self._variance()))

    def add(self, found: Vector, information: Vector) -> None:
        """Take in an image's result.

        Args:
            found: solved minus corrected positions [nv], NaN where there was no reading.
            information: what the image alone knew of each joint, 1/sigma^2 [nv].
        """
        total = self._variance()
        image = 1.0 / np.maximum(information, 1e-9)
        # `found` is the posterior's shift: the image's own is larger by what the prior held back.
        held = total / np.maximum(total + image, 1e-18)
        before = self._state
        for j in np.flatnonzero(np.isfinite(found) & (information > 0) & (held > FAINT)):
            row = np.zeros(len(self._state))
            row[j], row[-1] = 1.0, self._velocity[j]
            reach = self._covariance @ row
            measured = ALIKE * (self._noise**2 + image[j])
            gain = reach / (row @ reach + measured)
            # Measured against the state that the readings were corrected by.
            left = found[j] / held[j] - row @ (self._state - before)
            self._state = self._state + gain * left
            self._covariance = self._covariance - np.outer(gain, reach)

    def _variance(self) -> Vector:
        """Return the variance of corrected readings [nv]."""
        P, v = self._covariance, self._velocity
        spread = np.diag(P)[:-1] + 2 * v * P[:-1, -1] + np.square(v) * P[-1, -1]
        return self._noise**2 + np.maximum(spread, 0.0)
