"""Make the ROS 2 wheels of PyPI work in a virtual environment. Run by the environment's Python.

The wheels name the machine they were built on and expect ``LD_LIBRARY_PATH``. Here their CMake
files are pointed at this environment, their libraries are made to find each other, and a start-up
hook tells ament where they are, so that plain ``.venv/bin/python`` runs nodes without sourcing.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

PREFIX = Path(sys.prefix)
SITE = Path(sysconfig.get_path("purelib"))
HOOK = "ros_in_venv"
HOOK_SOURCE = '''"""Lets ament find this environment's ROS 2 packages; written by the set-up."""

import os
import sys

_paths = [path for path in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if path]
if sys.prefix not in _paths:
    os.environ["AMENT_PREFIX_PATH"] = os.pathsep.join([*_paths, sys.prefix])
'''


def patch_cmake_files() -> int:
    """Point exported CMake files at this Python's and this NumPy's headers; return how many."""
    import numpy

    built_with = "/opt/python/cp311-cp311"
    headers = {
        f"{built_with}/include/python3.11": sysconfig.get_path("include"),
        f"{built_with}/lib/python3.11/site-packages/numpy/_core/include": numpy.get_include(),
    }
    changed = 0
    for path in (PREFIX / "share").rglob("*.cmake"):
        text = old = path.read_text()
        for theirs, ours in headers.items():
            text = text.replace(theirs, ours)
        if text != old:
            path.write_text(text)
            changed += 1
    return changed


def relink() -> int:
    """Let every ROS library look for others beside itself; return how many were changed."""
    vendored = sorted(SITE.glob("ros_*.libs"))
    folders = [PREFIX / "lib", *vendored]
    libraries = list((PREFIX / "lib").glob("*.so*"))
    libraries += [path for folder in vendored for path in folder.glob("*.so*")]
    for name in ("*__rosidl_*.so", "*rosidl_typesupport_*.so", "_rclpy*.so"):
        libraries += SITE.rglob(name)
    changed = 0
    for path in {path for path in libraries if path.is_file() and not path.is_symlink()}:
        wanted = ":".join("$ORIGIN/" + os.path.relpath(folder, path.parent) for folder in folders)
        if _patchelf("--print-rpath", path) != wanted:
            # Written beside and moved into place: the file may be in use by a running node.
            new = path.with_name(path.name + ".new")
            _patchelf("--set-rpath", wanted, "--output", new, path)
            os.chmod(new, path.stat().st_mode)
            os.replace(new, path)
            changed += 1
    return changed


def install_hook() -> None:
    """Set ``AMENT_PREFIX_PATH`` whenever this environment's Python starts."""
    (SITE / f"{HOOK}.py").write_text(HOOK_SOURCE)
    (SITE / f"{HOOK}.pth").write_text(f"import {HOOK}\n")


def _patchelf(*arguments: str | Path) -> str:
    done = subprocess.run(
        [Path(sys.executable).parent / "patchelf", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


if __name__ == "__main__":
    print(f"CMake files changed: {patch_cmake_files()}; libraries changed: {relink()}")
    install_hook()
