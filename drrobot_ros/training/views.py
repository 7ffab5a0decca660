"""The training views as tensors, cut to the robot, and the order they are learned in."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.training.dataset import RobotDataset


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingView:
    """One view, cut to the box around the robot.

    Attributes:
        rgb: [h, w, 3] uint8 over white.
        mask: [h, w] bool, or the share of a pixel that shows the robot.
        depth_m: [h, w], or None where no loss needs it.
        box: x0, y0, x1, y1 px.
        share: of the whole image.
        T_base_link: [L, 4, 4].
        T_base_camera: [4, 4].
        distance_m: from the camera to the robot's middle.
        q: [nq] float32.
        scene: number of the light.
        camera: of the whole image.
    """

    rgb: Tensor
    mask: Tensor
    depth_m: Tensor | None
    box: tuple[int, int, int, int]
    share: float
    T_base_link: Tensor
    T_base_camera: Tensor
    distance_m: float
    q: Tensor
    scene: int
    camera: PinholeCamera

    def halved(self) -> "TrainingView":
        """Return the view at half its size, each pixel the mean of four."""
        camera = self.camera.scaled(0.5)
        x0, y0 = (-(-v // 2) for v in self.box[:2])
        x1, y1 = (v // 2 for v in self.box[2:])
        left, top = 2 * x0 - self.box[0], 2 * y0 - self.box[1]
        h, w = y1 - y0, x1 - x0
        cut = (slice(top, top + 2 * h), slice(left, left + 2 * w))

        def pooled(tensor: Tensor) -> Tensor:
            return tensor[cut].float().view(h, 2, w, 2, -1).mean(dim=(1, 3))

        return dataclasses.replace(
            self,
            rgb=pooled(self.rgb).add(0.5).to(torch.uint8),
            mask=pooled(self.mask)[..., 0],
            depth_m=None if self.depth_m is None else self.depth_m[cut][::2, ::2],
            box=(x0, y0, x1, y1),
            camera=camera,
        )


def load_views(
    dataset: RobotDataset, numbers: Sequence[int], device: torch.device, depth: bool
) -> list[TrainingView]:
    """Return views as tensors; those that show nothing are left out.

    Raises:
        InputError: none shows anything.
    """
    result = []
    for number in numbers:
        view = dataset.view(int(number))
        x0, y0, x1, y1 = view.box
        if not view.mask.any():
            continue
        cut = (slice(y0, y1), slice(x0, x1))
        rgb, mask = view.rgb[cut], view.mask[cut]
        if dataset.config.randomize:  # what is behind the robot is not ours to learn
            rgb = np.where(mask[..., None], rgb, 255).astype(np.uint8)
        near = float(np.median(view.depth_m[view.mask]))
        result.append(
            TrainingView(
                torch.from_numpy(rgb.copy()).to(device),
                torch.from_numpy(mask.copy()).to(device),
                torch.from_numpy(view.depth_m[cut].copy()).to(device) if depth else None,
                view.box,
                (y1 - y0) * (x1 - x0) / (dataset.config.width * dataset.config.height),
                torch.from_numpy(view.T_base_link).to(device),
                torch.from_numpy(view.T_base_camera).float().to(device),
                near,
                torch.from_numpy(view.q).float().to(device),
                view.scene,
                dataset.camera,
            )
        )
    if not result:
        raise InputError(f"no view in {str(dataset.folder)!r} shows the robot")
    return result


class Order:
    """Which view is learned from at each step: shuffled rounds, known from seed and step alone.

    Args:
        first: numbers of the views of the first steps.
        first_steps: how many these are.
        count: number of all views, learned from afterwards.
        seed: of the shuffling.
    """

    def __init__(self, first: Sequence[int], first_steps: int, count: int, seed: int) -> None:
        self._first, self._first_steps = np.asarray(first, np.int64), first_steps
        if not len(self._first):
            self._first_steps = 0
        self._all, self._seed = np.arange(count), seed
        self._known: tuple[tuple[int, int], np.ndarray] | None = None

    def __getitem__(self, step: int) -> int:
        stage = 0 if step < self._first_steps else 1
        pool = self._first if stage == 0 else self._all
        place = step if stage == 0 else step - self._first_steps
        key = (stage, place // len(pool))
        if self._known is None or self._known[0] != key:
            shuffled = np.random.default_rng([self._seed, *key]).permutation(pool)
            self._known = (key, shuffled)
        return int(self._known[1][place % len(pool)])
