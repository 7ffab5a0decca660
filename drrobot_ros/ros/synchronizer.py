"""Bring an image together with the camera_info, depth and masks of the same stamp."""

import dataclasses
import threading
from collections.abc import Callable, Iterable
from typing import Any

from drrobot_ros.ros.conversions import stamp_to_ns


@dataclasses.dataclass(frozen=True)
class Frame:
    """An image and what belongs to it.

    Attributes:
        image: the message.
        info: camera_info of the same stamp, or the last one that came; None: none yet.
        extras: the optional images that came with it, by topic.
        received_ns: when the image came, on the node's clock.
    """

    image: Any
    info: Any | None
    extras: dict[str, Any]
    received_ns: int = 0


class Synchronizer:
    """Emits every image once: at once when complete, at the latest when the next image comes.

    An image waits for its own camera_info only where the last one cannot be meant for it (none, or
    another size), and for an extra only while that topic is alive.

    Args:
        emit: called with each frame.
        extras: names of the optional topics.
        alive_ns: a topic silent for this long, by image stamps, is not waited for.
    """

    def __init__(
        self,
        emit: Callable[[Frame], None],
        extras: Iterable[str] = (),
        alive_ns: int = 1_000_000_000,
    ) -> None:
        self._emit, self._alive_ns = emit, alive_ns
        self._last: dict[str, Any] = {name: None for name in extras}
        self._info: Any | None = None
        self._pending: Frame | None = None
        self._lock = threading.Lock()

    def add_image(self, image: Any, received_ns: int = 0) -> None:
        """Take an image; one that still waited goes out incomplete."""
        with self._lock:
            self._flush()
            self._pending = Frame(image, None, {}, received_ns)
            self._try()

    def add_info(self, info: Any) -> None:
        """Take a camera_info."""
        with self._lock:
            self._info = info
            self._try()

    def add_extra(self, name: str, message: Any) -> None:
        """Take an optional image."""
        with self._lock:
            self._last[name] = message
            self._try()

    def _try(self) -> None:
        frame = self._pending
        if frame is None:
            return
        stamp = _stamp(frame.image)
        info = self._info
        if info is None or (_stamp(info) != stamp and _size(info) != _size(frame.image)):
            return
        for message in self._last.values():
            if message is None or _stamp(message) == stamp:
                continue
            if abs(stamp - _stamp(message)) < self._alive_ns:
                return
        self._flush()

    def _flush(self) -> None:
        frame, self._pending = self._pending, None
        if frame is None:
            return
        stamp = _stamp(frame.image)
        extras = {n: m for n, m in self._last.items() if m is not None and _stamp(m) == stamp}
        self._emit(Frame(frame.image, self._info, extras, frame.received_ns))


def _stamp(message: Any) -> int:
    return stamp_to_ns(message.header.stamp)


def _size(message: Any) -> tuple[int, int]:
    """Return the image size; of a CameraInfo that of the images it describes."""
    roi = getattr(message, "roi", None)
    if roi is None:
        return message.width, message.height
    width, height = (roi.width, roi.height) if roi.width else (message.width, message.height)
    return width // max(1, message.binning_x), height // max(1, message.binning_y)
