"""A node's clock without its jumps."""

import threading
import time

from rclpy.node import Node

from drrobot_ros.control.following import ClockWatch


class SmoothClock:
    """Goes as the node's clock does, /clock's too, but not over its jumps; for any thread.

    Args:
        node: whose clock it is.
        tolerance_s: what counts as a jump between two looks.
    """

    def __init__(self, node: Node, tolerance_s: float = 0.2) -> None:
        self._node, self._watch = node, ClockWatch(tolerance_s)
        self._lock = threading.Lock()
        self._skipped_s = self._jump_s = 0.0
        self._newest_s = self.ros_s()
        self.look()

    def ros_s(self) -> float:
        """Return the node's own time, s."""
        return self._node.get_clock().now().nanoseconds * 1e-9

    def look(self) -> float:
        """Return the time, s; notices jumps."""
        with self._lock:
            now_s = self.ros_s()
            jump_s = self._watch.jump_s(now_s, time.monotonic())
            self._skipped_s += jump_s
            self._jump_s += jump_s
            self._newest_s = max(self._newest_s, now_s - self._skipped_s)
            return self._newest_s

    def to_ros_s(self, time_s: float) -> float:
        """Return what the node's own clock says at a time of this one, s."""
        return time_s + self._skipped_s

    def from_ros_s(self, time_s: float) -> float:
        """Return the time of this clock at one of the node's own, s."""
        return time_s - self._skipped_s

    def take_jump_s(self) -> float:
        """Return by how much the clock jumped since this was last asked; 0: not at all."""
        with self._lock:
            jump_s, self._jump_s = self._jump_s, 0.0
            return jump_s
