"""Joint positions drawn in proportion to how likely a score makes them: sequential Monte Carlo.

Where a score is flat its maximum is chance; the mean of all that is about as likely errs less.
Draws of the prior are weighted and moved for ever sharper versions of the score (Del Moral, Doucet
and Jasra, "Sequential Monte Carlo samplers", 2006), each by differences of two others, which have
the spread of what remains (ter Braak, "Differential evolution Markov chain", 2006).
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import Coordinates

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Score = Callable[[Matrix], Vector]

MOVES = 4  # of all draws, after each step of sharpness
FEWEST = 0.5  # share of the draws that still count after a step of sharpness
LEAPS = 0.1  # share of the moves from one cluster of draws to another
JITTER = 1e-3  # rad or m


@dataclasses.dataclass(frozen=True)
class Annealing:
    """Draws joint positions from exp(sharpness x score - surprise).

    Attributes:
        coordinates: how velocities move q.
        limits: lower and upper joint limits [nq].
        surprise: negative log of the prior, up to a constant, of joint positions [n,nq] -> [n].
    """

    coordinates: Coordinates
    limits: tuple[Vector, Vector]
    surprise: Score

    def sharpened(
        self, q: Matrix, score: Score, sharpness: tuple[float, float], rng: np.random.Generator
    ) -> tuple[Matrix, Vector]:
        """Return draws [n,nq] at the second sharpness, and their scores [n].

        Args:
            q: draws at the first sharpness [n,nq].
            score: of joint positions [n,nq] -> [n].
            sharpness: of the score, from and to.
            rng: source of chance.
        """
        now, end = sharpness
        value, surprise = score(q), self.surprise(q)
        while now < end:
            step = _step(value, end - now)
            now = end if now + step >= end else now + step
            keep = resampled(step * value, len(q), rng)
            q, value, surprise = q[keep], value[keep], surprise[keep]
            for _ in range(MOVES):
                moved = self._moved(q, rng)
                inside = ((moved >= self.limits[0] - 1e-9) & (moved <= self.limits[1] + 1e-9)).all(
                    1
                )
                moved = np.clip(moved, *self.limits)
                there, odd = score(moved), self.surprise(moved)
                gain = now * (there - value) - (odd - surprise)
                taken = inside & (np.log(rng.random(len(q))) < gain)
                q = np.where(taken[:, None], moved, q)
                value = np.where(taken, there, value)
                surprise = np.where(taken, odd, surprise)
        return q, value

    def _moved(self, q: Matrix, rng: np.random.Generator) -> Matrix:
        """Return each draw moved by a share of the difference of two others [n,nq]."""
        n, nv = len(q), self.coordinates.nv
        first, second = rng.integers(0, n, (2, n))
        usual = 2.38 / np.sqrt(2 * nv) * rng.choice([1.0, 0.5, 0.25], n)
        share = np.where(rng.random(n) < LEAPS, 1.0, usual)
        shake = JITTER * rng.normal(size=(n, nv))
        return np.stack(
            [
                self.coordinates.integrate(
                    q[k], share[k] * self.coordinates.difference(q[i], q[j]) + shake[k]
                )
                for k, (i, j) in enumerate(zip(first, second, strict=True))
            ]
        )

    def mean(self, q: Matrix) -> Vector:
        """Return the mean [nq] of draws [n,nq] that lie near each other."""
        moves = np.stack([self.coordinates.difference(q[0], x) for x in q])
        return np.clip(self.coordinates.integrate(q[0], moves.mean(0)), *self.limits)

    def clusters(self, q: Matrix, value: Vector, reach: float) -> list[NDArray[np.intp]]:
        """Return indices of draws that lie near each other, the largest group first.

        Args:
            q: draws [n,nq].
            value: their scores [n]; a group is looked for around the best of what is left.
            reach: largest difference of a joint from a group's middle, rad or m.
        """
        left, out = np.arange(len(q)), []
        while len(left):
            centre = q[left[np.argmax(value[left])]]
            near = np.zeros(len(left), bool)
            # The best of many is chance: the group is that around its own mean.
            for _ in range(3):
                gap = [np.abs(self.coordinates.difference(centre, q[k])).max() for k in left]
                now = np.array(gap) <= reach
                if not now.any():
                    break
                near, centre = now, self.mean(q[left[now]])
            out.append(left[near])
            left = left[~near]
        return sorted(out, key=lambda group: -len(group))


def resampled(log_weight: Vector, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return indices [count], each as often as its weight says, give or take one."""
    total = np.cumsum(np.exp(log_weight - log_weight.max()))
    at = (np.arange(count) + rng.random()) / count * total[-1]
    return np.minimum(np.searchsorted(total, at), len(log_weight) - 1)


def tempered(log_weight: Vector, share: float) -> Vector:
    """Return log weights flattened until so large a share of them counts."""
    return _step(log_weight, 1.0, share) * log_weight


def _step(value: Vector, most: float, share: float = FEWEST) -> float:
    """Return the largest exponent up to `most` at which so large a share of weights counts."""

    def counting(power: float) -> float:
        w = np.exp(power * (value - value.max()))
        return float(w.sum() ** 2 / np.square(w).sum()) / len(w)

    if counting(most) >= share:
        return most
    low, high = 0.0, most
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if counting(middle) >= share else (low, middle)
    return max(low, 1e-4 * most)
