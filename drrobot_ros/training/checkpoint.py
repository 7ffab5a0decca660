"""Checkpoints: everything a training needs to go on as if it had never stopped, without code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.splats.files import read_arrays
from drrobot_ros.training.dataset_files import write_arrays

FORMAT, VERSION = "drrobot_checkpoint", 1


def save_checkpoint(
    path: Path, step: int, identity: dict[str, Any], state: dict[str, Tensor]
) -> None:
    """Write a checkpoint that appears whole or not at all.

    Args:
        path: ends in ``.npz``.
        step: steps done.
        identity: JSON values that must agree when it is loaded: robot, dataset, settings.
        state: tensors by name.

    Raises:
        DiskError: the disk is full; an older checkpoint is left as it was.
    """
    arrays = {f"state/{name}": tensor.detach().cpu().numpy() for name, tensor in state.items()}
    write_arrays(
        path,
        format=np.array(FORMAT),
        version=np.array(VERSION),
        step=np.array(step),
        identity=np.array(json.dumps(identity, sort_keys=True)),
        **arrays,
    )


def load_checkpoint(path: Path, identity: dict[str, Any]) -> tuple[int, dict[str, Tensor]]:
    """Return the number of steps done and the tensors.

    Raises:
        InputError: damaged, of another version, or of another robot, dataset or settings; the
            message names what differs.
    """
    content = read_arrays(path, "checkpoint")
    if str(content.get("format")) != FORMAT or str(content.get("version")) != str(VERSION):
        raise InputError(
            f"{str(path)!r} is not a {FORMAT} of version {VERSION}: "
            f"{content.get('format')!s} {content.get('version')!s}"
        )
    try:
        theirs = json.loads(str(content["identity"]))
        step = int(content["step"])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"the checkpoint {str(path)!r} is damaged: {error}") from error
    ours = json.loads(json.dumps(identity))
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            raise InputError(
                f"the checkpoint {str(path)!r} has another {key}: {theirs.get(key)!r}, "
                f"now {ours.get(key)!r}; train into another folder, or start anew"
            )
    state = {
        name.removeprefix("state/"): torch.from_numpy(array)
        for name, array in content.items()
        if name.startswith("state/")
    }
    return step, state
