"""Telling robot descriptions apart."""

import re
from pathlib import Path

from drrobot_ros.errors import ModelError


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def is_mjcf(text: str) -> bool:
    """Return whether the outermost tag of a text is ``<mujoco>``; anything else is read as URDF."""
    text = re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>]*>", "", text, flags=re.DOTALL)
    tag = re.search(r"<\s*([\w:.-]+)", text)
    return tag is not None and tag.group(1) == "mujoco"
