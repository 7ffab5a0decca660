"""Ways to have an arm follow a trajectory: one class each, of one signature."""

from collections.abc import Callable
from typing import Any, Protocol

from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionClient
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from drrobot_ros.ros.controllers import Controller

#: Called when a trajectory is no longer followed; with the reason, empty where it is done.
Ended = Callable[[str], None]

_CODES = {
    value: name
    for name, value in vars(FollowJointTrajectory.Result).items()
    if name.isupper() and isinstance(value, int)
}


class ArmInterface(Protocol):
    """What takes trajectories."""

    def is_there(self) -> bool:
        """Return whether a controller listens."""
        ...

    def send(self, trajectory: JointTrajectory, ended: Ended) -> None:
        """Have a trajectory followed, instead of the one before; tell how it ends."""
        ...


class ActionArm:
    """The action FollowJointTrajectory, as ros2_control's joint_trajectory_controller has it.

    A trajectory that replaces another needs no cancelling, which would stop the arm abruptly.

    Args:
        node: whose client it is.
        topic: name of the action.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._client = ActionClient(node, FollowJointTrajectory, topic)
        self._newest = 0

    def is_there(self) -> bool:
        """See :class:`ArmInterface`."""
        return self._client.server_is_ready()

    def send(self, trajectory: JointTrajectory, ended: Ended) -> None:
        """See :class:`ArmInterface`."""
        self._newest += 1
        number = self._newest

        def answered(future: Any) -> None:
            if number != self._newest:
                return
            handle = future.result()
            if handle is None or not handle.accepted:
                ended("the controller rejected the trajectory")
                return
            handle.get_result_async().add_done_callback(finished)

        def finished(future: Any) -> None:
            if number != self._newest:  # replaced, as it was meant to be
                return
            result = future.result().result
            code = result.error_code
            if code == FollowJointTrajectory.Result.SUCCESSFUL:
                ended("")
                return
            name = _CODES.get(code, str(code))
            ended(f"the controller gave up, {name}: {result.error_string or 'it does not say why'}")

        goal = FollowJointTrajectory.Goal(trajectory=trajectory)
        self._client.send_goal_async(goal).add_done_callback(answered)


class TopicArm:
    """The topic JointTrajectory: nothing is told back, joint states alone show what happens.

    Args:
        node: whose publisher it is.
        topic: its name.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._publisher = node.create_publisher(JointTrajectory, topic, 10)

    def is_there(self) -> bool:
        """See :class:`ArmInterface`."""
        return self._publisher.get_subscription_count() > 0

    def send(self, trajectory: JointTrajectory, ended: Ended) -> None:
        """See :class:`ArmInterface`."""
        del ended
        self._publisher.publish(trajectory)


def make_interface(node: Node, controller: Controller) -> ArmInterface:
    """Return the interface to a controller."""
    return {"action": ActionArm, "topic": TopicArm}[controller.interface](node, controller.topic)
