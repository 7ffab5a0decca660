"""Fixtures shared by all tests: where the data is, cached robots, seeds and threads."""

import os
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES

REPOSITORY = Path(__file__).resolve().parents[1]


def find_menagerie() -> Path | None:
    """Return the folder with the Menagerie robots, or None."""
    named = os.environ.get("DRROBOT_MENAGERIE") or os.environ.get("MENAGERIE_ROOT")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data" / "menagerie"
    return folder if folder.is_dir() else None


@cache
def _load(path: Path) -> RobotModel:
    return RobotModel.load(path)


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    """One thread: tests run beside each other, and sums come out the same every time."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def menagerie_root() -> Path:
    folder = find_menagerie()
    if folder is None:
        pytest.skip("no Menagerie robots: set DRROBOT_MENAGERIE to their folder")
    return folder


@pytest.fixture(scope="session")
def models_root() -> Path:
    """The folder with this repository's own robots."""
    return REPOSITORY / "models"


@pytest.fixture(scope="session")
def robot(request):
    """A function that loads a robot once: one of ours or one of the Menagerie, by name.

    Ours by their file, e.g. ``six_axis_arm`` or ``every_joint.xml``.
    """

    def load(name: str) -> RobotModel:
        for path in sorted((REPOSITORY / "models").glob("*/*")):
            if path.suffix in (".urdf", ".xml") and name in (path.stem, path.name):
                return _load(path)
        root = request.getfixturevalue("menagerie_root")
        return _load(root / name / MAIN_FILES[name])

    return load
