"""The actions of a recorded session: what moves an arm by sight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Header

from drrobot_msgs.action import OptimizeJointTarget, VisualServo
from drrobot_msgs.msg import ControlObjective
from drrobot_ros.media import read_sequence
from drrobot_ros.ros.images import rgb_to_image

#: (condition, timeout in s, complaint) -> what the condition gave.
Until = Callable[[Callable[[], Any], float, str], Any]

OPTIMIZE, SERVO = "visual_control/optimize_joint_target", "visual_servo/visual_servo"
_TIMEOUT_S = 180.0


class SessionActions:
    """Sends goals and waits for what comes of them.

    Args:
        node: whose clients they are.
        until: spins the node until a condition gives something true.
    """

    def __init__(self, node: Node, until: Until) -> None:
        self._until = until
        self._clients = {
            OPTIMIZE: ActionClient(node, OptimizeJointTarget, OPTIMIZE),
            SERVO: ActionClient(node, VisualServo, SERVO),
        }

    def wait(self, action: str, timeout_s: float) -> None:
        """Wait until an action is served, and its node takes goals."""
        client = self._clients[action]
        self._until(client.server_is_ready, timeout_s, f"nobody served {action}")
        probe: Any = OptimizeJointTarget.Goal() if action == OPTIMIZE else VisualServo.Goal()
        for _ in range(200):
            # A goal that asks for nothing is refused: with "loading" until the robot is there.
            answer = self._send(action, probe)
            if "description" not in answer.message and "load" not in answer.message:
                return

    def optimize(self, picture: Path) -> dict[str, Any]:
        """Bring the arm to where a picture shows it; return what became of it."""
        wanted = ControlObjective(kind="picture", image=_image(picture))
        goal = OptimizeJointTarget.Goal(objectives=[wanted], execute=True)
        result = self._send(OPTIMIZE, goal)
        return {
            "success": result.success,
            "message": result.message,
            "target": dict(zip(result.joint_names, result.target, strict=True)),
        }

    def servo(self, picture: Path) -> dict[str, Any]:
        """Bring the arm to where it is seen as in a picture; return what became of it."""
        goal = VisualServo.Goal(image=_image(picture), execute=True, timeout_s=90.0)
        result = self._send(SERVO, goal)
        names = list(result.joint_names)
        return {
            "success": result.success,
            "message": result.message,
            "corrections": result.corrections,
            "elapsed_s": result.elapsed_s,
            "target": dict(zip(names, result.target, strict=False)),
            "error": dict(zip(names, result.error, strict=False)),
            "offsets": dict(zip(names, result.offsets, strict=False)),
        }

    def _send(self, action: str, goal: Any) -> Any:
        sent = self._clients[action].send_goal_async(goal)
        handle = self._until(sent.result, _TIMEOUT_S, f"{action} did not answer")
        answer = handle.get_result_async()
        return self._until(answer.result, _TIMEOUT_S, f"{action} did not end").result


def _image(path: Path) -> Any:
    _, images = read_sequence(path, 0.0)
    return rgb_to_image(np.asarray(next(iter(images))), Header())
