"""Where a node's robot comes from."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

from drrobot_ros.ros import qos
from drrobot_ros.ros.diagnostics import Diagnostics
from drrobot_ros.ros.latest import LatestWorker


class RobotSource:
    """Has the robot loaded of the parameter ``robot``, or of each new ``robot_description``.

    A description that cannot be loaded is told of and changes nothing: another may come.

    Args:
        node: that needs the robot.
        robot: file or name; empty: the topic.
        diagnostics: is told.
        worker: in whose thread robots are loaded.
        load: (description, or None for the parameter) -> (its name, what to log of it).

    Attributes:
        problem: why there is no robot, or no newer one; empty once there is.
    """

    def __init__(
        self,
        node: Node,
        robot: str,
        diagnostics: Diagnostics,
        worker: LatestWorker[Any],
        load: Callable[[str | None], tuple[str, str]],
    ) -> None:
        self._node, self._diagnostics = node, diagnostics
        self._worker, self._load = worker, load
        self._newest = ""
        self.problem = "waiting for a robot description"
        if robot:
            worker.run(lambda: self._try(None))
        else:
            qos.subscribe(node, String, "robot_description", self._described, qos.LATCHED)

    def _described(self, message: String) -> None:
        if message.data != self._newest:
            self._newest = message.data
            self._worker.run(lambda: self._try(message.data))

    def _try(self, description: str | None) -> None:
        topic = "robot" if description is None else "robot_description"
        try:
            name, words = self._load(description)
        except Exception as error:  # whatever is wrong with it
            self.problem = f"cannot load the robot: {error}"
            self._diagnostics.fault(topic, self.problem, lasting=True)
            return
        self.problem = ""
        self._diagnostics.hardware_id = name
        self._diagnostics.good(topic)
        self._node.get_logger().info(f"robot {name!r}: {words}")
