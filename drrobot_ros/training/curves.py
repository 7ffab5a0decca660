"""Curves of a training as a CSV file, and for TensorBoard where it is installed."""

import csv
import io
from pathlib import Path
from typing import Any

from drrobot_ros.training.dataset_files import DiskError, write_text


class Curves:
    """Rows of numbers by step; the first row decides the columns.

    Args:
        path: of the CSV file; None: nothing is written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: list[dict[str, str]] = []
        self._board: Any = None
        if path is not None and path.is_file():
            with path.open(newline="") as file:
                self._rows = list(csv.DictReader(file))

    def __enter__(self) -> "Curves":
        if self._path is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(self._path.parent / "tensorboard"))
            except ImportError:  # not installed: the CSV file is enough
                self._board = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()

    def truncate(self, step: int) -> None:
        """Forget what was written after a step, before training goes on from there."""
        self._rows = [row for row in self._rows if int(row.get("step") or 0) <= step]

    def write(self, step: int, **values: float) -> None:
        """Add a row.

        Raises:
            DiskError: the file cannot be written.
        """
        self._rows.append({"step": str(step), **{k: f"{v:.6g}" for k, v in values.items()}})
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._path is None:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self._rows[-1]), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())


__all__ = ["Curves", "DiskError"]
