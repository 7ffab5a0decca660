"""Compiling MJCF with MuJoCo."""

from pathlib import Path
from typing import Any

from drrobot_ros.errors import ModelError


def compile_mjcf(source: str | Path) -> Any:
    """Return the compiled ``mujoco.MjModel`` of an MJCF file or string.

    Raises:
        ModelError: the file does not exist, or MuJoCo rejects it; its message is passed on.
    """
    import mujoco

    try:
        if isinstance(source, str) and "<" in source:
            return mujoco.MjModel.from_xml_string(source)
        path = Path(source)
        if not path.is_file():
            raise ModelError(f"no such MJCF file: {path}")
        return mujoco.MjModel.from_xml_path(str(path))
    except (ValueError, mujoco.FatalError) as error:
        if isinstance(error, ModelError):
            raise
        where = "the MJCF string" if isinstance(source, str) and "<" in source else str(source)
        raise ModelError(f"MuJoCo cannot compile {where}: {error}") from error


def model_name(m: Any) -> str:
    """Return the name in the ``model`` attribute of a compiled model."""
    return m.names[: m.names.index(b"\0")].decode() or "robot"
