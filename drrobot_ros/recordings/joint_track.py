"""Joint positions over time, asked for at the times of images."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Vector = NDArray[np.float64]

#: Readings further apart than this are not interpolated, s.
MAX_GAP_S = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class JointTrack:
    """What was read of every joint, and when; joints may come in messages of their own.

    Attributes:
        stamps_s: by joint name, increasing [T], s.
        positions: by joint name [T], rad or m.

    Raises:
        InputError: sizes differ, or a value is not finite.
    """

    stamps_s: Mapping[str, Vector]
    positions: Mapping[str, Vector]

    def __post_init__(self) -> None:
        for name, stamps in self.stamps_s.items():
            values = self.positions[name]
            if len(stamps) != len(values):
                raise InputError(f"joint {name!r}: {len(stamps)} stamps, {len(values)} positions")
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                at = stamps[bad[0]] - stamps[0]
                raise InputError(
                    f"position of joint {name!r} is {values[bad[0]]} after {at:.3f} s; every "
                    "position must be finite"
                )

    @classmethod
    def of_readings(cls, readings: Sequence[tuple[float, str, float]]) -> "JointTrack":
        """Return the track of (stamp, joint, position) in any order; of equal stamps the last."""
        rows: dict[str, dict[float, float]] = {}
        for stamp, name, position in readings:
            rows.setdefault(name, {})[stamp] = position
        stamps, positions = {}, {}
        for name, values in rows.items():
            times = sorted(values)
            stamps[name] = np.array(times)
            positions[name] = np.array([values[t] for t in times])
        return cls(stamps, positions)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints that were read."""
        return tuple(self.positions)

    def at(
        self, stamp_s: float, joints: Sequence[str], max_gap_s: float = MAX_GAP_S
    ) -> Vector | None:
        """Return positions of joints at a time, linearly between readings.

        None where a joint was not read within `max_gap_s` before or after.

        Raises:
            KeyError: a joint that was never read.
        """
        found = np.zeros(len(joints))
        for i, name in enumerate(joints):
            stamps, values = self.stamps_s[name], self.positions[name]
            after = int(np.searchsorted(stamps, stamp_s))
            before = max(after - 1, 0)
            after = min(after, len(stamps) - 1)
            exact = stamps[after] == stamp_s
            inside = stamps[before] <= stamp_s <= stamps[after]
            if not exact and not (inside and stamps[after] - stamps[before] <= max_gap_s):
                return None
            found[i] = np.interp(stamp_s, stamps[[before, after]], values[[before, after]])
            if before == after or exact:
                found[i] = values[after]
        return found

    def velocity(
        self, stamp_s: float, joints: Sequence[str], span_s: float = 0.05
    ) -> Vector | None:
        """Return the joints' mean velocities around a time, rad/s or m/s; None where not known."""
        first, last = self.at(stamp_s - span_s, joints), self.at(stamp_s + span_s, joints)
        return None if first is None or last is None else (last - first) / (2 * span_s)
