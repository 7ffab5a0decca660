"""Run a node as a process."""

import os
import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from drrobot_ros.errors import DrRobotError


def run(make: Callable[[], Node], args: list[str] | None = None) -> int:
    """Spin a node until SIGINT or SIGTERM; return the exit status.

    A start value that is not valid, or something not installed, ends it with one clear line.
    """
    try:
        # rclpy's own handlers would take the topics away while threads still publish.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = make()
    except (DrRobotError, RCLError) as error:  # RCLError: parameters rcl cannot read
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    except KeyboardInterrupt:
        return 130
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.2)
    node.destroy_node()
    rclpy.try_shutdown()
    if any(thread is not threading.main_thread() for thread in threading.enumerate()):
        # One that still computes, say loads a robot, must not meet an interpreter taken down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0
