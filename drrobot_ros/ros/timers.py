"""Timers that run whatever /clock does."""

from collections.abc import Callable

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node


def steady_timer(node: Node, period_s: float, callback: Callable[[], None]) -> None:
    """Call back every period of real time, also where simulated time stands still."""
    node.create_timer(period_s, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))
