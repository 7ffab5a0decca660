"""What is wrong, per cause: logged once, counted, published on /diagnostics until it is over."""

import dataclasses
import threading
import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from drrobot_ros.ros.timers import steady_timer

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
    lasting: bool = False
    unpublished: tuple[bytes, str] | None = None
    announced: bool = False
    logged: dict[str, float] = dataclasses.field(default_factory=dict)


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
        steady_timer(node, 1.0, self.publish)

    def set_summary(self, summary: Callable[[], tuple[bytes, str, dict[str, str]]]) -> None:
        """Set what is asked for level, message and values of the node as a whole."""
        self._summary = summary

    def fault(
        self,
        topic: str,
        message: str,
        level: bytes = ERROR,
        *,
        cause: str = "",
        lasting: bool = False,
    ) -> None:
        """Note that something is wrong with a topic.

        Args:
            topic: or part of the node.
            message: for people.
            level: WARN or ERROR.
            cause: what makes it the same fault as before, so that it is logged only once; the
                message where none is given.
            lasting: it stays until :meth:`good`; others are over when not seen for a while.
        """
        with self._lock:
            entry = self._topics.setdefault(topic, _Topic())
            entry.level, entry.message = level, message
            entry.count += 1
            now = time.monotonic()
            entry.seen_s, entry.lasting = now, lasting
            entry.unpublished = (level, message)
            # A fault that comes and goes with every frame is logged once too.
            new = now - entry.logged.get(cause or message, -FAULT_LIFE_S) >= FAULT_LIFE_S
            entry.logged[cause or message] = now
            entry.announced |= new
        if new:
            text = f"{topic}: {message}"
            logger = self._node.get_logger()
            # rclpy wants one severity per line of code.
            if level == WARN:
                logger.warning(text)
            else:
                logger.error(text)

    def good(self, topic: str) -> None:
        """Note that a topic is well."""
        with self._lock:
            entry = self._topics.setdefault(topic, _Topic())
            entry.level, entry.message = OK, "ok"

    def publish(self) -> None:
        """Publish the status of everything; log what has been well for a while again."""
        statuses = []
        name = self._node.get_fully_qualified_name().lstrip("/")
        if self._summary is not None:
            level, message, values = self._summary()
            statuses.append(self._status(name, level, message, values))
        now = time.monotonic()
        recovered = []
        with self._lock:
            for topic, entry in self._topics.items():
                level, message = self._current(entry, now)
                if level == OK and entry.announced and now - entry.seen_s > 1.0:
                    entry.announced = False
                    recovered.append(topic)
                values = {"faults": str(entry.count)}
                statuses.append(self._status(f"{name}: {topic}", level, message, values))
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
        for topic in recovered:
            self._node.get_logger().info(f"{topic}: ok again")

    @staticmethod
    def _current(entry: _Topic, now: float) -> tuple[bytes, str]:
        unpublished, entry.unpublished = entry.unpublished, None
        if entry.level == OK and unpublished is not None:  # shorter than the time between two
            return unpublished
        if entry.level != OK and not entry.lasting and now - entry.seen_s > FAULT_LIFE_S:
            entry.level, entry.message = OK, "ok"
        return entry.level, entry.message

    def _status(
        self, name: str, level: bytes, message: str, values: dict[str, str]
    ) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticStatus(
            name=name, level=level, message=message, hardware_id=self.hardware_id, values=pairs
        )
