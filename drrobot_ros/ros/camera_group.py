"""Bring together what several cameras saw at about the same time."""

import threading
from collections.abc import Callable, Sequence

from drrobot_ros.ros.conversions import stamp_to_ns
from drrobot_ros.ros.synchronizer import Frame


class CameraGroup:
    """Emits the frames of a moment once all cameras that are alive have one, by camera name.

    Frames belong together when their stamps are near enough. A camera that was silent is not waited
    for; one that is late is left out when the next frame of another comes.

    Args:
        emit: called with the frames by name.
        names: of the cameras.
        tolerance_ns: greatest difference of stamps within a moment.
        alive_ns: a camera silent for this long, by stamps, is not waited for.
    """

    def __init__(
        self,
        emit: Callable[[dict[str, Frame]], None],
        names: Sequence[str],
        tolerance_ns: int,
        alive_ns: int = 300_000_000,
    ) -> None:
        self._emit, self._names = emit, tuple(names)
        self._tolerance_ns, self._alive_ns = tolerance_ns, alive_ns
        self._waiting: dict[str, Frame] = {}
        self._last_ns: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, frame: Frame) -> None:
        """Take the next frame of a camera."""
        stamp_ns = stamp_to_ns(frame.image.header.stamp)
        with self._lock:
            near = [
                abs(stamp_to_ns(f.image.header.stamp) - stamp_ns) <= self._tolerance_ns
                for f in self._waiting.values()
            ]
            if name in self._waiting or not all(near):
                self._flush()
            self._waiting[name] = frame
            self._last_ns[name] = stamp_ns
            alive = [
                other
                for other in self._names
                if other in self._last_ns and abs(stamp_ns - self._last_ns[other]) < self._alive_ns
            ]
            if all(other in self._waiting for other in alive):
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._emit({n: waiting[n] for n in self._names if n in waiting})
