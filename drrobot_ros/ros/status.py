"""How the estimator is doing: the ~/status message and the node's diagnostic."""

import copy
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from std_msgs.msg import Header

from drrobot_msgs.msg import CameraStatus, EstimatorStatus
from drrobot_ros.ros.camera_board import STATE_NAMES as CAMERA_STATE_NAMES
from drrobot_ros.ros.camera_board import CameraBoard
from drrobot_ros.ros.diagnostics import ERROR, OK, STALE, WARN
from drrobot_ros.ros.pipeline import Outcome

STATE_NAMES = ("starting", "tracking", "uncertain", "lost", "stale")
_LEVELS = (WARN, OK, WARN, ERROR, STALE)
_REASONS = {
    EstimatorStatus.UNCERTAIN: "the image says little: the robot is occluded, small or out of view",
    EstimatorStatus.LOST: "diverged: the estimate does not explain the image; not published",
}
_UNCONFIRMED = (
    "the image says little, and the robot was not seen clearly since the start or since it was "
    "lost; not published"
)
_RATE_WINDOW_S = 3.0


class StatusBoard:
    """The current status; safe to use from any thread.

    Args:
        cameras: how the cameras are doing.
    """

    def __init__(self, cameras: CameraBoard) -> None:
        self.cameras = cameras
        self._lock = threading.Lock()
        self._message = EstimatorStatus(state=EstimatorStatus.STARTING)
        self._times: deque[float] = deque()
        self._estimated_s: float | None = None
        self._refused = False
        self._confirmed = False
        self.received_s: float | None = None
        self.rejected = 0
        self.estimated = 0

    @property
    def state(self) -> int:
        """The state, one of the constants of EstimatorStatus."""
        return self._message.state

    @property
    def believed(self) -> bool:
        """Whether the last estimate may be published.

        One that is tracked; an uncertain one only when the robot was tracked before, and not lost
        since: an image without a robot gives a first estimate too.
        """
        state = self._message.state
        return state == EstimatorStatus.TRACKING or (
            state == EstimatorStatus.UNCERTAIN and self._confirmed
        )

    def restarted(self) -> None:
        """Note that the estimator starts afresh."""
        self._confirmed = False

    def image_received(self, camera: str, header: Header) -> None:
        """Note that an image came."""
        self.received_s = time.monotonic()
        self.cameras.received(camera, header.frame_id)

    def estimated_frame(self, outcome: Outcome, names: Any, latency_s: float) -> None:
        """Take the outcome of a frame."""
        estimate = outcome.estimate
        state = getattr(EstimatorStatus, estimate.state.name)
        now = time.monotonic()
        with self._lock:
            self.estimated += 1
            self._estimated_s, self._refused = now, False
            self._times.append(now)
            m = self._message
            m.header = outcome.header
            m.state, m.reason = state, _REASONS.get(state, "")
            if state == EstimatorStatus.TRACKING:
                self._confirmed = True
            elif state == EstimatorStatus.LOST:
                self._confirmed = False
            elif not self._confirmed:
                m.reason = _UNCONFIRMED
            searching = getattr(estimate, "searching", "")
            if searching:
                m.reason = f"{searching}; {m.reason}"
            m.residual = float(estimate.residual)
            m.iterations = int(estimate.iterations)
            m.stop_reason = str(getattr(estimate.stop_reason, "value", estimate.stop_reason))
            m.solve_time_s, m.latency_s = outcome.solve_time_s, latency_s
            m.joint_names = list(names.index)
            m.position = names.positions(estimate.q)
            m.position_stddev = names.velocities(estimate.q_std)
            m.unobservable = list(estimate.unobserved)
        self.cameras.looked_at([p.name for p in outcome.pictures], outcome.refused)

    def refused_frame(self, header: Header, reason: str, cameras: Sequence[str]) -> None:
        """Take note that the frames of a moment, from some cameras, could not be used."""
        self.cameras.looked_at([], dict.fromkeys(cameras, reason))
        with self._lock:
            self.rejected += 1
            self._refused = True
            self._message.header = header
            self._message.reason = reason

    def failed_frame(self, reason: str) -> None:
        """Take note that the solver failed on a frame."""
        with self._lock:
            self.rejected += 1
            self._refused = True
            self._message.state = EstimatorStatus.LOST
            self._message.reason = reason

    def note(self, reason: str) -> None:
        """Give a reason while nothing is estimated."""
        with self._lock:
            if self._message.state == EstimatorStatus.STARTING:
                self._message.reason = reason

    def look_for_silence(self, timeout_s: float) -> bool:
        """Become STALE where images are missing or unusable; return whether that is news."""
        now = time.monotonic()
        with self._lock:
            m = self._message
            if self.received_s is None or m.state == EstimatorStatus.STALE:
                silence = 0.0 if self.received_s is None else now - self.received_s
                if m.state == EstimatorStatus.STALE and silence > timeout_s:
                    m.reason = f"no image for {silence:.1f} s"
                return False
            silence = now - self.received_s
            if silence > timeout_s:
                m.state, m.reason = EstimatorStatus.STALE, f"no image for {silence:.1f} s"
                return True
            if self._refused and self._estimated_s and now - self._estimated_s > timeout_s:
                m.state = EstimatorStatus.STALE
                m.reason = f"no usable image for {now - self._estimated_s:.1f} s: {m.reason}"
                return True
        return False

    def message(self, received: int, dropped: int) -> EstimatorStatus:
        """Return the message with the current counts and rate."""
        now = time.monotonic()
        with self._lock:
            while self._times and self._times[0] < now - _RATE_WINDOW_S:
                self._times.popleft()
            m = self._message
            m.rate_hz = len(self._times) / _RATE_WINDOW_S
            if len(self._times) > 1 and now - self._times[-1] < 1.0:
                m.rate_hz = (len(self._times) - 1) / (self._times[-1] - self._times[0])
            m.frames_received, m.frames_dropped = received, dropped
            m.frames_rejected = self.rejected
            m.cameras = self.cameras.messages()
            return copy.copy(m)

    def summary(self, received: int, dropped: int) -> tuple[bytes, str, dict[str, str]]:
        """Return level, message and values for the node's diagnostic."""
        m = self.message(received, dropped)
        text = STATE_NAMES[m.state] + (f": {m.reason}" if m.reason else "")
        values = {
            "rate_hz": f"{m.rate_hz:.2f}",
            "latency_s": f"{m.latency_s:.4f}",
            "solve_time_s": f"{m.solve_time_s:.4f}",
            "residual": f"{m.residual:.5f}",
            "frames_received": str(received),
            "frames_dropped": str(dropped),
            "frames_rejected": str(self.rejected),
        }
        for name, sigma in zip(m.joint_names, m.position_stddev, strict=True):
            values[f"standard deviation of {name}"] = f"{sigma:.5f}"
        if m.unobservable:
            values["not observable"] = "; ".join(m.unobservable)
        level = _LEVELS[m.state]
        for camera in m.cameras:
            if camera.name:
                state = CAMERA_STATE_NAMES[camera.state]
                values[f"camera {camera.name}"] = state + f": {camera.reason}" * bool(camera.reason)
                if camera.state != CameraStatus.USED and level == OK:
                    level = WARN
                    text += f"; camera {camera.name}: {camera.reason or state}"
        return level, text, values
