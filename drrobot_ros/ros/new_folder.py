"""A folder of its own for what a node writes."""

import time
from pathlib import Path

from drrobot_ros.errors import InputError


def new_folder(parent: Path, word: str) -> Path:
    """Make and return a folder that was not there, named by a word and the time.

    Raises:
        InputError: it cannot be made.
    """
    stem = time.strftime(f"{word}_%Y%m%d_%H%M%S")
    for suffix in ("", *(f"_{i}" for i in range(2, 100))):
        folder = (parent.expanduser() / (stem + suffix)).resolve()
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"cannot write to the folder {parent}: {error}") from error
        return folder
    raise InputError(f"{parent} is full of folders of this second")
