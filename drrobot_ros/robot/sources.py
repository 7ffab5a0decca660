"""Telling robot descriptions apart."""

import re
from pathlib import Path

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.menagerie import find_robot, main_file

_ENDINGS = (".xml", ".urdf", ".mjcf", ".xacro")


def find_file(name: str) -> Path:
    """Return the file of a robot given by path, by folder, or by its name in the Menagerie.

    Raises:
        ModelError: there is none.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir() and (found := main_file(path.resolve())) is not None:
        return found
    if path.suffix.lower() in _ENDINGS or path.is_absolute():
        raise ModelError(f"no such file: {path}")
    return find_robot(name)


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def is_mjcf(text: str) -> bool:
    """Return whether the outermost tag of a text is ``<mujoco>``; anything else is read as URDF."""
    text = re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>]*>", "", text, flags=re.DOTALL)
    tag = re.search(r"<\s*([\w:.-]+)", text)
    return tag is not None and tag.group(1) == "mujoco"
