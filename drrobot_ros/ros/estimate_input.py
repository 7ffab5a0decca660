"""Where the camera sees the arm: what the node pose_estimator says of every image."""

import dataclasses
import threading
import time

import numpy as np
from numpy.typing import NDArray

from drrobot_msgs.msg import EstimatorStatus
from drrobot_ros.ros.conversions import stamp_to_s
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.status import STATE_NAMES

Vector = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Seen:
    """An estimate that is believed.

    Attributes:
        stamp_s: of the image, on the nodes' clock.
        received_s: when it came, on the steady clock.
        q: positions [nq]; NaN of joints the estimator does not name.
        sigma: standard deviations [nq], NaN where the image says nothing.
    """

    stamp_s: float
    received_s: float
    q: Vector
    sigma: Vector


class EstimateInput:
    """Keeps the newest believed estimate, and says whether the estimator is lost; for any thread.

    Args:
        names: of the robot's joints.
        patience_s: how long the arm may go unseen before that is said.
    """

    def __init__(self, names: JointNames, patience_s: float) -> None:
        self._names, self.patience_s = names, patience_s
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._state, self._reason = EstimatorStatus.STARTING, ""
        self._heard_s: float | None = None

    def add(self, message: EstimatorStatus) -> Seen | None:
        """Take a status; return the estimate where it is news and believed."""
        now_s = time.monotonic()
        with self._lock:
            self._heard_s = now_s
            self._state, self._reason = message.state, message.reason
            if message.state != EstimatorStatus.TRACKING or not message.joint_names:
                return None
            stamp_s = stamp_to_s(message.header.stamp)
            if self._seen is not None and stamp_s == self._seen.stamp_s:
                return None  # the heartbeat between two images
            q, sigma = np.full(self._names.nq, np.nan), np.full(self._names.nq, np.nan)
            for name, x, s in zip(
                message.joint_names, message.position, message.position_stddev, strict=False
            ):
                i = self._names.index.get(name)
                if i is not None:
                    q[i], sigma[i] = x, s
            self._seen = Seen(stamp_s, now_s, q, sigma)
            return self._seen

    @property
    def newest(self) -> Seen | None:
        """The newest believed estimate."""
        return self._seen

    @property
    def is_there(self) -> bool:
        """Whether an estimator was ever heard."""
        return self._heard_s is not None

    def problem(self) -> str:
        """Return why the camera does not show where the arm is now; empty where it does."""
        now_s = time.monotonic()
        with self._lock:
            if self._heard_s is None:
                return "no pose estimator was heard"
            state = STATE_NAMES[self._state] if self._state < len(STATE_NAMES) else "unknown"
            words = f"{state}: {self._reason}" if self._reason else state
            if self._state in (EstimatorStatus.LOST, EstimatorStatus.STALE):
                return f"the pose estimator is {words}"
            if self._seen is None:
                return f"the pose estimator has not seen the arm yet, it is {words}"
            unseen_s = now_s - self._seen.received_s
            if unseen_s > self.patience_s:
                return f"the arm was not seen for {unseen_s:.2f} s, the estimator is {words}"
        return ""
