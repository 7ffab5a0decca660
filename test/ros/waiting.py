"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], timeout_s: float, told: Callable[[], str]) -> Any:
    """Wait for something to be true, and return it; else fail with what was told meanwhile."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError(f"nothing in {timeout_s} s\n{told()}")


def answered(executor, client, goal, told: Callable[[], str], hear=None) -> Any:
    """Send a goal of an action; return its handle once it was answered."""
    # In a thread that spins: rclpy loses an answer that comes before the call returns.
    task = executor.create_task(lambda: client.send_goal_async(goal, feedback_callback=hear))
    return until(until(task.result, 30.0, told).result, 30.0, told)
