"""Joint motions for a simulated robot: smooth made-up ones, and given trajectories."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from drrobot_ros.errors import InputError
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.robot.tree import JointType
from drrobot_ros.simulation.config import EncoderConfig

Floats = NDArray[np.float64]


class SinusoidMotion:
    """Every joint swings about a middle position, each at a frequency of its own.

    Positions, velocities and accelerations are smooth, and positions stay within the limits.
    Ball and floating joints keep still.

    Args:
        model: the robot.
        amplitude: greatest swing, rad or m; a joint's own is less where limits are near.
        period_s: of the slowest joint; others are up to twice as fast.
        seed: of frequencies and phases.
        center: [nq] middle position; None: `model.neutral()`, moved off the limits.

    Raises:
        InputError: a negative amplitude, a period that is not positive or a wrong centre.
    """

    def __init__(
        self,
        model: RobotModel,
        amplitude: float = 0.4,
        period_s: float = 8.0,
        seed: int = 0,
        center: Any = None,
    ) -> None:
        if not (np.isfinite(amplitude) and amplitude >= 0):
            raise InputError(f"amplitude must be 0 or more, got {amplitude!r}")
        if not (np.isfinite(period_s) and period_s > 0):
            raise InputError(f"period_s must be positive, got {period_s!r}")
        rng = np.random.default_rng(seed)
        middle = _array(model.neutral() if center is None else center)
        if middle.shape != (model.nq,) or not np.isfinite(middle).all():
            raise InputError(f"center must be {model.nq} finite numbers, got {center!r}")
        tree = model.tree
        simple = np.zeros(model.nq, dtype=bool)
        slides = np.zeros(model.nq, dtype=bool)
        for kind, start in zip(tree.joint_type, tree.q_index, strict=True):
            if start >= 0 and kind in (JointType.REVOLUTE, JointType.PRISMATIC):
                simple[start] = True
                slides[start] = kind == JointType.PRISMATIC
        room = np.where(slides, 0.1, 1.0) * amplitude
        half = 0.45 * (model.upper - model.lower)
        room = np.where(np.isfinite(half), np.minimum(room, half), room)
        low = np.where(np.isfinite(model.lower), model.lower + 1.05 * room, middle)
        high = np.where(np.isfinite(model.upper), model.upper - 1.05 * room, middle)
        self._center = np.where(simple, np.clip(middle, low, np.maximum(low, high)), middle)
        self._amplitude = np.where(simple, room, 0.0)
        self._frequency = 2 * np.pi / period_s * rng.uniform(1.0, 2.0, model.nq)
        self._phase = rng.uniform(-np.pi, np.pi, model.nq)

    def __call__(self, time_s: float | Sequence[float] | Floats) -> Floats:
        """Return q [..., nq] at times [...] in s."""
        t = np.asarray(time_s, dtype=np.float64)[..., None]
        return self._center + self._amplitude * np.sin(self._frequency * t + self._phase)

    def velocity(self, time_s: float | Sequence[float] | Floats) -> Floats:
        """Return the time derivative of q [..., nq] at times [...] in s."""
        t = np.asarray(time_s, dtype=np.float64)[..., None]
        return self._amplitude * self._frequency * np.cos(self._frequency * t + self._phase)


def sinusoid_motion(
    model: RobotModel, time_s: float | Floats, amplitude: float = 0.4, seed: int = 0
) -> Floats:
    """Return q [..., nq] of a `SinusoidMotion` at times [...] in s."""
    return SinusoidMotion(model, amplitude, seed=seed)(time_s)


class TrajectoryFollower:
    """Follows waypoints exactly, like a joint trajectory controller without dynamics.

    Between waypoints positions are cubic in time. At a waypoint the velocity is the one given, or
    the mean of the neighbouring slopes; it is zero at both ends, and where the direction of a
    joint turns, so that it does not overshoot. Positions are kept within the limits.

    Args:
        model: the robot.
        q: where it is now [nq].
    """

    def __init__(self, model: RobotModel, q: Any) -> None:
        self._model = model
        self._q = self._checked(q, "q")
        self._spline: CubicHermiteSpline | None = None
        self._start_s, self._end_s = 0.0, 0.0

    @property
    def end_s(self) -> float:
        """When the last trajectory is finished, s."""
        return self._end_s

    def follow(
        self,
        start_s: float,
        times_s: Sequence[float] | Floats,
        positions: Any,
        velocities: Any = None,
    ) -> None:
        """Take up a new trajectory, from wherever the robot is at its start.

        Args:
            start_s: time of the start.
            times_s: [n] when each waypoint is reached, s after the start; increasing.
            positions: [n, nq].
            velocities: [n, nq] at the waypoints, or None.

        Raises:
            InputError: wrong shapes, times that do not increase, or positions outside the limits;
                the trajectory before stays.
        """
        times = np.asarray(times_s, dtype=np.float64)
        goals = _array(positions)
        n = len(times) if times.ndim == 1 else 0
        if n == 0 or not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
            raise InputError(f"times_s must be increasing and not negative, got {times_s!r}")
        if goals.shape != (n, self._model.nq) or not np.isfinite(goals).all():
            raise InputError(f"positions must be [{n}, {self._model.nq}] and finite")
        outside = (goals < self._model.lower - 1e-6) | (goals > self._model.upper + 1e-6)
        if outside.any():
            row, joint = np.argwhere(outside)[0]
            raise InputError(
                f"waypoint {row} puts position {joint} at {goals[row, joint]:.4g}; limits: "
                f"{self._model.lower[joint]:.4g} to {self._model.upper[joint]:.4g}"
            )
        speeds = None if velocities is None else _array(velocities)
        if speeds is not None and (speeds.shape != goals.shape or not np.isfinite(speeds).all()):
            raise InputError(f"velocities must be {list(goals.shape)} and finite")
        if times[0] > 0:  # the way from here to the first waypoint
            times = np.concatenate([[0.0], times])
            goals = np.concatenate([self.position(start_s)[None], goals])
            if speeds is not None:
                speeds = np.concatenate([np.zeros((1, self._model.nq)), speeds])
        self._start_s, self._end_s = start_s, start_s + float(times[-1])
        self._q = goals[-1].copy()
        if len(times) == 1:
            self._spline = None
            return
        self._spline = CubicHermiteSpline(
            times, goals, _slopes(times, goals) if speeds is None else speeds
        )

    def stop(self, time_s: float) -> None:
        """Stay where the robot is at a time."""
        self._q = self.position(time_s)
        self._spline = None
        self._start_s = self._end_s = time_s

    def position(self, time_s: float) -> Floats:
        """Return q [nq] at a time; before the start and after the end the robot rests."""
        if self._spline is None:
            return self._q.copy()
        t = np.clip(time_s - self._start_s, 0.0, self._end_s - self._start_s)
        q = np.asarray(self._spline(t), dtype=np.float64)
        return np.clip(q, self._model.lower, self._model.upper)

    def velocity(self, time_s: float) -> Floats:
        """Return the time derivative of q [nq]; zero at rest."""
        if self._spline is None or not self._start_s <= time_s <= self._end_s:
            return np.zeros(self._model.nq)
        return np.asarray(self._spline(time_s - self._start_s, 1), dtype=np.float64)

    def _checked(self, q: Any, name: str) -> Floats:
        array = _array(q)
        if array.shape != (self._model.nq,) or not np.isfinite(array).all():
            raise InputError(f"{name} must be {self._model.nq} finite numbers, got {q!r}")
        return array


class Encoders:
    """Joint positions as a real robot reports them: a constant error each, and noise."""

    def __init__(self, model: RobotModel, config: EncoderConfig | None = None) -> None:
        self.config = config or EncoderConfig()
        self._model = model
        self._rng = np.random.default_rng(self.config.seed)
        #: the constant errors [nv], rad or m
        self.bias: Floats = self._rng.normal(0, 1, model.nv) * self.config.bias

    def read(self, q: Any) -> Floats:
        """Return what is reported [nq] for the true q [nq]; rotations stay rotations."""
        error = self.bias + self._rng.normal(0, 1, self._model.nv) * self.config.noise
        true = torch.as_tensor(_array(q))
        return self._model.integrate(true, torch.from_numpy(error)).numpy()


class CollisionCheck:
    """Whether a robot touches itself, by MuJoCo's collision shapes; parents and children may."""

    def __init__(self, model: RobotModel) -> None:
        self._model = model
        self._data = mujoco.MjData(model.mj_model)

    def contacts(self, q: Any) -> list[tuple[str, str]]:
        """Return the pairs of links that touch at q [nq], by their names in MuJoCo."""
        m, data = self._model.mj_model, self._data
        data.qpos[:] = self._model.mj_qpos(_array(q))
        mujoco.mj_kinematics(m, data)
        mujoco.mj_comPos(m, data)
        mujoco.mj_collision(m, data)
        pairs = {
            tuple(sorted(int(m.geom_bodyid[g]) for g in contact.geom))
            for contact in data.contact[: data.ncon]
            if contact.dist < 0
        }
        return [(m.body(a).name, m.body(b).name) for a, b in sorted(pairs)]

    def is_free(self, q: Any) -> bool:
        """Return whether nothing touches at any q [..., nq]."""
        return not any(self.contacts(row) for row in _array(q).reshape(-1, self._model.nq))


def _slopes(times: Floats, positions: Floats) -> Floats:
    """Return velocities [n, nq] at waypoints: harmonic means of slopes, zero at turns and ends.

    Source: Fritsch and Butland (1984), which keeps a cubic between its waypoints monotone.
    """
    steps = np.diff(times)[:, None]
    slope = np.diff(positions, axis=0) / steps
    result = np.zeros_like(positions)
    a, b = slope[:-1], slope[1:]
    ha, hb = steps[:-1], steps[1:]
    same = a * b > 0
    w1, w2 = 2 * hb + ha, hb + 2 * ha
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (w1 + w2) / (w1 / a + w2 / b)
    result[1:-1] = np.where(same, mean, 0.0)
    return result


def _array(q: Any) -> Floats:
    return np.array(
        q.detach().cpu().numpy() if isinstance(q, torch.Tensor) else q, dtype=np.float64
    )
