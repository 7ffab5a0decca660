"""The rows of table 1: one training after another, and what needs none."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.evaluation import Scores, baseline_scores, evaluate
from drrobot_ros.training.loading import self_model_of

#: What each trained row changes of the settings.
VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "no deformation": {"deformation": False},
    "deformation": {"deformation": True},
    "rigid only": {"skinning": "rigid", "deformation": False},
    "implicit only": {"skinning": "implicit", "deformation": False},
    "implicit, deformation": {"skinning": "implicit", "deformation": True},
}
UNTRAINED = ("training-free", "nearest", "random")


def untrained_rows(
    model: Any,
    dataset: RobotDataset,
    views: Sequence[int],
    count: int = 10000,
    known: int = 1000,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Scores]:
    """Return the scores of what needs no training.

    Args:
        model: the robot.
        dataset: with test views.
        views: their numbers.
        count: Gaussians of the training-free robot.
        known: images the nearest is chosen from.
        progress: called after each view.
    """
    free = GaussianRobot.from_model(model, count)
    rows = {"training-free": evaluate(model, free, dataset, views, progress)}
    return rows | baseline_scores(model, dataset, views, known, progress)


def trained_row(
    model: Any,
    dataset: RobotDataset,
    views: Sequence[int],
    name: str,
    config: TrainConfig,
    folder: Path,
    train: Callable[[TrainConfig, Path], GaussianRobot],
) -> Scores:
    """Return the scores of one variant; it is trained where `folder` does not hold it yet.

    Args:
        model: the robot.
        dataset: to train and judge on.
        views: the test views' numbers.
        name: one of `VARIANTS`.
        config: the settings the variant changes.
        folder: of the variant's self-model.
        train: trains with settings into a folder, and returns the result.

    Raises:
        InputError: no such variant, or the folder holds another robot's model.
    """
    if name not in VARIANTS:
        raise unknown_name("variant", name, VARIANTS)
    config = dataclasses.replace(config, **VARIANTS[name])
    path = folder / "self_model.npz"
    gaussians = GaussianRobot.load(path) if path.is_file() else train(config, folder)
    gaussians.check_matches(model)
    return evaluate(model, self_model_of(gaussians), dataset, views)


def variant_folder(root: Path, config: TrainConfig, name: str) -> Path:
    """Return where a variant's self-model lies; rows with the same settings share one."""
    config = dataclasses.replace(config, **VARIANTS[name])
    return root / f"{config.skinning}{'_deformation' if config.deformation else ''}"


def some(views: Sequence[int], count: int) -> list[int]:
    """Return `count` of the views, evenly spread; all of them for 0.

    Raises:
        InputError: there is none.
    """
    if not len(views):
        raise InputError("the dataset has no test views: render one with test poses")
    if count <= 0 or count >= len(views):
        return [int(v) for v in views]
    return [int(views[i]) for i in np.linspace(0, len(views) - 1, count).astype(int)]
