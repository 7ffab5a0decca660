"""Run a node as a process."""

import sys
from collections.abc import Callable

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from drrobot_ros.errors import DrRobotError


def run(make: Callable[[], Node], args: list[str] | None = None) -> int:
    """Spin a node until it is told to stop; return the exit status.

    A start value that is not valid, or something not installed, ends it with one clear line.
    """
    try:
        rclpy.init(args=args)
        node = make()
    except RCLError as error:  # a parameter or a file of them that rcl cannot read
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DrRobotError as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
