"""How joints move between images: a Kalman filter of position and velocity for each joint.

The solver is the filter's measurement update: the prediction enters it as a prior, and what it
returns is taken over with the information the image had. A joint that the image does not show gets
no velocity, so it stays where it is instead of drifting.
"""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

# Between rare images the prediction would say nothing, and what the image does not show (a
# symmetric wrist) would drift: the bound holds it.
MAX_SIGMA = 0.08  # rad or m
MIN_SIGMA = 0.003
MAX_SPEED = 4.0  # rad/s or m/s
UNKNOWN_SPEED = 1.0
# Without news a velocity is forgotten: no joint moves on for ever.
VELOCITY_MEMORY_S = 0.5
# How far a joint that no image shows may have gone, for the published deviation.
WANDER = 1.0  # rad or m per square root of a second
MAX_WANDER = 2.0
ALIKE = 20.0


class JointMotion:
    """Velocities and the spread of the prediction, per velocity coordinate.

    Args:
        nv: number of velocities.
        acceleration: expected between images, rad/s^2 or m/s^2.
    """

    def __init__(self, nv: int, acceleration: float) -> None:
        self._acceleration = acceleration
        self._wandered = np.full(nv, MAX_SIGMA**2)
        self.velocity: Vector = np.zeros(nv)
        self.stop()

    def stop(self) -> None:
        """Forget the motion, but not how long a joint has been out of sight."""
        n = len(self.velocity)
        self.velocity = np.zeros(n)
        self._position = np.full(n, MAX_SIGMA**2)
        self._cross = np.zeros(n)
        self._speed = np.full(n, UNKNOWN_SPEED**2)

    @property
    def unseen_sigma(self) -> Vector:
        """Where a joint may be by what images showed of it so far [nv]; grows while unseen."""
        return np.sqrt(self._wandered)

    def predict(self, dt: float) -> tuple[Vector, Vector]:
        """Move on by dt; return the step [nv] and its standard deviation [nv]."""
        fade = np.exp(-dt / VELOCITY_MEMORY_S)
        self.velocity = fade * self.velocity
        step = self.velocity * dt
        noise = np.square(self._acceleration * dt)
        position = self._position + 2 * dt * self._cross + dt**2 * self._speed
        position += 0.25 * dt**2 * noise
        cross = fade * (self._cross + dt * self._speed) + 0.5 * dt * noise
        # Bounded together: else rare images would make speeds of the least innovation.
        share = np.minimum(1.0, MAX_SIGMA**2 / position)
        self._position, self._cross = share * position, share * cross
        self._speed = np.square(fade) * self._speed + noise
        self._speed += (1 - np.square(fade)) * UNKNOWN_SPEED**2 * 0.25
        self._wandered = np.minimum(self._wandered + WANDER**2 * dt, MAX_WANDER**2)
        return step, np.sqrt(self._position) + MIN_SIGMA

    def correct(self, innovation: Vector, information: Vector) -> None:
        """Take over an image's result.

        Args:
            innovation: solved minus predicted position [nv].
            information: what the image alone knew of each joint, 1/sigma^2 [nv].
        """
        # The innovation is what the solver made of prior and image: velocity follows it by the
        # prediction's own correlation.
        gain = self._cross / self._position
        self.velocity = np.clip(self.velocity + gain * innovation, -MAX_SPEED, MAX_SPEED)
        trust = information * self._position / (1 + information * self._position)
        self._speed = np.maximum(self._speed - gain * trust * self._cross, 1e-6)
        self._cross = self._cross * (1 - trust)
        self._position = self._position * (1 - trust)
        # Neighbouring images err alike: one counts little.
        seen = information / ALIKE
        self._wandered = self._wandered / (1 + seen * self._wandered)
