"""Recordings of a moving robot: what was measured, put in the model's order, checked, completed."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.identification.smoothing import derivative, is_uniform, resampled, smoothed
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.tree import JointType

Array = NDArray[np.float64]

GAP = 5.0  # median steps
LEAST_TRAVEL = {JointType.REVOLUTE: 0.05, JointType.PRISMATIC: 0.005}  # rad, m
_FIELDS = ("q", "v", "a", "tau")
_MEANING = {"q": "position", "v": "velocity", "a": "acceleration", "tau": "torque"}


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """Joint measurements over time, in the order of `joint_names`.

    Attributes:
        time_s: [T] stamps, increasing.
        q: [T, n] positions, rad or m.
        v: [T, n] velocities, a: [T, n] accelerations, tau: [T, n] joint forces (N m or N), or None.
        joint_names: n names.
        notes: what was done to the data so far, in words.

    Raises:
        InputError: sizes differ, stamps do not increase, a value is not finite, a gap; the message
            names joint, time and what is valid.
    """

    time_s: Array
    q: Array
    v: Array | None
    a: Array | None
    tau: Array | None
    joint_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        time_s = np.asarray(self.time_s, dtype=np.float64)
        object.__setattr__(self, "time_s", time_s)
        object.__setattr__(self, "joint_names", tuple(self.joint_names))
        n = len(self.joint_names)
        twice = sorted({x for x in self.joint_names if self.joint_names.count(x) > 1})
        if twice:
            raise InputError(f"joints more than once in the recording: {', '.join(twice)}")
        if time_s.ndim != 1 or len(time_s) < 20:
            raise InputError(f"a recording needs at least 20 samples, got {time_s.size}")
        for name in _FIELDS:
            values = getattr(self, name)
            if values is None:
                continue
            values = np.asarray(values, dtype=np.float64)
            if values.shape != (len(time_s), n):
                raise InputError(f"{name} must be {(len(time_s), n)}, got {values.shape}")
            object.__setattr__(self, name, values)
            self._check_finite(name, values)
        self._check_stamps()

    def _check_finite(self, name: str, values: Array) -> None:
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            i, j = bad[0]
            raise InputError(
                f"{_MEANING[name]} of joint {self.joint_names[j]!r} is {values[i, j]} at sample "
                f"{i} ({self.time_s[i]:.3f} s), {len(bad)} such values in all; every value must "
                "be finite"
            )

    def _check_stamps(self) -> None:
        if not np.isfinite(self.time_s).all():
            raise InputError(f"stamp {int(np.argmin(np.isfinite(self.time_s)))} is not finite")
        steps = np.diff(self.time_s)
        if (steps <= 0).any():
            i = int(np.argmax(steps <= 0))
            raise InputError(
                f"stamps must increase: {self.time_s[i]:.6f} s is followed by "
                f"{self.time_s[i + 1]:.6f} s at sample {i + 1}"
            )
        usual = float(np.median(steps))
        if usual > 0.5:
            raise InputError(
                f"the stamps are {usual:g} apart: they must be in seconds, at 2 Hz or faster"
            )
        if steps.max() > max(GAP * usual, usual + 0.02):
            i = int(np.argmax(steps))
            raise InputError(
                f"gap of {steps[i]:.3f} s after {self.time_s[i]:.3f} s, where samples are "
                f"{usual:.4f} s apart; cut the recording there"
            )

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return float((len(self.time_s) - 1) / (self.time_s[-1] - self.time_s[0]))

    def for_model(self, model: RobotModel, held: Mapping[str, float] | None = None) -> "Recording":
        """Return the recording in the order of the model's joints, checked against its limits.

        Args:
            model: its joints must all be of one number (revolute or prismatic).
            held: positions of joints that stood still and are not in the recording; their torques
                are taken as unknown (NaN in tau).

        Raises:
            InputError: unknown or missing joints, wrong units, too little motion.
        """
        held = dict(held or {})
        if model.nq != len(model.joint_names) or model.nv != model.nq:
            raise InputError(
                f"{model.name!r} has ball or floating joints; recordings have one number per joint"
            )
        notes = list(self.notes)
        known = set(model.joint_names)
        for name in self.joint_names:
            if name in known:
                continue
            if name and name in model.tree.joint_names:
                notes.append(f"joint {name!r} follows another one; its column was not used")
                continue
            raise unknown_name("joint of the recording", name, model.joint_names)
        for name in held:
            if name not in known:
                raise unknown_name("held joint", name, model.joint_names)
            if name in self.joint_names:
                raise InputError(f"joint {name!r} is held and recorded; it can be only one of both")
        missing = [n for n in model.joint_names if n not in self.joint_names and n not in held]
        if missing:
            raise InputError(
                f"joints not in the recording: {', '.join(missing)}; it has "
                f"{', '.join(self.joint_names)}. If they stood still, say where: held"
            )
        columns = [
            self.joint_names.index(n) if n in self.joint_names else -1 for n in model.joint_names
        ]

        def put(values: Array | None) -> Array | None:
            if values is None:
                return None
            padded = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
            return padded[:, columns]

        q, v, a, tau = (put(getattr(self, name)) for name in _FIELDS)
        assert q is not None
        for i, name in enumerate(model.joint_names):
            if name in held:
                q[:, i] = held[name]
                notes.append(f"joint {name!r} held at {held[name]:g}; its torque is not used")
        found = Recording(self.time_s, q, v, a, tau, model.joint_names, tuple(notes))
        moving = np.array([n not in held for n in model.joint_names])
        _check_units(found, model, moving)
        _check_motion(found, model, moving)
        return found

    def completed(self, cutoff_hz: float = 10.0) -> "Recording":
        """Return it at even steps with velocities and accelerations, ends cut off if they are new.

        Missing derivatives come from positions (or velocities) low-passed at `cutoff_hz` both ways.
        """
        if self.v is not None and self.a is not None:
            return self
        time_s, q, v, a, tau = self.time_s, self.q, self.v, self.a, self.tau
        notes, rate = list(self.notes), self.rate_hz
        if not is_uniform(time_s):
            grid = np.linspace(time_s[0], time_s[-1], len(time_s))
            q = resampled(time_s, q, grid)
            v, a, tau = (None if x is None else resampled(time_s, x, grid) for x in (v, a, tau))
            time_s = grid
            notes.append(f"resampled to even steps, {rate:.1f} Hz")
        if v is None:
            q = smoothed(q, rate, cutoff_hz)
            v = derivative(q, rate)
            notes.append(f"positions low-passed at {cutoff_hz:g} Hz, velocities derived from them")
        elif a is None:
            v = smoothed(v, rate, cutoff_hz)
            notes.append(f"velocities low-passed at {cutoff_hz:g} Hz")
        if a is None:
            a = derivative(v, rate)
            notes.append("accelerations derived from velocities")
        cut = min(int(np.ceil(rate / cutoff_hz)), len(time_s) // 10)
        notes.append(f"{cut} samples cut off at either end, where filters are unsure")
        inside = slice(cut, len(time_s) - cut)
        tau = None if tau is None else tau[inside]
        return Recording(
            time_s[inside], q[inside], v[inside], a[inside], tau, self.joint_names, tuple(notes)
        )


def joint_kinds(model: RobotModel) -> list[JointType]:
    """Return the type of each independent joint of a model."""
    rows = [model.tree.joint_names.index(name) for name in model.joint_names]
    return [JointType(int(model.tree.joint_type[r])) for r in rows]


def _check_units(recording: Recording, model: RobotModel, moving: NDArray[np.bool_]) -> None:
    kinds = joint_kinds(model)
    low, high = np.asarray(model.lower), np.asarray(model.upper)
    for i, name in enumerate(model.joint_names):
        q = recording.q[:, i]
        span = high[i] - low[i]
        if np.isfinite(span):
            excess = max(q.max() - high[i], low[i] - q.min())
            if excess > 0.25 * span + 0.02:
                text = (
                    f"joint {name!r} goes from {q.min():.4g} to {q.max():.4g}, far outside its "
                    f"limits {low[i]:.4g} to {high[i]:.4g}"
                )
                turned = np.deg2rad(q)
                revolute = kinds[i] == JointType.REVOLUTE
                if revolute and turned.min() >= low[i] - 0.1 and turned.max() <= high[i] + 0.1:
                    text += "; it looks like degrees"
                unit = "rad" if revolute else "m"
                raise InputError(f"{text}; positions must be in {unit}")
        elif kinds[i] == JointType.REVOLUTE and np.abs(q).max() > 100:
            raise InputError(f"joint {name!r} turns to {np.abs(q).max():.4g}; it must be in rad")
    if recording.v is not None:
        rough = np.gradient(recording.q, recording.time_s, axis=0)
        for i, name in enumerate(model.joint_names):
            v, energy = recording.v[:, i], float((rough[:, i] ** 2).sum())
            if not moving[i] or energy == 0:
                continue
            ratio = float((v * rough[:, i]).sum()) / energy
            if not 0.5 < ratio < 2:
                hint = "; it looks like degrees per second" if 40 < ratio < 80 else ""
                raise InputError(
                    f"velocity of joint {name!r} is {ratio:.3g} times what its position changes "
                    f"by{hint}; velocities must be in rad/s or m/s"
                )
    limit = np.asarray(model.effort_limit, dtype=np.float64)
    if recording.tau is not None and limit.shape == (model.nv, 2):
        limit = np.abs(limit).max(axis=1)
    if recording.tau is not None and limit.shape == (model.nv,):
        most = np.abs(recording.tau).max(axis=0)
        for i in np.flatnonzero(np.isfinite(limit) & (limit > 0) & (most > 20 * limit)):
            raise InputError(
                f"torque of joint {model.joint_names[i]!r} reaches {most[i]:.4g}, its limit is "
                f"{limit[i]:.4g}; torques must be in N m or N"
            )


def _check_motion(recording: Recording, model: RobotModel, moving: NDArray[np.bool_]) -> None:
    travel = np.ptp(recording.q, axis=0)
    needed = np.array([LEAST_TRAVEL[kind] for kind in joint_kinds(model)])
    still = np.flatnonzero(moving & (travel < needed))
    if len(still):
        text = ", ".join(f"{model.joint_names[i]!r} by {travel[i]:.2g}" for i in still)
        raise InputError(
            f"too little motion: {text}; each joint must move by at least "
            f"{LEAST_TRAVEL[JointType.REVOLUTE]:g} rad or {LEAST_TRAVEL[JointType.PRISMATIC]:g} m. "
            "Leave joints that stood still out of the recording and say where they were: held"
        )
