"""Functions of a squared angle that stay smooth, with all their derivatives, at zero.

Each is its power series below a threshold and its closed form above. The closed form never sees
the small values (not even in the branch that is thrown away), so no derivative is infinite or NaN.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_THRESHOLD = 0.5  # rad^2; below it nine terms reach the precision of float64
_TERMS = 9


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    result = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    return result


def _alternating(first: int) -> list[float]:
    return [(-1.0) ** n / math.factorial(2 * n + first) for n in range(_TERMS)]


_SINC = _alternating(1)
_VERSINE = _alternating(2)
_CUBIC = _alternating(3)
# |B_2n| / (2n)!, the Bernoulli numbers: the series of (1 - x/2 cot(x/2)) / x^2.
_LEFT_INVERSE = [
    1 / 12,
    1 / 720,
    1 / 30240,
    1 / 1209600,
    1 / 47900160,
    691 / 1307674368000,
    1 / 74724249600,
    3617 / 10670622842880000,
    43867 / 5109094217170944000,
]
_ARCSIN = [math.factorial(2 * n) / (4**n * math.factorial(n) ** 2 * (2 * n + 1)) for n in range(18)]
_ARCSIN_THRESHOLD = 0.1


def _split(x: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return where x is small, and x with the small values replaced by one."""
    small = x < threshold
    return small, torch.where(small, torch.ones_like(x), x)


def sinc(x: Tensor) -> Tensor:
    """Return sin(t)/t of x = t^2."""
    small, safe = _split(x, _THRESHOLD)
    t = safe.sqrt()
    return torch.where(small, _polynomial(x, _SINC), t.sin() / t)


def versine(x: Tensor) -> Tensor:
    """Return (1 - cos(t))/t^2 of x = t^2."""
    small, safe = _split(x, _THRESHOLD)
    return torch.where(small, _polynomial(x, _VERSINE), (1 - safe.sqrt().cos()) / safe)


def cubic(x: Tensor) -> Tensor:
    """Return (t - sin(t))/t^3 of x = t^2."""
    small, safe = _split(x, _THRESHOLD)
    t = safe.sqrt()
    return torch.where(small, _polynomial(x, _CUBIC), (t - t.sin()) / (t * safe))


def left_inverse(x: Tensor) -> Tensor:
    """Return (1 - t/2 cot(t/2))/t^2 of x = t^2, for t below 2 pi."""
    small, safe = _split(x, _THRESHOLD)
    half = safe.sqrt() / 2
    closed = (1 - half * half.cos() / half.sin()) / safe
    return torch.where(small, _polynomial(x, _LEFT_INVERSE), closed)


def angle_over_sine(sine_squared: Tensor, cosine: Tensor) -> Tensor:
    """Return t/sin(t) of sin(t)^2 and cos(t) >= 0, for t from 0 to pi/2."""
    small, safe = _split(sine_squared, _ARCSIN_THRESHOLD)
    sine = safe.sqrt()
    closed = torch.atan2(sine, cosine) / sine
    return torch.where(small, _polynomial(sine_squared, _ARCSIN), closed)
