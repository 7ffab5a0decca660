"""How each camera of a node is doing."""

import copy
import math
import threading
import time
from collections.abc import Mapping, Sequence

from drrobot_msgs.msg import CameraStatus

STATE_NAMES = ("waiting", "used", "dark", "refused")


class CameraBoard:
    """The status of every camera; safe to use from any thread.

    Args:
        names: of the cameras.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._messages = {name: CameraStatus(name=name) for name in names}
        self._received_s: dict[str, float] = {}
        self._begin_s = time.monotonic()

    def received(self, name: str, frame_id: str) -> None:
        """Note that an image of a camera came."""
        with self._lock:
            self._received_s[name] = time.monotonic()
            self._messages[name].frame_id = frame_id

    def looked_at(self, used: Sequence[str], refused: Mapping[str, str]) -> None:
        """Note which cameras' images were used and why others were not."""
        with self._lock:
            for name in used:
                m = self._messages[name]
                m.state, m.reason = CameraStatus.USED, ""
            for name, reason in refused.items():
                m = self._messages[name]
                m.state, m.reason = CameraStatus.REFUSED, reason

    def dark(self, timeout_s: float) -> dict[str, str]:
        """Return what is to be said of the cameras without images, and note that they are dark.

        Empty where no camera has images: then none goes on.
        """
        now = time.monotonic()
        with self._lock:
            age = {n: now - self._received_s.get(n, self._begin_s) for n in self._messages}
            silent = [n for n, a in age.items() if a > timeout_s]
            others = [n for n in age if n in self._received_s and n not in silent]
            if not others:
                return {}
            said = {}
            for name in silent:
                since = "no image yet" if name not in self._received_s else "no image"
                said[name] = f"{since} for {age[name]:.1f} s; going on with {', '.join(others)}"
                m = self._messages[name]
                m.state, m.reason = CameraStatus.DARK, said[name]
                if name not in self._received_s:
                    m.state = CameraStatus.WAITING
            return said

    def messages(self) -> list[CameraStatus]:
        """Return the status of every camera."""
        now = time.monotonic()
        with self._lock:
            for name, m in self._messages.items():
                m.age_s = now - self._received_s[name] if name in self._received_s else math.nan
            return [copy.copy(m) for m in self._messages.values()]
