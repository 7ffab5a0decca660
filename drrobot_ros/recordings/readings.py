"""Joint readings in files: a CSV with a row per image, or an array per image."""

import csv
from pathlib import Path

import numpy as np

from drrobot_ros.errors import InputError

IMAGE_NAMES = ("image", "file", "name", "index")
TIME_NAMES = ("time_s", "stamp_s", "time", "t", "stamp")

Row = tuple[str, float | None, dict[str, float]]


def find_readings(folder: Path) -> Path | None:
    """Return the CSV of a folder that holds joint readings; None if there is none.

    Raises:
        InputError: several could be meant.
    """
    named = sorted(p for p in folder.glob("*.csv") if p.stem.lower().startswith(("joint", "q")))
    if len(named) > 1:
        raise InputError(
            f"{folder} has several files of joints: {', '.join(p.name for p in named)}; say which: "
            "--joints-file"
        )
    return named[0] if named else None


def read_readings(path: Path, joint_names: tuple[str, ...] = ()) -> list[Row]:
    """Return (image or "", stamp or None, positions by joint) of every row of a CSV.

    Cells are separated by commas, semicolons or tabs. The header names the joints, also as
    q_<joint>; columns ``image`` and ``time_s`` are optional.
    Without a header the joints are `joint_names`.

    Raises:
        InputError: it cannot be read; a row of another length; not a number.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        cells = csv.reader(lines, delimiter=_delimiter(lines))
        rows = [[c.strip() for c in r] for r in cells if any(c.strip() for c in r)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if rows and rows[0] and rows[0][0].startswith("#"):
        rows[0][0] = rows[0][0].lstrip("# ")
    if not rows:
        raise InputError(f"{path} is empty")
    if all(_is_number(cell) for cell in rows[0]):
        if len(rows[0]) != len(joint_names):
            raise InputError(
                f"{path} has no header and {len(rows[0])} columns; the robot has "
                f"{len(joint_names)} joints: {', '.join(joint_names)}"
            )
        header = list(joint_names)
    else:
        header = rows.pop(0)
    names = [name[2:] if name.startswith("q_") else name for name in header]
    readings: list[Row] = []
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise InputError(
                f"{path}, row {number}: {len(row)} values, the header has {len(names)}"
            )
        image, stamp, positions = "", None, {}
        for name, cell in zip(names, row, strict=True):
            if name.lower() in IMAGE_NAMES:
                image = cell
                continue
            if not _is_number(cell):
                raise InputError(f"{path}, row {number}: {name} is {cell!r}, which is no number")
            if name.lower() in TIME_NAMES:
                stamp = float(cell)
            else:
                positions[name] = float(cell)
        readings.append((image, stamp, positions))
    return readings


def read_array(path: Path, joint_names: tuple[str, ...]) -> dict[str, float]:
    """Return positions by joint of a .npy file with one number per joint of the model.

    Raises:
        InputError: it cannot be read, or has another count.
    """
    try:
        values = np.load(path, allow_pickle=False).astype(np.float64).ravel()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if len(values) != len(joint_names):
        raise InputError(
            f"{path} has {len(values)} numbers, the robot {len(joint_names)} joints: "
            f"{', '.join(joint_names)}"
        )
    return dict(zip(joint_names, values.tolist(), strict=True))


def _delimiter(lines: list[str]) -> str:
    """Return what separates the cells: the sign that the first line has most often."""
    first = next((line for line in lines if line.strip()), "")
    return max(",;\t", key=first.count)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
