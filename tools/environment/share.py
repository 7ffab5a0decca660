"""Show an editable installation to ament: links where ``colcon build`` would put copies."""

import os
import re
from pathlib import Path


def link_into(venv: Path, root: Path) -> None:
    """Link the ROS package's marker, manifest, folders and executables into an environment.

    Args:
        venv: the virtual environment the package is installed in.
        root: the checkout.
    """
    name = "drrobot_ros"
    share = venv / "share"
    for entry in ("package.xml", "launch", "config", "models"):
        _link(share / name / entry, root / entry)
    marker = share / "ament_index" / "resource_index" / "packages" / name
    _link(marker, root / "resource" / name)
    executables = re.findall(r'"(\w+) = \{NAME\}\.ros\.', (root / "setup.py").read_text())
    for executable in executables:
        _link(venv / "lib" / name / executable, venv / "bin" / executable)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(os.path.relpath(target, link.parent))
