"""What is wrong, per cause: logged once, counted, published on /diagnostics until it is over."""

import dataclasses
import threading
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE

#: A fault that has not been seen for this long is over, should nobody say so.
FAULT_LIFE_S = 5.0


@dataclasses.dataclass
class _Topic:
    level: bytes = OK
    message: str = "ok"
    count: int = 0
    seen_s: float = 0.0
    logged: set[str] = dataclasses.field(default_factory=set)


class Diagnostics:
    """Keeps one status per topic or part of a node and publishes all of them at 1 Hz.

    Safe to call from any thread.

    Args:
        node: its logger and clock are used.
        hardware_id: what is looked at, e.g. the robot's name.
    """

    def __init__(self, node: Node, hardware_id: str = "") -> None:
        self._node = node
        self.hardware_id = hardware_id
        self._topics: dict[str, _Topic] = {}
        self._summary: Callable[[], tuple[bytes, str, dict[str, str]]] | None = None
        self._lock = threading.Lock()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(1.0, self.publish)

    def set_summary(self, summary: Callable[[], tuple[bytes, str, dict[str, str]]]) -> None:
        """Set what is asked for level, message and values of the node as a whole."""
        self._summary = summary

    def fault(self, topic: str, message: str, level: bytes = ERROR, cause: str = "") -> None:
        """Note that something is wrong with a topic.

        Args:
            topic: or part of the node.
            message: for people.
            level: WARN or ERROR.
            cause: what makes it the same fault as before, so that it is logged only once; the
                message where none is given.
        """
        with self._lock:
            entry = self._topics.setdefault(topic, _Topic())
            entry.level, entry.message = level, message
            entry.count += 1
            entry.seen_s = time.monotonic()
            new = (cause or message) not in entry.logged
            entry.logged.add(cause or message)
        if new:
            text = f"{topic}: {message}"
            logger = self._node.get_logger()
            (logger.warning if level == WARN else logger.error)(text)

    def good(self, topic: str) -> None:
        """Note that a topic is well; says so in the log where it was not."""
        with self._lock:
            entry = self._topics.setdefault(topic, _Topic())
            recovered = entry.level != OK
            entry.level, entry.message = OK, "ok"
            entry.logged.clear()
        if recovered:
            self._node.get_logger().info(f"{topic}: ok again")

    def publish(self) -> None:
        """Publish the status of everything."""
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name().lstrip("/")
        if self._summary is not None:
            level, message, values = self._summary()
            array.status.append(self._status(name, level, message, values))
        now = time.monotonic()
        with self._lock:
            for topic, entry in self._topics.items():
                level, message = entry.level, entry.message
                if level != OK and now - entry.seen_s > FAULT_LIFE_S:
                    level, message = OK, f"ok; earlier: {message}"
                values = {"faults": str(entry.count)}
                array.status.append(self._status(f"{name}: {topic}", level, message, values))
        self._publisher.publish(array)

    def _status(
        self, name: str, level: bytes, message: str, values: dict[str, str]
    ) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticStatus(
            name=name, level=level, message=message, hardware_id=self.hardware_id, values=pairs
        )
