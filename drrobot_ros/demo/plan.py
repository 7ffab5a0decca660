"""What a session does, step by step; written as JSON for the process that records it."""

from typing import Any

from drrobot_ros.demo.motion import Waypoints

Step = dict[str, Any]

#: Written by the recorder once images come, before which an estimator should not be started.
READY = "ready"


def wait_for_estimate(timeout_s: float = 60.0) -> Step:
    """Go on at the first estimate; the event is ``first estimate``."""
    return {"do": "wait_for_estimate", "timeout_s": timeout_s}


def record(seconds: float, name: str = "") -> Step:
    """Record for a while, between the events ``<name> start`` and ``<name> end``."""
    return {"do": "record", "seconds": seconds, "name": name}


def move(way: Waypoints, name: str = "motion") -> Step:
    """Let the arm follow a trajectory, between the events ``<name> start`` and ``<name> end``."""
    return {
        "do": "move",
        "name": name,
        "times_s": way.times_s.tolist(),
        "positions": way.positions.tolist(),
        "velocities": way.velocities.tolist(),
    }


def restart(initial_joint_positions: Any, seconds: float = 3.0) -> Step:
    """Reset the estimator to a start; the event ``restart`` is when it has agreed."""
    return {
        "do": "restart",
        "initial": [float(value) for value in initial_joint_positions],
        "seconds": seconds,
    }


def wait_for_node(action: str, timeout_s: float = 120.0) -> Step:
    """Go on once a node serves an action and its robot is loaded."""
    return {"do": "wait_for_node", "action": action, "timeout_s": timeout_s}


def wait_for_tracking(timeout_s: float = 60.0) -> Step:
    """Go on once the estimator tracks the arm in an image taken from now on."""
    return {"do": "wait_for_tracking", "timeout_s": timeout_s}


def optimize(picture: str, name: str) -> Step:
    """Have ``visual_control`` bring the arm to where a picture shows it."""
    return {"do": "optimize", "picture": picture, "name": name}


def servo(picture: str, name: str) -> Step:
    """Have ``visual_servo`` bring the arm to where a picture shows it."""
    return {"do": "servo", "picture": picture, "name": name}
