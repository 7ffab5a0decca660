"""How the camera sees the robot's colours: a gain and a bias per channel."""

import dataclasses

import numpy as np

from drrobot_ros.estimation.normal_equations import Statistics

Triple = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Appearance:
    """Seen colour = gain * splat colour + bias, per channel."""

    gain: Triple = (1.0, 1.0, 1.0)
    bias: Triple = (0.0, 0.0, 0.0)

    def updated(self, statistics: Statistics, rate: float = 0.5) -> "Appearance":
        """Return the appearance after one image, moved by `rate` towards its own least squares.

        The fit is weighted over well covered pixels and held near gain 1, bias 0 by a prior worth
        a few of them, so that a robot of one colour does not trade gain for bias.
        """
        gain, bias = [], []
        for c in range(3):
            n, x, y, xx, xy = (float(v) for v in statistics.fit[c])
            if n < 20:
                return self
            A = np.array([[xx + 0.05 * n, x], [x, n + 0.2 * n]])
            g, b = np.linalg.solve(A, np.array([xy + 0.05 * n, y]))
            gain.append(float(np.clip((1 - rate) * self.gain[c] + rate * g, 0.2, 3.0)))
            bias.append(float(np.clip((1 - rate) * self.bias[c] + rate * b, -0.5, 0.5)))
        return Appearance((gain[0], gain[1], gain[2]), (bias[0], bias[1], bias[2]))
