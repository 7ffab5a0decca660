"""A robot's measured joints, as they come on joint_states."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.ros import conversions
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.joints import JointHistory, JointNames

#: How long joint states of other robots only may come before that is said.
FOREIGN_AFTER_S = 2.0


class JointInput:
    """Keeps the joint states of a robot and says what is wrong with them; for any thread.

    Args:
        model: the robot.
        prefix: what joint states put before the model's joint names.
        diagnostics: is told of faults.

    Attributes:
        names: the joints by the names they have in messages.
    """

    def __init__(self, model: Any, prefix: str, diagnostics: Diagnostics) -> None:
        self.names = JointNames.of(model, prefix)
        self._history, self._nv = JointHistory(model.nq), model.nv
        self._diagnostics = diagnostics
        self._foreign_since_s: float | None = None

    def add(self, message: Any) -> None:
        """Take a joint state; say what is wrong with it."""
        names, history = self.names, self._history
        topic = "joint_states"
        try:
            q, velocity = names.read(message)
        except InputError as error:
            self._diagnostics.fault(topic, str(error))
            return
        if message.name and names.index.keys().isdisjoint(message.name):
            self._foreign(message.name)
            return
        if history.add(conversions.stamp_to_s(message.header.stamp), q, velocity):
            self._diagnostics.fault(topic, "stamps jumped back; starting afresh from there", WARN)
        missing = names.missing(history.latest())
        bad = [n for n in message.name if n in names.index and np.isnan(q[names.index[n]])]
        if bad:
            text = f"no finite position for joint {', '.join(bad)}"
            self._diagnostics.fault(topic, text, cause="not finite")
        elif missing:
            text = f"no position was ever given for joint {', '.join(missing)}"
            self._diagnostics.fault(topic, text, WARN)
        else:
            self._diagnostics.good(topic)

    def at(self, stamp_s: float) -> NDArray[np.float64]:
        """Return positions [nq] at a stamp, NaN where none is near enough."""
        return self._history.at(stamp_s)

    def newest(self) -> NDArray[np.float64]:
        """Return the newest position of every joint [nq], NaN where there was none."""
        return self._history.latest()

    def velocity(self, stamp_s: float) -> NDArray[np.float64] | None:
        """Return joint velocities [nv] at a stamp, None where they are not known of all joints."""
        rate = self._history.velocity(stamp_s)
        v = np.zeros(self._nv)
        for name, i in self.names.index.items():
            v[self.names.v_index[name]] = rate[i]
        return v if np.isfinite(v).all() else None

    def rate(self, stamp_s: float) -> NDArray[np.float64]:
        """Return the rate of positions [nq] at a stamp, 0 where it is not known."""
        return np.nan_to_num(self._history.velocity(stamp_s))

    def known(self, stamp_s: float) -> NDArray[np.float64] | None:
        """Return positions [nq] at a stamp, None where none is near enough, which is a fault."""
        q = self._history.at(stamp_s)
        if np.isfinite(q).any():
            self._diagnostics.good("joint_states age")
            return q
        newest_s = self._history.newest_s()
        if newest_s is not None:
            self._diagnostics.fault(
                "joint_states age",
                f"the newest joint state is {stamp_s - newest_s:.3f} s older than the image; "
                "going on without",
                WARN,
                cause="old",
            )
        return None

    def _foreign(self, given: Sequence[str]) -> None:
        """Take note of another robot's joint state; where no other kind comes, that is a fault."""
        if self._history.newest_s() is not None:
            return
        now = time.monotonic()
        self._foreign_since_s = self._foreign_since_s or now
        if now - self._foreign_since_s > FOREIGN_AFTER_S:
            self._diagnostics.fault(
                "joint_states",
                f"they name {', '.join(given)}, and none of the model's joints: "
                f"{', '.join(self.names.index)}; another robot, or joint_prefix is missing",
                WARN,
                cause="foreign",
            )
