"""Files of Gaussians: NumPy ``.npz`` without pickled objects, with a format and a version."""

import os
import zipfile
from pathlib import Path

import numpy as np
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.splats.gaussians import GaussianRobot

FORMAT = "drrobot_gaussians"
VERSION = 1
_ARRAYS = ("means", "quats", "scales", "opacities", "colors", "normals")


class SplatFileError(InputError):
    """A file of Gaussians that cannot be read."""


def save(gaussians: GaussianRobot, path: str | Path) -> None:
    """Write Gaussians; the file appears whole or not at all.

    Args:
        gaussians: kept as float32.
        path: ends in ``.npz``.

    Raises:
        InputError: another ending.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"the file of Gaussians must end in .npz, got {str(path)!r}")
    content: dict[str, np.ndarray] = {
        name: getattr(gaussians, name).detach().cpu().numpy().astype(np.float32) for name in _ARRAYS
    }
    content["link_index"] = gaussians.link_index.cpu().numpy().astype(np.int32)
    content["link_names"] = np.array(gaussians.link_names, dtype=np.str_)
    content["robot_name"] = np.array(gaussians.robot_name, dtype=np.str_)
    content["format"] = np.array(FORMAT)
    content["version"] = np.array(VERSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez_compressed(partial, allow_pickle=False, **content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | Path) -> GaussianRobot:
    """Read what `save` wrote; everything in it is checked.

    Raises:
        SplatFileError: the file is missing, damaged, of another kind or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise SplatFileError(f"no file of Gaussians at {str(path)!r}")
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SplatFileError(f"{str(path)!r} is not a file of Gaussians: {error}") from error
    if str(content.get("format")) != FORMAT or "version" not in content:
        raise SplatFileError(f"{str(path)!r} is not a file of Gaussians (format {FORMAT!r})")
    version = str(content["version"])
    if version != str(VERSION):
        raise SplatFileError(
            f"{str(path)!r} has version {version}; this program reads version {VERSION}"
        )
    needed = (*_ARRAYS, "link_index", "link_names", "robot_name")
    missing = [name for name in needed if name not in content]
    if missing:
        raise SplatFileError(f"{str(path)!r} lacks {', '.join(missing)}")
    try:
        tensors = {n: torch.from_numpy(content[n].astype(np.float32)) for n in _ARRAYS}
        index = content["link_index"]
        if index.dtype.kind not in "iu" or content["link_names"].ndim != 1:
            raise InputError("link_index must be whole numbers and link_names a list")
        return GaussianRobot(
            **tensors,
            link_index=torch.from_numpy(index.astype(np.int64)),
            link_names=tuple(str(n) for n in content["link_names"]),
            robot_name=str(content["robot_name"]),
        )
    except (InputError, ValueError, TypeError) as error:
        raise SplatFileError(f"{str(path)!r}: {error}") from error
