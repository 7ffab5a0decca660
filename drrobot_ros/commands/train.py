"""Train a robot's self-model on rendered views of its URDF or MJCF, and write it as one file."""

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from drrobot_ros.commands.flags import add_flags
from drrobot_ros.commands.robots import RobotFlags, load_model
from drrobot_ros.training.config import PRESETS, TrainConfig, preset
from drrobot_ros.training.dataset_config import DATASET_PRESETS, DatasetConfig, dataset_preset
from drrobot_ros.training.losses import LossConfig

SUMMARY = "train a robot's self-model"
_GROUPS: dict[str, tuple[str, type]] = {
    "": ("training", TrainConfig),
    "loss-": ("losses", LossConfig),
    "data-": ("views", DatasetConfig),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; settings that are not given are the preset's."""
    parser.add_argument("robot", help="URDF or MJCF file, or menagerie name")
    parser.add_argument(
        "--preset", default="default", choices=sorted(PRESETS), help="settings to start from"
    )
    parser.add_argument(
        "--data-preset", choices=sorted(DATASET_PRESETS), help="of the views; None: the preset's"
    )
    parser.add_argument(
        "--package-paths", nargs="*", default=(), help="folders of package:// mesh paths"
    )
    parser.add_argument("--base-link", default="", help="link whose frame is the base frame")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder of views, checkpoint, curves, picture and model; None: self_models/ROBOT",
    )
    parser.add_argument("--data", type=Path, help="folder of the views; None: inside --out")
    parser.add_argument("--restart", action="store_true", help="ignore a checkpoint that is there")
    for prefix, (title, cls) in _GROUPS.items():
        add_flags(parser.add_argument_group(title), cls, prefix)
        # What is not given must be known as such: the preset decides it.
        names = [f"{prefix}{f.name}".replace("-", "_") for f in dataclasses.fields(cls)]
        parser.set_defaults(**dict.fromkeys(names))


def run(options: argparse.Namespace) -> int:
    """Render, train, evaluate and write."""
    from drrobot_ros.training.produce import produce

    chosen = preset(options.preset)
    data = dataset_preset(options.data_preset or chosen.dataset)
    settings = [
        _given(options, prefix, start)
        for prefix, start in (("", chosen.train), ("loss-", chosen.loss), ("data-", data))
    ]
    flags = RobotFlags(
        robot=options.robot,
        package_paths=tuple(options.package_paths),
        base_link=options.base_link,
    )
    model = load_model(flags)
    folder = options.out or Path("self_models") / Path(options.robot).stem
    result = produce(
        model,
        folder,
        *settings,
        data_folder=options.data,
        device=options.device,
        restart=options.restart,
        command="drrobot " + shlex.join(sys.argv[1:]),
    )
    print(json.dumps(result.scores, indent=1))
    print(f"written: {result.path}")
    print(f"use it: drrobot estimate --robot {options.robot} --splats {result.path} ...")
    return 0


def _given(options: argparse.Namespace, prefix: str, start: Any) -> Any:
    values = {}
    for field in dataclasses.fields(start):
        value = getattr(options, f"{prefix}{field.name}".replace("-", "_"))
        values[field.name] = getattr(start, field.name) if value is None else value
    return type(start)(**values)
