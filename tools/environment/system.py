"""What only the operating system can give: compiler, Python headers, OpenGL without a screen."""

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from problems import SetupError, run_logged

MINIMUM_PYTHON = (3, 11)
WHEEL_PYTHON = (3, 11)  # the Python that ROS 2 wheels exist for on Debian 12


def missing_packages() -> list[str]:
    """Return the Debian packages this machine needs and lacks."""
    packages = []
    if not (importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")):
        packages.append("python3-venv")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        packages.append("python3-dev")
    if not (os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")):
        packages.append("g++")
    if not _loads("libEGL.so.1"):
        packages.append("libegl1")
    if not (_loads("libEGL_mesa.so.0") or _loads("libEGL_nvidia.so.0")):
        packages += ["libegl-mesa0", "libgl1-mesa-dri"]
    if not (_loads("libOpenGL.so.0") or _loads("libGL.so.1")):
        packages.append("libopengl0")
    return packages


def ensure(log: Path) -> None:
    """Check Python's version and install missing Debian packages where that is allowed.

    Args:
        log: file for apt's output.

    Raises:
        SetupError: the Python is too old, or packages are missing and cannot be installed from
            here; the message is the command to run.
    """
    found = sys.version_info[:2]
    wheels = "ROS_DISTRO" not in os.environ
    if found < MINIMUM_PYTHON or (wheels and found != WHEEL_PYTHON):
        raise SetupError(
            f"Python {platform.python_version()} cannot be used, ROS 2 wheels need Python "
            f"{'.'.join(map(str, WHEEL_PYTHON))}; install it and run: make PYTHON=python3.11 setup"
        )
    missing = missing_packages()
    if not missing:
        return
    command = "apt-get install -y --no-install-recommends " + " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sudo = "" if os.geteuid() == 0 else "sudo "
        raise SetupError(f"this machine lacks {', '.join(missing)}; run: {sudo}{command}")
    print(f"set-up: installing Debian packages: {' '.join(missing)}", flush=True)
    advice = f"these Debian packages are needed, run: apt-get update && {command}"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], capture_output=True, env=env, check=False)
    run_logged(command.split(), log, advice, env)
    still = missing_packages()
    if still:
        raise SetupError(f"{', '.join(still)} installed but still not usable by {sys.executable}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
