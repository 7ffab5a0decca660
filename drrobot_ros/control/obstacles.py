"""Things an arm must not touch."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name

#: Numbers that each shape needs: half sizes; radius; radius and half length; points apart.
SHAPES = {"box": 3, "sphere": 1, "cylinder": 2, "capsule": 2, "plane": 0, "mesh": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class Obstacle:
    """A solid that stands still.

    Attributes:
        name: for messages.
        shape: box, sphere, cylinder or capsule (axis z), plane (solid below its z = 0), or mesh
            (its convex hull).
        size: half sizes of a box; radius; radius and half length. m.
        T_base_obstacle: [4,4] its pose in the robot's base frame.
        vertices: [V,3] of a mesh, m.

    Raises:
        InputError: an unknown shape, wrong or non-positive sizes, a pose that is no transform.
    """

    name: str
    shape: str
    size: tuple[float, ...] = ()
    T_base_obstacle: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.eye(4))
    vertices: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise unknown_name("shape", self.shape, SHAPES)
        where = f"obstacle {self.name!r}"
        if len(self.size) != SHAPES[self.shape]:
            raise InputError(
                f"{where}: a {self.shape} has {SHAPES[self.shape]} sizes, got {list(self.size)}"
            )
        if not (np.isfinite(self.size).all() and all(x > 0 for x in self.size)):
            raise InputError(f"{where}: sizes must be positive, got {list(self.size)}")
        T = np.asarray(self.T_base_obstacle, np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise InputError(f"{where}: the pose must be a finite 4x4 matrix")
        if np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-4:
            raise InputError(f"{where}: the pose must hold a rotation matrix")
        if self.shape == "mesh":
            v = np.asarray(self.vertices if self.vertices is not None else [], np.float64)
            if v.ndim != 2 or v.shape[1] != 3 or len(v) < 4 or not np.isfinite(v).all():
                raise InputError(f"{where}: a mesh needs at least 4 finite vertices [V,3]")


def read_obstacles(path: str | Path) -> list[Obstacle]:
    """Read a yaml file of obstacles.

    The file holds a list ``obstacles`` of entries with ``name``, ``shape``, ``size`` [m] and
    ``pose`` (x y z roll pitch yaw in the base frame, m and rad).

    Raises:
        InputError: the file cannot be read, or an entry is wrong.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read obstacles from {path}: {error}") from error
    entries = data.get("obstacles") if isinstance(data, Mapping) else None
    if not isinstance(entries, Sequence):
        raise InputError(f"{path} must hold a list 'obstacles'")
    return [_obstacle(entry, f"{path}: obstacle {i}") for i, entry in enumerate(entries)]


def _obstacle(entry: Any, where: str) -> Obstacle:
    from scipy.spatial.transform import Rotation

    if not isinstance(entry, Mapping):
        raise InputError(f"{where} must be a mapping, got {entry!r}")
    unknown = set(entry) - {"name", "shape", "size", "pose"}
    if unknown:
        raise InputError(
            f"{where} has unknown keys {sorted(unknown)}; valid: name, shape, size, pose"
        )
    try:
        pose = np.array([float(x) for x in entry.get("pose", [0.0] * 6)])
        size = tuple(float(x) for x in entry.get("size", ()))
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error
    if pose.shape != (6,):
        raise InputError(f"{where}: pose must be x y z roll pitch yaw, got {pose.tolist()}")
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", pose[3:]).as_matrix()
    T[:3, 3] = pose[:3]
    return Obstacle(str(entry.get("name", where)), str(entry.get("shape", "")), size, T)
