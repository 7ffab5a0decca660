"""Files of motions: joint names, times, positions and velocities, in yaml or json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError

FORMAT = "drrobot trajectory 1"
SUFFIXES = (".yaml", ".yml", ".json")


def write_motion(
    path: str | Path, joint_names: Sequence[str], motion: Trajectory, about: Mapping[str, Any]
) -> None:
    """Write a motion.

    Args:
        path: ends in .yaml, .yml or .json.
        joint_names: [nq].
        motion: times [s], positions [rad or m], velocities and accelerations.
        about: further entries that say where it is from; plain values.

    Raises:
        InputError: another ending.
    """
    path = Path(path)
    _check_suffix(path)
    rows = [
        {
            # Differences of samples are divided by the time between them, squared: a file of few
            # digits would break limits that the motion keeps.
            "time_from_start": round(float(t), 9),
            "positions": [round(float(x), 12) for x in q],
            "velocities": [round(float(x), 10) for x in v],
            "accelerations": [round(float(x), 8) for x in a],
        }
        for t, q, v, a in zip(motion.times_s, motion.q, motion.v, motion.a, strict=True)
    ]
    data = {"format": FORMAT, **about, "joint_names": list(joint_names), "points": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(data, indent=1) + "\n")
        return
    import yaml

    with path.open("w") as file:
        yaml.safe_dump(data, file, sort_keys=False, default_flow_style=None, width=100)


def read_motion(path: str | Path) -> tuple[tuple[str, ...], Trajectory]:
    """Return the joint names and the motion of a file.

    Raises:
        InputError: it cannot be read, or holds no such motion.
    """
    path = Path(path)
    _check_suffix(path)
    import yaml

    try:
        data = yaml.safe_load(path.read_text())  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read a motion from {path}: {error}") from error
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{path} is not of format {FORMAT!r}")
    try:
        names = tuple(map(str, data["joint_names"]))
        rows = data["points"]
        times = np.array([row["time_from_start"] for row in rows], np.float64)
        keys = ("positions", "velocities", "accelerations")
        q, v, a = (np.array([row[key] for row in rows], np.float64) for key in keys)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no motion: {error}") from error
    motion = Trajectory(times, q, v, a)
    if motion.q.shape[1] != len(names):
        raise InputError(f"{path}: {len(names)} joint names, but {motion.q.shape[1]} positions")
    return names, motion


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise InputError(f"a motion's file ends in {', '.join(SUFFIXES)}; got {path.name!r}")
