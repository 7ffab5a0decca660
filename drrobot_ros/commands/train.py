"""Train a robot's self-model on rendered views of its URDF or MJCF, and write it as one file."""

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.commands.robots import DEMO_ARM, RobotFlags, load_model
from drrobot_ros.training.config import PRESETS, TrainConfig, preset
from drrobot_ros.training.dataset import DATASET_PRESETS, DatasetConfig, dataset_preset
from drrobot_ros.training.losses import LossConfig

SUMMARY = "train a robot's self-model"
_GROUPS: dict[str, type] = {"": TrainConfig, "loss-": LossConfig, "data-": DatasetConfig}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; settings that are not given are the preset's."""
    parser.add_argument("robot", help=RobotFlags.__doc__ and "URDF or MJCF file, or menagerie name")
    parser.add_argument("--preset", default="default", choices=sorted(PRESETS))
    parser.add_argument(
        "--data-preset", default=None, choices=sorted(DATASET_PRESETS), help="the preset's, if none"
    )
    parser.add_argument("--package-paths", nargs="*", default=(), help="as for the other commands")
    parser.add_argument("--base-link", default="", help="as for the other commands")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        help="folder of views, checkpoint, curves and pictures; self_models/ROBOT if none",
    )
    parser.add_argument(
        "--data", type=Path, default=None, help="folder of the views, if not inside --out"
    )
    parser.add_argument("--restart", action="store_true", help="ignore a checkpoint that is there")
    for prefix, cls in _GROUPS.items():
        group = parser.add_argument_group(
            {"": "training", "loss-": "losses", "data-": "views"}[prefix]
        )
        add_flags(group, cls, prefix)
    # What is not given must be known as such: the preset decides it.
    for prefix, cls in _GROUPS.items():
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
    name = model.name if options.robot in ("", DEMO_ARM) else Path(options.robot).stem
    folder = options.out or Path("self_models") / name
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


__all__ = ["SUMMARY", "configure", "from_flags", "run"]
