"""Ways to have a gripper open and close: one class each, of one signature."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from control_msgs.action import GripperCommand
from control_msgs.msg import GripperCommand as Command
from rclpy.action import ActionClient
from rclpy.node import Node

from drrobot_ros.errors import InputError
from drrobot_ros.grasping.gripper import Gripper


class GripperInterface(Protocol):
    """What takes openings."""

    def is_there(self) -> bool:
        """Return whether somebody listens."""
        ...

    def move(self, gap_m: float, force_n: float, cancelled: Callable[[], bool]) -> float:
        """Have the pads go to a distance; block until they stand still; return the distance.

        Args:
            gap_m: wanted.
            force_n: most that a pad presses with; 0: as the gripper likes.
            cancelled: asked again and again.

        Raises:
            InputError: it does not answer, or refuses.
        """
        ...


class CommandGripper:
    """The action GripperCommand, as ros2_control's gripper controllers and drivers have it.

    Its methods block and are for a worker's thread, not the one that spins the node.

    Args:
        node: whose client it is.
        action: its name.
        gripper: whose pads are meant.
        meaning: what a position is: gap, half (of it), or joint.
        timeout_s: after which silence is a failure.
    """

    def __init__(
        self, node: Node, action: str, gripper: Gripper, meaning: str, timeout_s: float
    ) -> None:
        self._client = ActionClient(node, GripperCommand, action)
        self._gripper, self._meaning, self._timeout_s = gripper, meaning, timeout_s
        self._action = action

    def is_there(self) -> bool:
        """See :class:`GripperInterface`."""
        return self._client.server_is_ready()

    def move(self, gap_m: float, force_n: float, cancelled: Callable[[], bool]) -> float:
        """See :class:`GripperInterface`."""
        if not self.is_there():
            raise InputError(f"the gripper is not there: nobody serves {self._action}")
        command = Command(position=self._position(gap_m), max_effort=float(force_n))
        goal = GripperCommand.Goal(command=command)
        handle = self._wait(self._client.send_goal_async(goal), cancelled)
        if not handle.accepted:
            raise InputError("the gripper rejected the command")
        result = self._wait(handle.get_result_async(), cancelled).result
        if not (result.reached_goal or result.stalled):
            raise InputError(f"the gripper gave up at position {result.position:.4f}")
        return self._gap(result.position)

    def _position(self, gap_m: float) -> float:
        if self._meaning == "joint":
            q = self._gripper.set(self._gripper.model.neutral().numpy(), gap_m)
            return float(q[self._gripper.model.joint_q_index(self._gripper.joints[0])])
        return float(gap_m) * (0.5 if self._meaning == "half" else 1.0)

    def _gap(self, position: float) -> float:
        if self._meaning == "joint":
            q = self._gripper.model.neutral().numpy().copy()
            q[self._gripper.model.joint_q_index(self._gripper.joints[0])] = position
            return self._gripper.gap_of(q)
        return float(position) * (2.0 if self._meaning == "half" else 1.0)

    def _wait(self, future: Any, cancelled: Callable[[], bool]) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        waited = 0.0
        while not done.wait(0.02):
            waited += 0.02
            if cancelled():
                raise InputError("cancelled")
            if waited > self._timeout_s:
                raise InputError(f"the gripper did not answer in {self._timeout_s:.1f} s")
        return future.result()
