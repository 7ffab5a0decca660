"""Rendered views of a robot in many poses: what a self-model is trained and judged on."""

import dataclasses
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.splats.files import read_arrays
from drrobot_ros.training.dataset_config import DatasetConfig

SPLITS = ("train", "validation", "test")
INDEX, PLAN = "dataset.json", "plan.npz"
FORMAT, VERSION = "drrobot_dataset", 1


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """One image and the truth about it.

    Attributes:
        rgb: [H, W, 3] uint8; white where the robot is not, unless backgrounds were randomised.
        mask: [H, W] bool, where the robot is seen.
        depth_m: [H, W] float32 along the optical axis, 0 where nothing is seen.
        box: x0, y0, x1, y1 around the robot, px; beyond it nothing is seen.
        pose: number of the pose.
        q: [nq] joint positions.
        T_base_link: [L, 4, 4] float32.
        T_base_camera: [4, 4] float64.
        scene: number of the light it was rendered in.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    depth_m: NDArray[np.float32]
    box: tuple[int, int, int, int]
    pose: int
    q: NDArray[np.float64]
    T_base_link: NDArray[np.float32]
    T_base_camera: NDArray[np.float64]
    scene: int


@dataclasses.dataclass(frozen=True, eq=False)
class RobotDataset:
    """Views of one robot, read from a folder as they are asked for.

    Attributes:
        folder: where it lies.
        robot_name: of the robot.
        link_names: of the robot.
        joint_names: of the robot.
        config: what was asked for.
        q: [P, nq] joint positions of the poses.
        T_base_link: [P, L, 4, 4] float32.
        split: [P] number of the split of each pose: 0 train, 1 validation, 2 test.
        scene: [P] number of the light of each pose.
        pose_index: [V] pose of each view.
        T_base_camera: [V, 4, 4].
        shard_of: [V] number of the file that holds each view.
        surface_points: [K, 3] float32 on the robot's outside, link coordinates, m.
        surface_links: [K] their links.
        seconds: CPU time of the rendering.
    """

    folder: Path
    robot_name: str
    link_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    config: DatasetConfig
    q: NDArray[np.float64]
    T_base_link: NDArray[np.float32]
    split: NDArray[np.int64]
    scene: NDArray[np.int64]
    pose_index: NDArray[np.int64]
    T_base_camera: NDArray[np.float64]
    shard_of: NDArray[np.int64]
    surface_points: NDArray[np.float32]
    surface_links: NDArray[np.int64]
    seconds: float = 0.0

    @property
    def camera(self) -> PinholeCamera:
        """The camera of all views."""
        return self.config.camera

    @property
    def background(self) -> tuple[float, float, float]:
        """The colour behind the robot."""
        return (1.0, 1.0, 1.0)

    def views(self, split: str) -> NDArray[np.int64]:
        """Return the numbers of the views of a split.

        Raises:
            InputError: there is no such split.
        """
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        return np.flatnonzero(self.split[self.pose_index] == SPLITS.index(split))

    def __len__(self) -> int:
        return len(self.pose_index)

    def point_cloud(self, pose: int) -> NDArray[np.float32]:
        """Return points [K, 3] on the robot's outside in a pose, base frame, m."""
        T = self.T_base_link[pose][self.surface_links]
        return (T[:, :3, :3] @ self.surface_points[:, :, None])[..., 0] + T[:, :3, 3]

    def view(self, index: int) -> View:
        """Return one view.

        Raises:
            InputError: there is no such view, or its file is damaged.
        """
        if not 0 <= index < len(self):
            raise InputError(f"no view {index}; the dataset has {len(self)}")
        shard = self._shards.get(int(self.shard_of[index]))
        row = index - int(np.searchsorted(self.shard_of, self.shard_of[index]))
        H, W = self.config.height, self.config.width
        x0, y0, x1, y1 = (int(v) for v in shard["boxes"][row])
        h, w = y1 - y0, x1 - x0
        start = int(shard["starts"][row])
        rgb = np.full((H, W, 3), 255, np.uint8)
        mask, depth = np.zeros((H, W), bool), np.zeros((H, W), np.float32)
        inside = (slice(y0, y1), slice(x0, x1))
        rgb[inside] = shard["rgb"][start : start + h * w].reshape(h, w, 3)
        mask[inside] = shard["mask"][start : start + h * w].reshape(h, w)
        depth[inside] = shard["depth"][start : start + h * w].reshape(h, w)
        pose = int(self.pose_index[index])
        return View(
            rgb,
            mask,
            depth,
            (x0, y0, x1, y1),
            pose,
            self.q[pose],
            self.T_base_link[pose],
            self.T_base_camera[index],
            int(self.scene[pose]),
        )

    @cached_property
    def _shards(self) -> "_Shards":
        return _Shards(self.folder)

    @classmethod
    def load(cls, folder: str | Path) -> "RobotDataset":
        """Open the dataset in a folder.

        Raises:
            InputError: there is none, it is not finished, or it is damaged.
        """
        folder = Path(folder)
        if not (folder / INDEX).is_file():
            state = (
                "its rendering was not finished" if (folder / PLAN).is_file() else "nothing there"
            )
            raise InputError(f"no dataset in {str(folder)!r}: {state}")
        index = read_json(folder / INDEX)
        if index.get("format") != FORMAT or index.get("version") != VERSION:
            raise InputError(f"{str(folder / INDEX)!r} is not a {FORMAT} of version {VERSION}")
        plan = read_arrays(folder / PLAN, "plan of a dataset")
        try:
            dataset = cls(
                folder=folder,
                robot_name=str(index["robot_name"]),
                link_names=tuple(index["link_names"]),
                joint_names=tuple(index["joint_names"]),
                config=DatasetConfig(**index["config"]),
                seconds=float(index["seconds"]),
                **{k: plan[k] for k in plan if k != "digest"},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the dataset in {str(folder)!r} is damaged: {error}") from error
        for number in np.unique(dataset.shard_of):
            if not shard_path(folder, int(number)).is_file():
                raise InputError(
                    f"the dataset in {str(folder)!r} lacks {shard_path(folder, number)}"
                )
        return dataset

    def check_matches(self, model: Any) -> None:
        """Check that the views are of a model's robot.

        Raises:
            InputError: links or joints differ.
        """
        if self.link_names != tuple(model.link_names) or self.joint_names != tuple(
            model.joint_names
        ):
            raise InputError(
                f"the dataset in {str(self.folder)!r} is of {self.robot_name!r} with other links "
                f"or joints than {model.name!r}; render one for this robot"
            )


class _Shards:
    """The files of views, the last few kept open."""

    KEEP = 64

    def __init__(self, folder: Path):
        self._folder = folder
        self._open: dict[int, dict[str, np.ndarray]] = {}

    def get(self, number: int) -> dict[str, np.ndarray]:
        if number not in self._open:
            if len(self._open) >= self.KEEP:
                self._open.pop(next(iter(self._open)))
            content = read_arrays(shard_path(self._folder, number), "shard of a dataset")
            content["mask"] = np.unpackbits(content["mask"]).astype(bool)
            content["depth"] = content["depth"].astype(np.float32) * float(content["depth_unit"])
            self._open[number] = content
        return self._open[number]


def shard_path(folder: Path, number: int) -> Path:
    """Return where a shard lies."""
    return folder / f"views_{number:05d}.npz"


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{str(path)!r} holds no JSON object")
    return content
