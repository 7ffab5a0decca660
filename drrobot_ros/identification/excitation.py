"""Trajectories that show a robot's parameters well: Fourier series within the limits.

Source: Swevers et al., "Optimal robot excitation and identification", 1997.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.identification.base_parameters import base_parameters, condition_number
from drrobot_ros.identification.linear import matrix
from drrobot_ros.identification.recording import Recording, joint_kinds
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.tree import JointType

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ExcitationConfig:
    """Of an excitation trajectory."""

    period_s: float = setting(10.0, "of the trajectory", unit="s", minimum=1.0, maximum=600.0)
    rate_hz: float = setting(200.0, "samples per second", unit="Hz", minimum=10.0, maximum=5000.0)
    harmonics: int = setting(5, "of the Fourier series", minimum=3, maximum=20)
    range_share: float = setting(0.8, "of the position limits", minimum=0.01, maximum=1.0)
    max_velocity: float = setting(1.5, "of each joint, and its limit", unit="rad/s", minimum=1e-3)
    max_acceleration: float = setting(6.0, "of each joint", unit="rad/s^2", minimum=1e-3)
    tries: int = setting(60, "random trajectories to choose from", minimum=1, maximum=100000)
    seed: int = setting(0, "of the random numbers", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


def excitation_trajectory(
    model: RobotModel, config: ExcitationConfig | None = None
) -> tuple[Recording, float]:
    """Return a periodic trajectory (q, v, a; at rest at both ends) and its condition number.

    The best of random Fourier series, then of changes of it. Joint limits are kept exactly;
    collisions with itself or the room are not looked at. Prismatic joints: a tenth of the limits of
    velocity and acceleration, in m.

    Raises:
        InputError: joints that are not of one number each.
    """
    config = config or ExcitationConfig()
    if model.nq != len(model.joint_names) or model.nv != model.nq:
        raise InputError(f"{model.name!r} has ball or floating joints; none of these is excited")
    random = np.random.default_rng(config.seed)
    base = base_parameters(model)
    count = round(config.period_s * config.rate_hz) + 1
    time_s = np.arange(count) / config.rate_hz
    some = np.linspace(0, count - 1, 100).astype(int)
    n, h = model.nv, config.harmonics
    best, best_condition = np.zeros((n, 2, h)), np.inf
    for k in range(config.tries):
        fresh = k < config.tries / 2
        trial = random.normal(size=(n, 2, h))
        if not fresh:
            trial = best + 0.3 * trial * np.abs(best).mean()
        q, v, a = _motion(model, config, trial, time_s)
        W = base.scaled(matrix(model, base.layout, q[some], v[some], a[some]))
        found = condition_number(W.reshape(-1, W.shape[-1]))
        if found < best_condition:
            best, best_condition = trial, found
    q, v, a = _motion(model, config, best, time_s)
    return Recording(time_s, q, v, a, None, model.joint_names), best_condition


def _motion(
    model: RobotModel, config: ExcitationConfig, numbers: Array, time_s: Array
) -> tuple[Array, Array, Array]:
    """Return q, v, a [T, n] of coefficients [n, 2, h], moved and scaled into the limits."""
    order = np.arange(1, config.harmonics + 1)
    w = 2 * np.pi / time_s[-1] * order
    sine, cosine = numbers[:, 0].copy(), numbers[:, 1].copy()
    # At rest at the ends: the sum of a w, and that of b w^2, must vanish.
    sine -= np.outer(sine @ w, w) / (w @ w)
    cosine -= np.outer(cosine @ w**2, w**2) / (w**2 @ w**2)
    S, C = np.sin(np.outer(time_s, w)), np.cos(np.outer(time_s, w))
    q = S @ sine.T + C @ cosine.T
    v = (C * w) @ sine.T - (S * w) @ cosine.T
    a = -(S * w**2) @ sine.T - (C * w**2) @ cosine.T
    unit = np.array([1.0 if k == JointType.REVOLUTE else 0.1 for k in joint_kinds(model)])
    low, high = np.asarray(model.lower), np.asarray(model.upper)
    limited = np.isfinite(high - low)
    middle = np.where(limited, (low + high) / 2, 0.0)
    half = np.where(limited, (high - low) / 2, np.pi * unit) * config.range_share
    v_most = np.minimum(np.asarray(model.velocity_limit), config.max_velocity * unit)
    a_most = config.max_acceleration * unit
    mean = (q.max(axis=0) + q.min(axis=0)) / 2
    gain = np.minimum.reduce(
        [
            half / (np.ptp(q, axis=0) / 2),
            v_most / np.abs(v).max(axis=0),
            a_most / np.abs(a).max(axis=0),
        ]
    )
    return middle + (q - mean) * gain, v * gain, a * gain
