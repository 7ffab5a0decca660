"""Finding the files that a URDF names: ``package://``, ``file://``, absolute and relative."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

from drrobot_ros.errors import ModelError


class FileFinder:
    """Resolves the file names of one URDF.

    A package is looked for, in this order, in `package_paths`, in the folders of
    ``ROS_PACKAGE_PATH``, in ``<prefix>/share`` of ``AMENT_PREFIX_PATH``, and in the folders above
    the URDF file. Each of them may hold the package or be it: by its name, or by the name in its
    ``package.xml``.
    """

    def __init__(
        self, directory: Path | None, package_paths: Sequence[str | os.PathLike[str]] = ()
    ) -> None:
        self.directory = directory
        self.package_paths = [Path(p).expanduser() for p in package_paths]

    def find(self, name: str) -> Path:
        """Return the path of an existing file.

        Raises:
            ModelError: there is no such file, naming every place searched.
        """
        candidates = self._candidates(name)
        for path in candidates:
            if path.is_file():
                return path
        searched = ", ".join(dict.fromkeys(str(p) for p in candidates)) or "no folder"
        raise ModelError(f"file {name!r} is not found; searched: {searched}. {self._advice(name)}")

    def _advice(self, name: str) -> str:
        if name.startswith(("package://", "model://")):
            return (
                "Add the folder that holds the package to package_paths, ROS_PACKAGE_PATH or "
                "AMENT_PREFIX_PATH (source the workspace's setup)."
            )
        if self.directory is None:
            return "A URDF string has no folder: relative names are searched in package_paths only."
        return "Relative names start at the folder of the URDF."

    def _candidates(self, name: str) -> list[Path]:
        scheme, separator, rest = name.partition("://")
        if not separator:
            return self._plain(name)
        if scheme == "file":
            return self._plain(unquote(rest))
        if scheme in ("package", "model"):
            package, _, inside = unquote(rest).partition("/")
            return [folder / inside for folder in self._package_folders(package)]
        raise ModelError(f"file {name!r}: unknown scheme {scheme!r}; valid: package, model, file")

    def _plain(self, name: str) -> list[Path]:
        path = Path(name)
        if path.is_absolute():
            return [path]
        bases = [self.directory] if self.directory is not None else []
        return [base / path for base in [*bases, *self.package_paths]]

    def _package_folders(self, package: str) -> list[Path]:
        folders = []
        for base in [*self.package_paths, *_environment_folders()]:
            folders += [base] if _is_package(base, package) else [base / package]
        if self.directory is not None:
            above = self.directory.resolve()
            for base in (above, *above.parents):
                if _is_package(base, package):
                    folders.append(base)
                elif (base / package).is_dir():
                    folders.append(base / package)
        return folders


def _environment_folders() -> list[Path]:
    def entries(variable: str) -> list[Path]:
        return [Path(p) for p in os.environ.get(variable, "").split(os.pathsep) if p]

    share = [prefix / "share" for prefix in entries("AMENT_PREFIX_PATH")]
    return entries("ROS_PACKAGE_PATH") + share


def _is_package(folder: Path, package: str) -> bool:
    if folder.name == package:
        return True
    try:
        root = ElementTree.parse(folder / "package.xml").getroot()
    except (OSError, ElementTree.ParseError):
        return False
    return (root.findtext("name") or "").strip() == package
