"""Keeps the joint states of one robot, and counts what could not be kept."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from drrobot_ros.errors import InputError
from drrobot_ros.identification.recording import GAP, Recording
from drrobot_ros.ros.conversions import stamp_to_s

Array = NDArray[np.float64]


@dataclasses.dataclass
class Counts:
    """How many messages were kept, and why others were not.

    Attributes:
        kept: messages in the recording.
        other: without any of the robot's joints.
        incomplete: with some of the robot's joints only, or without effort.
        not_finite: with NaN or infinity for one of the robot's joints.
        out_of_order: with a stamp not later than the one before.
        overflow: after the recording was full.
    """

    kept: int = 0
    other: int = 0
    incomplete: int = 0
    not_finite: int = 0
    out_of_order: int = 0
    overflow: int = 0

    @property
    def lost(self) -> int:
        """Messages of the robot that were not kept."""
        return self.incomplete + self.not_finite + self.out_of_order + self.overflow


class JointRecorder:
    """A recording that grows by a message at a time.

    Args:
        joint_names: the joints wanted, as the model names them.
        prefix: what messages put before the names.
        limit_s: longest recording, s.
    """

    def __init__(
        self, joint_names: Sequence[str], prefix: str = "", limit_s: float = 600.0
    ) -> None:
        self.joint_names = tuple(joint_names)
        self.counts = Counts()
        self._wanted = [prefix + name for name in self.joint_names]
        self._limit_s = limit_s
        self._stamps: list[float] = []
        self._rows: list[tuple[Array, Array | None, Array]] = []

    def add(self, message: JointState, arrival_s: float) -> str | None:
        """Keep a message; return why it was not kept, in words, None where it was or is no matter.

        Args:
            message: in any order, with joints of other robots too.
            arrival_s: its time where it has no stamp.
        """
        index = {name: i for i, name in enumerate(message.name)}
        missing = [name for name in self._wanted if name not in index]
        if len(missing) == len(self._wanted):
            self.counts.other += 1
            return None
        if missing:
            self.counts.incomplete += 1
            return f"joint states lack {', '.join(missing)}"
        columns = [index[name] for name in self._wanted]
        fields: dict[str, Array | None] = {}
        for field in ("position", "velocity", "effort"):
            values = np.asarray(getattr(message, field), np.float64)
            if len(values) not in (0, len(message.name)) or len(index) != len(message.name):
                self.counts.incomplete += 1
                return f"joint states have {len(message.name)} names, {len(values)} {field} values"
            fields[field] = values[columns] if len(values) else None
        q, v, tau = fields["position"], fields["velocity"], fields["effort"]
        if q is None or tau is None:
            self.counts.incomplete += 1
            return f"joint states have no {'position' if q is None else 'effort'}"
        if v is not None and np.isnan(v).all():  # drivers that measure none say so
            v = None
        for field, values in (("position", q), ("velocity", v), ("effort", tau)):
            bad = [] if values is None else np.flatnonzero(~np.isfinite(values))
            if len(bad):
                self.counts.not_finite += 1
                return f"{field} of joint {self._wanted[bad[0]]!r} is not finite"
        stamp = stamp_to_s(message.header.stamp) or arrival_s
        if self._stamps and stamp <= self._stamps[-1]:
            self.counts.out_of_order += 1
            return f"the stamp {stamp:.6f} s is not later than the one before"
        if self._stamps and stamp - self._stamps[0] > self._limit_s:
            self.counts.overflow += 1
            return f"the recording is full: {self._limit_s:g} s"
        self._stamps.append(stamp)
        self._rows.append((q, v, tau))
        self.counts.kept += 1
        return None

    @property
    def duration_s(self) -> float:
        """Time between the first and the last message."""
        return self._stamps[-1] - self._stamps[0] if self._stamps else 0.0

    def pieces(self) -> list[slice]:
        """Return the stretches between gaps; a gap is what `Recording` takes for one."""
        steps = np.diff(self._stamps)
        if not len(steps):
            return [slice(0, len(self._stamps))]
        usual = float(np.median(steps))
        cuts = np.flatnonzero(steps > max(GAP * usual, usual + 0.02)) + 1
        ends = [0, *(int(c) for c in cuts), len(self._stamps)]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def recording(self) -> Recording:
        """Return the longest stretch without a gap; its notes say what was left out.

        Raises:
            InputError: nothing or too little was recorded; the message says what came instead.
        """
        c = self.counts
        told = (
            f"{c.kept} joint states kept; {c.not_finite} with values not finite, "
            f"{c.incomplete} incomplete, {c.out_of_order} out of order, {c.overflow} after the "
            f"end, {c.other} of other robots"
        )
        pieces = self.pieces()
        piece = max(pieces, key=lambda s: s.stop - s.start)
        if piece.stop - piece.start < 20:
            raise InputError(f"too little was recorded: {told}; {len(pieces) - 1} gaps")
        notes = [told] if c.lost else []
        if len(pieces) > 1:
            notes.append(
                f"{len(pieces) - 1} gaps; used the longest stretch without one, "
                f"{self._stamps[piece.stop - 1] - self._stamps[piece.start]:.2f} of "
                f"{self.duration_s:.2f} s"
            )
        rows = self._rows[piece]
        speeds = [v for _, v, _ in rows if v is not None]
        if 0 < len(speeds) < len(rows):
            notes.append("velocities were in some messages only, and are not used")
        stamps = np.array(self._stamps[piece])
        return Recording(
            stamps - stamps[0],
            np.array([q for q, _, _ in rows]),
            np.array(speeds) if len(speeds) == len(rows) else None,
            None,
            np.array([tau for _, _, tau in rows]),
            self.joint_names,
            tuple(notes),
        )
