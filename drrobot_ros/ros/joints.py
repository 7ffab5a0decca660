"""Joint states by name, and their history by stamp."""

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]


class JointNames:
    """Where each scalar joint of a robot lies in q, by the name it has on joint-state topics.

    Args:
        q_index: position in q of every joint that is one number (revolute, prismatic).
        v_index: its position in v.
        nq: length of q.
        prefix: put before the model's names, e.g. ``"left_"``.
    """

    def __init__(
        self, q_index: dict[str, int], v_index: dict[str, int], nq: int, prefix: str = ""
    ) -> None:
        self.nq, self.prefix = nq, prefix
        self.index = {prefix + name: i for name, i in q_index.items()}
        self.v_index = {prefix + name: i for name, i in v_index.items()}

    @classmethod
    def of(cls, model, prefix: str = "") -> "JointNames":
        """Return the scalar joints of a :class:`~drrobot_ros.robot.RobotModel`."""
        starts = {name: int(model.joint_q_index(name)) for name in model.joint_names}
        ends = [*sorted(starts.values())[1:], model.nq]
        size = {
            start: end - start for start, end in zip(sorted(starts.values()), ends, strict=True)
        }
        scalar = {name: start for name, start in starts.items() if size[start] == 1}
        v_index = {name: int(model.joint_v_index(name)) for name in scalar}
        return cls(scalar, v_index, model.nq, prefix)

    def read(self, message: JointState) -> tuple[Vector, Vector]:
        """Return positions and velocities [nq] of a message, NaN where it says nothing.

        The order of the message does not matter, joints of other robots are passed over.

        Raises:
            InputError: arrays of different lengths, or a name given twice.
        """
        names = message.name
        for field in ("position", "velocity", "effort"):
            length = len(getattr(message, field))
            if length not in (0, len(names)):
                raise InputError(f"joint state has {len(names)} names but {length} {field} values")
        q, v = np.full(self.nq, np.nan), np.full(self.nq, np.nan)
        seen: set[str] = set()
        for k, name in enumerate(names):
            i = self.index.get(name)
            if i is None:
                continue
            if name in seen:
                raise InputError(f"joint state names {name!r} twice")
            seen.add(name)
            if len(message.position):
                q[i] = _finite(message.position[k])
            if len(message.velocity):
                v[i] = _finite(message.velocity[k])
        return q, v

    def missing(self, q: Vector) -> list[str]:
        """Return the names of the joints that are NaN in q."""
        return [name for name, i in self.index.items() if np.isnan(q[i])]

    def write(self, q: Vector, header: Header, velocity: Vector | None = None) -> JointState:
        """Return the message of q [nq], v [nv]; multi-axis joints cannot be in it."""
        message = JointState(header=header, name=list(self.index))
        message.position = self.positions(q)
        if velocity is not None:
            message.velocity = self.velocities(velocity)
        return message

    def positions(self, q: Vector) -> list[float]:
        """Return the numbers of q [nq] in the order of the names."""
        return np.asarray(q, np.float64)[list(self.index.values())].tolist()

    def velocities(self, v: Vector) -> list[float]:
        """Return the numbers of v [nv] in the order of the names."""
        return np.asarray(v, np.float64)[list(self.v_index.values())].tolist()


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else np.nan


class JointHistory:
    """The last seconds of joint positions, joint by joint, to ask for any stamp.

    Safe to use from any thread.

    Args:
        nq: length of q.
        keep_s: how far back a stamp may lie.
        hold_s: how far ahead of the newest value a stamp may lie; the value is moved on by its
            velocity where that is known.
    """

    def __init__(self, nq: int, keep_s: float = 2.0, hold_s: float = 0.2) -> None:
        self.nq, self.keep_s, self.hold_s = nq, keep_s, hold_s
        self._samples: list[deque[tuple[float, float, float]]] = [deque() for _ in range(nq)]
        self._lock = threading.Lock()

    def add(self, stamp_s: float, q: Vector, velocity: Vector) -> bool:
        """Add the finite values of a message; return True where its stamp had jumped back.

        A jump forgets what came before for the joints concerned.
        """
        jumped = False
        with self._lock:
            for i in np.flatnonzero(np.isfinite(q)):
                samples = self._samples[i]
                if samples and stamp_s < samples[-1][0]:
                    samples.clear()
                    jumped = True
                elif samples and stamp_s == samples[-1][0]:
                    samples.pop()
                samples.append((stamp_s, float(q[i]), float(velocity[i])))
                while samples[0][0] < stamp_s - self.keep_s:
                    samples.popleft()
        return jumped

    def at(self, stamp_s: float) -> Vector:
        """Return positions [nq] at a stamp, NaN where none is near enough."""
        with self._lock:
            return np.array([self._one(samples, stamp_s) for samples in self._samples])

    def velocity(self, stamp_s: float, step_s: float = 0.03) -> Vector:
        """Return the rate of q [nq] around a stamp, NaN where too little is known there."""
        with self._lock:
            return np.array([_rate(samples, stamp_s, step_s) for samples in self._samples])

    def latest(self) -> Vector:
        """Return the newest value of every joint [nq], NaN where there was none."""
        with self._lock:
            return np.array([s[-1][1] if s else np.nan for s in self._samples])

    def newest_s(self) -> float | None:
        """Return the stamp of the newest value of any joint, s."""
        with self._lock:
            return max((s[-1][0] for s in self._samples if s), default=None)

    def _one(self, samples: Sequence[tuple[float, float, float]], stamp_s: float) -> float:
        if not samples:
            return np.nan
        k = bisect_right(samples, stamp_s, key=lambda s: s[0])
        if k == len(samples):
            t, q, v = samples[-1]
            ahead = stamp_s - t
            if ahead > self.hold_s:
                return np.nan
            return q + (ahead * v if np.isfinite(v) else 0.0)
        if k == 0:
            t, q, _ = samples[0]
            return q if t - stamp_s <= self.hold_s else np.nan
        (t0, q0, _), (t1, q1, _) = samples[k - 1], samples[k]
        return q0 + (q1 - q0) * (stamp_s - t0) / (t1 - t0)


def _rate(samples: Sequence[tuple[float, float, float]], stamp_s: float, step_s: float) -> float:
    """Return the slope of the samples around a stamp: over what there is within a step of it."""
    if len(samples) < 2 or stamp_s > samples[-1][0] + step_s or stamp_s < samples[0][0] - step_s:
        return np.nan
    times = [s[0] for s in samples]
    first = max(bisect_right(times, stamp_s - step_s) - 1, 0)
    last = min(bisect_right(times, stamp_s + step_s), len(samples) - 1)
    first = min(first, last - 1)
    (t0, q0, _), (t1, q1, _) = samples[first], samples[last]
    return (q1 - q0) / (t1 - t0)
