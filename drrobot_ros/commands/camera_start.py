"""Where a camera roughly is, in the words of a command line."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.geometry.pose_numbers import pose_from_numbers

Matrix = NDArray[np.float64]

TF, SEARCH = "tf", "search"
HELP = (
    "where the camera roughly is, in the base frame or that of --camera-link: x y z (it looks at "
    "the robot, mounted any way up), x y z roll pitch yaw, x y z qx qy qz qw [m, rad; optical "
    "frame, z forward], a file with the 4x4 matrix (.csv, .txt, .npy) or calibration.yaml, 'tf' "
    "(the recording's fixed frames), or 'search' (needs depth). Default: tf where the recording "
    "has it, else search"
)
POSITION_SIGMA = 0.25, 0.25  # m, rad; of a start without orientation
SEARCH_SIGMA = 0.1, 0.15
# How a camera is mounted whose position alone is given, beside upright.
MOUNTED = (np.pi, 0.5 * np.pi, -0.5 * np.pi)


@dataclasses.dataclass(frozen=True, eq=False)
class CameraStart:
    """A start of the camera's pose.

    Attributes:
        T: [4,4], to the base or the link that carries it; None: to be searched.
        sigma_m: how wrong its position may be; None: as configured.
        sigma_rad: the same of its orientation.
        source: where it is from, for people.
        turns: about the optical axis that it may have beside none, rad.
    """

    T: Matrix | None
    sigma_m: float | None = None
    sigma_rad: float | None = None
    source: str = ""
    turns: tuple[float, ...] = ()


def camera_start(words: Sequence[str], from_tf: Matrix | None, middle: Any) -> CameraStart:
    """Return the start that ``--camera-start`` describes.

    Args:
        words: of the flag; none: tf, else search.
        from_tf: what the recording's fixed frames say, or None.
        middle: a point of the robot that the camera looks at, where only its position is given.

    Raises:
        InputError: words that cannot be understood, or no such transform.
    """
    if not words:
        words = [SEARCH] if from_tf is None else [TF]
    if list(words) == [SEARCH]:
        return CameraStart(None, source="search")
    if list(words) == [TF]:
        if from_tf is None:
            raise InputError(
                "--camera-start tf: the recording has no fixed frames (tf_static) from the robot "
                "to the camera; give the pose by hand, or 'search' where there is depth"
            )
        return CameraStart(from_tf, source="tf_static of the recording")
    if len(words) == 1:
        return CameraStart(read_pose(Path(words[0]).expanduser()), source=words[0])
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise InputError(
            f"--camera-start takes numbers, a file, 'tf' or 'search', got {' '.join(words)!r}"
        ) from error
    if len(numbers) == 3:
        T = look_at(numbers, middle)
        words_of = "the position given, looking at the robot"
        return CameraStart(T, *POSITION_SIGMA, words_of, MOUNTED)
    return CameraStart(pose_from_numbers(numbers), source="the pose given")


def read_pose(path: Path) -> Matrix:
    """Return the pose [4,4] in a file.

    Raises:
        InputError: it cannot be read, or holds no rigid transform.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix in (".yaml", ".yml"):
            values = _from_document(path)
        else:
            text = path.read_text().replace(",", " ")
            values = np.array([float(word) for word in text.split()])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"cannot read a camera pose from {path}: {error}; valid: a 4x4 matrix in .csv, .txt or "
            ".npy, or calibration.yaml"
        ) from error
    values = np.asarray(values, np.float64)
    if values.size == 12:
        values = np.concatenate([values.ravel(), [0.0, 0.0, 0.0, 1.0]])
    if values.size != 16 or not np.isfinite(values).all():
        raise InputError(f"{path} holds {values.size} numbers; a camera pose is a 4x4 matrix")
    T = values.reshape(4, 4)
    R = T[:3, :3]
    straight = np.abs(R @ R.T - np.eye(3)).max() < 1e-3 and np.linalg.det(R) > 0
    if not straight or np.abs(T[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InputError(f"{path} holds no rigid transform: {T.round(4).tolist()}")
    U, _, Vt = np.linalg.svd(R)
    T = T.copy()
    T[:3, :3] = U @ Vt
    return T


def _from_document(path: Path) -> Any:
    import yaml

    try:
        cameras = yaml.safe_load(path.read_text())["cameras"]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return next(iter(cameras.values()))["transforms"][0]["matrix"]
