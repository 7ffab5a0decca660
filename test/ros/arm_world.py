"""A fake arm, a node that moves it, and a client of the node's action, in real time."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from fake_arm import FakeArm
from rclpy.action import ActionClient
from waiting import answered, until

from drrobot_ros.control.limits import MotionLimits

URDF = Path(__file__).parents[2] / "models" / "six_axis_arm" / "six_axis_arm.urdf"
_BUSY = 2.0  # processes that want a core, for each one


class ArmWorld:
    """What the tests of nodes that move an arm have in common.

    Args:
        start_node: the fixture.
        node: its module.
        action: type and name of its action.
        offsets: of the arm's encoders [6].
        values: the node's parameters, beside the robot.
    """

    def __init__(
        self, start_node: Any, node: str, action: tuple[Any, str], offsets: Any, values: dict
    ) -> None:
        self._start_node, self._node, self._values = start_node, node, values
        self.client_node = rclpy.create_node("client")
        self.client = ActionClient(self.client_node, *action)
        self.others: list = []
        self.fake = FakeArm(str(URDF), offsets, [self.client_node])
        self.limits = MotionLimits.of(self.fake.model)
        self.feedback: list = []
        self.process = self.start()
        assert self.client.wait_for_server(timeout_sec=60.0), self.process.output()
        self.until(lambda: "ready" in self.process.output(), 60.0)
        time.sleep(1.0)  # the estimate of the offsets settles

    def start(self, *more: str):
        """Start the node, with more arguments."""
        values = {"robot": URDF, "splat_count": 400, **self._values}
        words = [word for k, v in values.items() for word in ("-p", f"{k}:={v}")]
        return self._start_node("-m", self._node, "--ros-args", *words, *more)

    def until(self, condition, timeout_s: float = 30.0):
        """Wait for something to be true, and return it."""
        return until(condition, timeout_s, self.process.output)

    def request(self, goal: Any):
        """Send a goal; return its handle once it was answered."""
        self.feedback.clear()
        hear = lambda m: self.feedback.append(m.feedback)  # noqa: E731
        return answered(self.fake.executor, self.client, goal, self.process.output, hear)

    def result(self, handle, timeout_s: float = 60.0):
        """Return how a goal ended: (status, result)."""
        answer = self.until(handle.get_result_async().result, timeout_s)
        return answer.status, answer.result

    def close(self) -> None:
        """End everything; the node must do so by itself."""
        self.fake.close()
        self.client_node.destroy_node()
        assert self.process.stop() == 0, self.process.output()


def skip_where_busy() -> None:
    """Skip where other work delays messages: an arm is stopped for that, and rightly."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if load > _BUSY and not os.environ.get("DRROBOT_REALTIME_TESTS"):
        pytest.skip(
            f"the machine is busy ({load:.1f} processes a core; at most {_BUSY}): nothing moves in "
            "time; DRROBOT_REALTIME_TESTS=1 runs it all the same"
        )


def watched(world: ArmWorld) -> Iterator[None]:
    """Begin a test with an arm that is well; judge at its end what it was told."""
    world.fake.reset()
    time.sleep(0.3)
    begin_s = time.time()
    yield
    assert world.process.alive(), world.process.output()
    assert world.fake.faults(begin_s, world.limits) == []
