"""How long it takes from a client's cancel until an arm's controller has its deceleration."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measure(cancels: int) -> list[float]:
    """Return the seconds of each cancel, over DDS between two processes."""
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    import rclpy
    from test_visual_control import FAR, World, joints

    class Process:
        """What the tests' fixture gives: a node in a process of its own."""

        def __init__(self, *command: str) -> None:
            self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115
            self.process = subprocess.Popen(
                [sys.executable, "-u", *command], stdout=self._log, stderr=self._log, cwd=ROOT
            )

        def output(self) -> str:
            return Path(self._log.name).read_text()

    rclpy.init()
    world = World(Process)
    took = []
    try:
        for _ in range(cancels):
            handle = world.send(joints(FAR), execute=True)
            world.moving()
            told = len(world.fake.arm.told)
            begin_s = time.monotonic()
            cancel = handle.cancel_goal_async()
            world.until(lambda told=told: len(world.fake.arm.told) > told)
            took.append(world.fake.arm.told[told][1] - begin_s)
            world.until(cancel.result)
            world.result(handle)
            world.home()
    finally:
        world.fake.close()
        world.process.process.terminate()
        world.process.process.wait(20.0)
        rclpy.try_shutdown()
    return took
