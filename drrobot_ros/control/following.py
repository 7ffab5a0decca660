"""Whether an arm does what it is told, and whether what it is seen by can be believed."""

import dataclasses
from collections import deque
from collections.abc import Sequence

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.trajectory import Vector


@dataclasses.dataclass(frozen=True)
class FollowingConfig:
    """When a motion is given up for the arm does not do it."""

    tolerance: float = setting(
        0.1, "farthest a joint may be from where it should be", unit="rad or m", minimum=1e-4
    )
    delay_s: float = setting(
        0.15, "how far the arm may be behind what it was told", unit="s", minimum=0.0, maximum=2.0
    )
    patience_s: float = setting(
        0.1, "how long a joint may be farther off", unit="s", minimum=0.0, maximum=5.0
    )
    silence_s: float = setting(
        0.3, "longest time without joint states", unit="s", minimum=0.01, maximum=10.0
    )

    def __post_init__(self) -> None:
        validate(self)


class FollowingMonitor:
    """Compares where the arm is with where it should be, now or a moment ago.

    Args:
        names: of the joints, for messages.
        config: settings.
    """

    def __init__(self, names: Sequence[str], config: FollowingConfig) -> None:
        self._names, self._config = tuple(names), config
        self._told: deque[tuple[float, Vector]] = deque()
        self._heard_s: float | None = None
        self._off_since_s: float | None = None
        self.error = float("nan")

    def restart(self, now_s: float) -> None:
        """Begin to watch."""
        self._told.clear()
        self._heard_s, self._off_since_s, self.error = now_s, None, float("nan")

    def told(self, now_s: float, q: Vector) -> None:
        """Take note of where the arm should be [nq]."""
        self._told.append((now_s, q))
        while len(self._told) > 1 and self._told[1][0] < now_s - self._config.delay_s:
            self._told.popleft()

    def heard(self, now_s: float, q: Vector) -> None:
        """Take note of where its encoders say it is [nq], NaN where they say nothing."""
        known = np.isfinite(q)
        if not known.any():
            return
        self._heard_s = now_s
        if not self._told:
            return
        # A delayed arm is somewhere on the last moments of the way.
        way = np.array([q for _, q in self._told])
        off = np.where(known, np.maximum(q - way.max(0), way.min(0) - q), 0.0).clip(0.0)
        self._worst = int(off.argmax())
        self.error = float(off[self._worst])
        if self.error <= self._config.tolerance:
            self._off_since_s = None
        elif self._off_since_s is None:
            self._off_since_s = now_s

    def problem(self, now_s: float) -> str:
        """Return why the motion must be given up; empty while all is well."""
        config = self._config
        if self._heard_s is None or now_s - self._heard_s > config.silence_s:
            ago = "ever" if self._heard_s is None else f"for {now_s - self._heard_s:.2f} s"
            return f"no joint states {ago}"
        if self._off_since_s is not None and now_s - self._off_since_s >= config.patience_s:
            return (
                f"the arm does not follow: joint {self._names[self._worst]!r} is "
                f"{self.error:.3f} from where it should be, at most {config.tolerance:g}"
            )
        return ""


class ClockWatch:
    """Notices that a clock was set: it and a steady one no longer go together.

    Args:
        tolerance_s: by how much they may drift apart between two looks.
    """

    def __init__(self, tolerance_s: float = 0.1) -> None:
        self._tolerance_s = tolerance_s
        self._difference_s: float | None = None

    def jump_s(self, clock_s: float, steady_s: float) -> float:
        """Return by how much the clock jumped since the last call; 0 where it did not."""
        before, self._difference_s = self._difference_s, clock_s - steady_s
        moved = 0.0 if before is None else self._difference_s - before
        return moved if abs(moved) > self._tolerance_s else 0.0
