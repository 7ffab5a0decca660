"""What is known of the joints besides the images of a moment: their motion, and encoders."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.config import TrackerConfig
from drrobot_ros.estimation.encoder_offsets import EncoderOffsets
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.motion import JointMotion
from drrobot_ros.estimation.problem import JointPrior, Solution

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# What an image that shows a joint knows of it at least, 1/sigma^2: the rest is prior.
FAINT = 0.1
# Readings that a velocity is told from.
SLOPE = 4


class JointMemory:
    """Carries knowledge of the joints from moment to moment.

    Args:
        config: settings.
        coordinates: how velocities move q.
    """

    def __init__(self, config: TrackerConfig, coordinates: Coordinates) -> None:
        self._coordinates = coordinates
        self.motion = JointMotion(coordinates.nv, config.acceleration_sigma)
        self._uses_encoders = config.encoder_sigma_rad > 0
        self._offsets = EncoderOffsets(
            coordinates.nv,
            config.encoder_sigma_rad,
            config.encoder_offset_sigma_rad,
            config.encoder_lag_sigma_s,
        )
        self._read: deque[tuple[float, Vector]] = deque(maxlen=SLOPE)
        self._time_s = 0.0

    @property
    def lag(self) -> tuple[float, float]:
        """How late readings are against images, and how well that is known, s."""
        return self._offsets.lag_s, self._offsets.lag_sigma_s

    def corrected(
        self,
        encoders: Vector | None,
        q: Vector,
        dt: float = 0.0,
        velocity: Vector | None = None,
    ) -> Vector | None:
        """Return readings [nq] without the constant errors found so far, NaN where there are none.

        Args:
            encoders: readings [nq], or None.
            q: positions [nq] that stand in for missing parts of a quaternion.
            dt: time since the moment before, s; 0: unknown.
            velocity: of the joints [nv]; None: told from the last readings.
        """
        if encoders is None or not self._uses_encoders:
            return encoders
        read = np.asarray(encoders, np.float64)
        there = np.isfinite(read)
        whole = np.where(there, read, q)
        step = self._offsets.step(self._slope(whole, dt) if velocity is None else velocity)
        return np.where(there, self._coordinates.integrate(whole, step), np.nan)

    def _slope(self, read: Vector, dt: float) -> Vector | None:
        """Return the velocity [nv] of the last readings, by least squares; None: too few."""
        if dt <= 0:
            self._read.clear()
        self._time_s += dt
        self._read.append((self._time_s, read))
        if len(self._read) < 2:
            return None
        t = np.array([x for x, _ in self._read]) - self._time_s
        moved = np.stack([self._coordinates.difference(read, x) for _, x in self._read])
        t, moved = t - t.mean(), moved - moved.mean(0)
        return t @ moved / (t @ t)

    def priors(self, predicted: JointPrior | None, readings: Vector | None) -> list[JointPrior]:
        """Return what is known before the images: the prediction, and corrected readings [nq]."""
        joints = [] if predicted is None else [predicted]
        if readings is not None and self._uses_encoders:
            joints.append(self._offsets.prior(readings))
        return joints

    def add(self, start: Vector, solution: Solution, readings: Vector | None, moved: bool) -> None:
        """Take in a moment.

        Args:
            start: joint positions [nq] that the prediction's prior was about.
            solution: what was found.
            readings: corrected readings [nq], or None.
            moved: time has passed since the moment before.
        """
        layout, H = solution.layout, solution.informations[0]
        free = layout.offset >= 0
        known = np.zeros(len(free))
        covariance = np.linalg.inv(H + FAINT * np.eye(len(H)))
        known[free] = np.maximum(1.0 / np.diag(covariance)[layout.offset[free]] - FAINT, 0.0)
        if moved:
            self.motion.correct(self._coordinates.difference(start, solution.q), known)
        if readings is not None and self._uses_encoders:
            found = self._coordinates.difference(readings, solution.q)
            self._offsets.add(np.where(free, found, np.nan), known)

    def known(self, solution: Solution, readings: Vector | None) -> Matrix:
        """Return what is known besides a moment's images [p,p], for the published covariance.

        Of joints: where earlier images left them, and readings. Of cameras: their priors.
        """
        layout = solution.layout
        known = np.zeros_like(solution.H)
        free = layout.offset >= 0
        columns = layout.offset[free]
        inverse = 1.0 / np.square(self.motion.unseen_sigma)
        if readings is not None and self._uses_encoders:
            there = np.isfinite(self._coordinates.difference(readings, solution.q))
            inverse += np.where(there, 1.0 / np.square(self._offsets.prior(readings).sigma), 0.0)
        known[columns, columns] = inverse[free]
        prior = solution.H - solution.informations[0]
        for first in layout.camera:
            if first >= 0:
                c = slice(first, first + 6)
                known[c, c] = prior[c, c]
        return known
