"""Nodes as processes over real DDS, on a domain of their own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

#: Domains 1 to 101 are usable everywhere; runs side by side should not meet.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.fspath).parent == HERE:
            item.add_marker(pytest.mark.ros)
            if "start_node" in item.fixturenames:
                # Real time over real DDS: what other work held up is tried again, and the
                # summary says so. What is wrong fails each time.
                item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session")
def ros() -> Iterator[None]:
    """Set rclpy up; tests that need it are skipped where it is not installed."""
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("drrobot_msgs", reason="drrobot_msgs is not built")
    rclpy.init()
    yield
    rclpy.try_shutdown()


class NodeProcess:
    """A node in a process of its own; its output is kept."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        env = {
            **os.environ,
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "OMP_NUM_THREADS": "1",
        }
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=env, cwd=ROOT
            )

    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture(scope="module")
def start_node(ros, tmp_path_factory) -> Iterator[Callable[..., NodeProcess]]:
    """Return a function that starts a node: script or module, then its ROS arguments."""
    started: list[NodeProcess] = []

    def start(*command: str) -> NodeProcess:
        log = tmp_path_factory.mktemp("node") / "log.txt"
        started.append(NodeProcess([sys.executable, *command], log))
        return started[-1]

    yield start
    for node in started:
        node.stop()
        print(f"--- {node.process.args}: {node.process.returncode}\n{node.output()}")
