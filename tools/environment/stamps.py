"""Remember which steps of the set-up are done, and with which inputs."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


class Stamps:
    """A folder with one file per finished step, holding the fingerprint of its inputs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_current(self, name: str, fingerprint: str) -> bool:
        """Tell whether a step was finished with these inputs."""
        try:
            return (self._folder / name).read_text() == fingerprint
        except OSError:
            return False

    def forget(self, name: str) -> None:
        """Mark a step as not done, for it may stop half-way."""
        (self._folder / name).unlink(missing_ok=True)

    def write(self, name: str, fingerprint: str) -> None:
        """Mark a step as done with these inputs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_text(fingerprint)


def fingerprint(paths: Iterable[Path], *words: str) -> str:
    """Return a hash of files (folders: every file in them) and of words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(str(file.name).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
