"""Nodes as processes of their own, in a ROS domain of their own, that always end with us."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from drrobot_ros.errors import BackendError, DrRobotError

_LOG_LINES = 12
_PR_SET_PDEATHSIG = 1
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)  # looked up before any fork
_STOP_S = {signal.SIGINT: 5.0, signal.SIGTERM: 2.0, signal.SIGKILL: 5.0}


class ProcessError(DrRobotError):
    """A node ended that should not have; the message holds the last lines of its log."""


class Processes:
    """Starts nodes and ends them, whatever happens; a context manager.

    Args:
        logs: folder for a log file per node.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._environment = node_environment()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, name: str, module: str, *arguments: str, piped: bool = False
    ) -> "subprocess.Popen[str]":
        """Start ``python -m module``; with `piped` its stdout is for the caller to read."""
        with self._log(name).open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", module, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                text=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, no locks
            )
        self._running[name] = process
        return process

    def check(self) -> None:
        """Raise a ProcessError if a node has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProcessError(
                    f"the node {name} ended with status {process.returncode}; "
                    f"the end of {self._log(name)}:\n{self._tail(name)}"
                )

    def stop(self) -> None:
        """End all nodes: ask, insist, kill."""
        for number, patience_s in _STOP_S.items():
            left = [p for p in self._running.values() if p.poll() is None]
            for process in left:
                process.send_signal(number)
            end = time.monotonic() + patience_s
            for process in left:
                try:
                    process.wait(max(0.0, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue
        for process in self._running.values():
            if process.stdout is not None:
                process.stdout.close()
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) or "  (it is empty)"


def node_environment() -> dict[str, str]:
    """Return the environment of nodes that neither hear nor disturb others.

    Raises:
        BackendError: rclpy or the messages are not installed.
    """
    from importlib.util import find_spec

    missing = [name for name in ("rclpy", "drrobot_msgs") if find_spec(name) is None]
    if missing:
        raise BackendError(
            f"{' and '.join(missing)} not installed: run `make setup`, or source a ROS 2 "
            "workspace that holds drrobot_msgs"
        )
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {
        **one_thread,
        **os.environ,
        "ROS_DOMAIN_ID": str(free_domain()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }


def free_domain() -> int:
    """Return a ROS domain that nobody on this machine takes part in."""
    domains: list[Any] = list(range(1, 102))  # beyond that the ports clash with the system's
    random.SystemRandom().shuffle(domains)
    for domain in domains:
        first = 7410 + 250 * domain  # where participant 0 of a domain listens (DDSI-RTPS 9.6.1.1)
        if all(_is_free(first + 2 * participant) for participant in range(4)):
            return domain
    return domains[0]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone, even if that was killed."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
