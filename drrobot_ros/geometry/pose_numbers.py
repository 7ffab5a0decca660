"""Poses as the few numbers that people and parameter files give."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3


def pose_from_numbers(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Return the pose [4, 4] of x y z qx qy qz qw, or of x y z roll pitch yaw.

    Raises:
        InputError: another count, numbers that are not finite, or a zero quaternion.
    """
    values = np.asarray(numbers, np.float64)
    if len(values) not in (6, 7) or not np.isfinite(values).all():
        raise InputError(
            "a pose is x y z qx qy qz qw (7 numbers) or x y z roll pitch yaw (6 numbers), got "
            f"{len(values)}: {list(numbers)}"
        )
    if len(values) == 7:
        x, y, z, w = values[3:]
        quat = torch.tensor([w, x, y, z], dtype=torch.float64)
        if quat.norm() < 1e-6:
            raise InputError(f"a pose has a zero quaternion: {list(numbers)}")
        R = so3.quat_to_matrix(quat / quat.norm())
    else:
        axes = torch.eye(3, dtype=torch.float64)
        roll, pitch, yaw = (so3.exp(float(a) * axes[i]) for i, a in enumerate(values[3:]))
        R = yaw @ pitch @ roll
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R.numpy(), values[:3]
    return T


def numbers_from_pose(T: Any) -> list[float]:
    """Return x y z qx qy qz qw of a pose [4, 4]."""
    T = np.asarray(T, np.float64)
    w, x, y, z = so3.matrix_to_quat(torch.as_tensor(T[:3, :3].copy())).tolist()
    return [*T[:3, 3].tolist(), x, y, z, w]
