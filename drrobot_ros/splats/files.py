"""Files of Gaussians: NumPy ``.npz`` without pickled objects, with a format and a version."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drrobot_ros.errors import InputError

FORMAT = "drrobot_gaussians"
VERSION = 2  # 1 had no light, harmonics, inset or modules, and still loads
_MAX_BYTES = 2_000_000_000  # unpacked; a damaged or hostile header may ask for more
_ARRAYS = ("means", "quats", "scales", "opacities", "colors", "normals")
_OPTIONAL = ("sh", "light", "base_colors")


class SplatFileError(InputError):
    """A file of Gaussians that cannot be read."""


def save(fields: Mapping[str, Any], path: str | Path) -> None:
    """Write Gaussians; the file appears whole or not at all.

    Args:
        fields: those of a `GaussianRobot`, by name; kept as float32.
        path: ends in ``.npz``.

    Raises:
        InputError: another ending.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"the file of Gaussians must end in .npz, got {str(path)!r}")
    given = (*_ARRAYS, *(name for name in _OPTIONAL if fields[name] is not None))
    content: dict[str, np.ndarray] = {
        name: fields[name].detach().cpu().numpy().astype(np.float32) for name in given
    }
    content["link_index"] = fields["link_index"].cpu().numpy().astype(np.int32)
    content["link_names"] = np.array(fields["link_names"], dtype=np.str_)
    content["robot_name"] = np.array(fields["robot_name"], dtype=np.str_)
    content["inset_px"] = np.array(fields["inset_px"], dtype=np.float64)
    content["about"] = np.array(json.dumps(dict(fields["about"])), dtype=np.str_)
    for part, tensors in fields["modules"].items():
        for name, tensor in tensors.items():
            content[f"modules/{part}/{name}"] = tensor.detach().cpu().numpy()
    content["format"] = np.array(FORMAT)
    content["version"] = np.array(VERSION)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez_compressed(partial, allow_pickle=False, **content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | Path) -> dict[str, Any]:
    """Return the fields that `save` wrote; those that an older version did not have are left out.

    Raises:
        SplatFileError: the file is missing, damaged, of another kind or of a later version.
    """
    path = Path(path)
    if not path.is_file():
        raise SplatFileError(f"no file of Gaussians at {str(path)!r}")
    content = read_arrays(path, "file of Gaussians")
    if str(content.get("format")) != FORMAT or "version" not in content:
        raise SplatFileError(f"{str(path)!r} is not a file of Gaussians (format {FORMAT!r})")
    version = str(content["version"])
    if version not in [str(v + 1) for v in range(VERSION)]:
        raise SplatFileError(
            f"{str(path)!r} has version {version}; this program reads versions 1 to {VERSION}"
        )
    needed = (*_ARRAYS, "link_index", "link_names", "robot_name")
    missing = [name for name in needed if name not in content]
    if missing:
        raise SplatFileError(f"{str(path)!r} lacks {', '.join(missing)}")
    try:
        return _fields(content)
    except (InputError, ValueError, TypeError) as error:
        raise SplatFileError(f"{str(path)!r}: {error}") from error


def _fields(content: Mapping[str, np.ndarray]) -> dict[str, Any]:
    names = [*_ARRAYS, *(n for n in _OPTIONAL if n in content)]
    index = content["link_index"]
    if index.dtype.kind not in "iu" or content["link_names"].ndim != 1:
        raise InputError("link_index must be whole numbers and link_names a list")
    fields: dict[str, Any] = {n: torch.from_numpy(content[n].astype(np.float32)) for n in names}
    fields["link_index"] = torch.from_numpy(index.astype(np.int64))
    fields["link_names"] = tuple(str(n) for n in content["link_names"])
    fields["robot_name"] = str(content["robot_name"])
    if "inset_px" in content:
        fields["inset_px"] = float(content["inset_px"])
    fields["modules"], fields["about"] = _modules(content), _about(content)
    return fields


def read_arrays(path: Path, kind: str) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file; nothing in it is executed.

    Args:
        path: of the file.
        kind: what it should be, for the message.

    Raises:
        SplatFileError: it is damaged, holds objects, or unpacks to more than 2 GB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _MAX_BYTES:
            raise SplatFileError(f"{str(path)!r} would unpack to {size} bytes: refused")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        if isinstance(error, SplatFileError):
            raise
        raise SplatFileError(f"{str(path)!r} is not a {kind}: {error}") from error
    except (zlib.error, NotImplementedError, RuntimeError, MemoryError) as error:
        raise SplatFileError(f"{str(path)!r} is not a {kind}: {error}") from error


def _modules(content: Mapping[str, np.ndarray]) -> dict[str, dict[str, torch.Tensor]]:
    modules: dict[str, dict[str, torch.Tensor]] = {}
    for key, array in content.items():
        if key.startswith("modules/"):
            _, part, name = key.split("/", 2)
            if array.dtype.kind not in "fiub":
                raise InputError(f"{key} must be numbers")
            modules.setdefault(part, {})[name] = torch.from_numpy(array)
    return modules


def _about(content: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if "about" not in content:
        return {}
    about = json.loads(str(content["about"]))
    if not isinstance(about, dict):
        raise InputError("about must be a JSON object")
    return about
