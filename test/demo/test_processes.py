"""Nodes as processes: none is left behind, and a dead one is told of."""

import os
import subprocess
import sys
import time

import pytest

from drrobot_ros.demo.processes import ProcessError, Processes, free_domain, node_environment

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
PARENT = """
import sys, time
from pathlib import Path
from drrobot_ros.demo.processes import Processes
child = Processes(Path(sys.argv[1])).start("child", "sleeper")
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that makes a module which ``python -m`` finds."""

    def make(name, source):
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
        return name

    return make


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_node_that_dies_is_told_of_with_the_end_of_its_log(tmp_path, module):
    module("dies", "import sys; print('what went wrong', file=sys.stderr); sys.exit(3)")
    with Processes(tmp_path / "logs") as processes:
        processes.start("simulated_robot", "dies").wait(10)
        with pytest.raises(ProcessError) as error:
            processes.check()
    text = str(error.value)
    assert "simulated_robot ended with status 3" in text
    assert "what went wrong" in text


def test_stubborn_nodes_end_too(tmp_path, module, monkeypatch):
    module("stubborn", STUBBORN)
    monkeypatch.setattr("drrobot_ros.demo.processes._STOP_S", {2: 0.2, 15: 2.0, 9: 2.0})
    with Processes(tmp_path / "logs") as processes:
        child = processes.start("node", "stubborn", piped=True)
        assert child.stdout.readline() == "ready\n"
        processes.check()
    assert child.poll() is not None


def test_nodes_end_with_a_parent_that_was_killed(tmp_path, module):
    module("sleeper", "import time; time.sleep(60)")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "logs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    end = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_nodes_are_alone_in_their_domain(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "0")
    environment = node_environment()
    assert 1 <= int(environment["ROS_DOMAIN_ID"]) <= 101
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_taken_domain_is_not_free(monkeypatch):
    import socket

    monkeypatch.setattr("random.SystemRandom.shuffle", lambda self, items: items.sort())
    first = free_domain()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 7410 + 250 * first))
        assert free_domain() != first
