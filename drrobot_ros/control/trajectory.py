"""A motion of all joints over time."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """Samples of a motion; between them quintic, as trajectory controllers interpolate.

    Attributes:
        times_s: [n] since the start, increasing, the first 0.
        q: [n, nq] positions, rad or m.
        v: [n, nq] velocities.
        a: [n, nq] accelerations.

    Raises:
        InputError: sizes that do not fit, values that are not finite, times that do not increase.
    """

    times_s: Vector
    q: Matrix
    v: Matrix
    a: Matrix

    def __post_init__(self) -> None:
        for name in ("times_s", "q", "v", "a"):
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, value)
            bad = np.flatnonzero(~np.isfinite(value.reshape(len(value), -1)).all(1))
            if len(bad):
                raise InputError(f"trajectory: {name} of sample {bad[0]} is not finite")
        n = len(self.times_s)
        if n == 0 or self.times_s.ndim != 1 or self.q.ndim != 2:
            raise InputError("trajectory: times must be [n] and positions [n, nq], with n > 0")
        for name in ("q", "v", "a"):
            shape = getattr(self, name).shape
            if shape != (n, self.q.shape[1]):
                raise InputError(
                    f"trajectory: {name} is {list(shape)}; must be {[n, self.q.shape[1]]}"
                )
        back = np.flatnonzero(np.diff(self.times_s) <= 0)
        if self.times_s[0] != 0 or len(back):
            k = 0 if self.times_s[0] != 0 else int(back[0]) + 1
            raise InputError(
                f"trajectory: times must start at 0 and increase; sample {k} is at "
                f"{self.times_s[k]} s"
            )

    @property
    def duration_s(self) -> float:
        """Time of the last sample."""
        return float(self.times_s[-1])

    @classmethod
    def still(cls, q: Vector) -> "Trajectory":
        """Return the motion that stays at q [nq]."""
        q = np.asarray(q, np.float64)[None]
        return cls(np.zeros(1), q, np.zeros_like(q), np.zeros_like(q))

    def at(self, time_s: float) -> tuple[Vector, Vector, Vector]:
        """Return position, velocity and acceleration [nq] at a time; before and after, at rest."""
        q, v, a = self.sample(np.array([time_s]))
        return q[0], v[0], a[0]

    def sample(self, times_s: Vector) -> tuple[Matrix, Matrix, Matrix]:
        """Return positions, velocities and accelerations [m, nq] at times [m]."""
        t = self.times_s
        wanted = np.asarray(times_s, np.float64)
        outside = (wanted < 0) | (wanted > t[-1])
        if len(t) == 1:
            still = np.zeros((len(wanted), self.q.shape[1]))
            return still + self.q[0], still, still.copy()
        k = np.clip(np.searchsorted(t, wanted, side="right") - 1, 0, len(t) - 2)
        h = (t[k + 1] - t[k])[:, None]
        s = (np.clip(wanted, 0, t[-1]) - t[k])[:, None]
        c = _quintic(h, *((x[k], x[k + 1]) for x in (self.q, self.v, self.a)))
        q = sum(c[i] * s**i for i in range(6))
        v = sum(i * c[i] * s ** (i - 1) for i in range(1, 6))
        a = sum(i * (i - 1) * c[i] * s ** (i - 2) for i in range(2, 6))
        still = outside[:, None]
        return np.asarray(q), np.where(still, 0.0, v), np.where(still, 0.0, a)


def _quintic(h: Matrix, q: tuple, v: tuple, a: tuple) -> list[Matrix]:
    """Return six coefficients, each [m, nq], of the polynomials between samples h [m, 1] apart."""
    d = q[1] - q[0] - h * v[0] - 0.5 * h * h * a[0]
    dv = v[1] - v[0] - h * a[0]
    da = a[1] - a[0]
    return [
        q[0],
        v[0],
        0.5 * a[0],
        (10 * d - 4 * h * dv + 0.5 * h * h * da) / h**3,
        (-15 * d + 7 * h * dv - h * h * da) / h**4,
        (6 * d - 3 * h * dv + 0.5 * h * h * da) / h**5,
    ]


def joined(first: Trajectory, second: Trajectory) -> Trajectory:
    """Return one motion after another; the second begins at rest where the first ends at rest.

    Raises:
        InputError: it begins elsewhere.
    """
    gap = float(np.abs(first.q[-1] - second.q[0]).max())
    if gap > 1e-6:
        raise InputError(f"the second motion begins {gap:.4f} from where the first one ends")
    return Trajectory(
        np.concatenate([first.times_s, first.duration_s + second.times_s[1:]]),
        *(np.concatenate([getattr(first, k), getattr(second, k)[1:]]) for k in ("q", "v", "a")),
    )
