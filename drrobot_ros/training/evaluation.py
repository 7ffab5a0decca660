"""How good a self-model is, on poses it was not trained on.

Protocol: all views of a split, white background, the dataset's image size. PSNR and SSIM are over
the whole image, as in Dr. Robot's paper; since most of it is background, PSNR inside the robot and
the share of the image it covers stand beside them. The Chamfer distance is the mean of the two
directed mean nearest distances, in m, between the centres of the Gaussians that are not transparent
and points spread evenly over the outside of the meshes.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.training.baselines import RetrievedImage
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.metrics import chamfer, iou, psnr, psnr_inside, ssim

TRANSPARENT = 0.1  # opacity below which a Gaussian is no part of the surface

#: PSNR in dB of table 1 of Dr. Robot's paper, its own method.
PAPER_PSNR = {
    "shadow_hand": 31.44,
    "unitree_g1": 28.31,
    "unitree_h1": 27.77,
    "franka_emika_panda": 32.84,
    "google_robot": 32.60,
    "trossen_vx300s": 30.59,
    "ufactory_xarm7": 33.25,
    "unitree_go1": 29.74,
    "unitree_go2": 29.60,
    "universal_robots_ur5e": 32.01,
}


@dataclasses.dataclass(frozen=True)
class Scores:
    """Means over views, and over poses for the Chamfer distance.

    Attributes:
        psnr: whole image, dB.
        psnr_inside: over the pixels of the robot, dB.
        ssim: whole image.
        iou: of coverage and mask.
        chamfer_m: m.
        coverage: share of the image that shows the robot.
        views: how many there were.
    """

    psnr: float
    psnr_inside: float
    ssim: float
    iou: float
    chamfer_m: float
    coverage: float
    views: int


class Predictor(Protocol):
    """Anything that says how a robot looks in a pose."""

    def image(
        self, q: NDArray[np.float64], T_base_camera: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """Return colours [H, W, 3] 0..1 on white, and coverage [H, W]."""
        ...

    def points(self, q: NDArray[np.float64]) -> Tensor:
        """Return points [N, 3] on its surface, base frame, m."""
        ...


class SplatPredictor:
    """Gaussians fixed to links: training-free ones, trained ones, baked ones."""

    def __init__(self, model: Any, gaussians: Any, dataset: RobotDataset) -> None:
        self._model, self._gaussians, self._camera = model, gaussians, dataset.camera
        self._white = torch.tensor(dataset.background)

    @torch.no_grad()
    def image(
        self, q: NDArray[np.float64], T_base_camera: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """As `Predictor.image`."""
        rgb, alpha, _ = render_robot(
            self._model, self._gaussians, q, T_base_camera, self._camera, self._white
        )
        return rgb, alpha

    @torch.no_grad()
    def points(self, q: NDArray[np.float64]) -> Tensor:
        """As `Predictor.points`."""
        T = self._model.forward_kinematics(torch.as_tensor(q)).float()
        means, _ = self._gaussians.pose(T)
        return means[self._gaussians.opacities > TRANSPARENT]


class SelfModelPredictor:
    """A trained self-model as it is, with its skinning and deformation if it has them."""

    def __init__(self, model: Any, self_model: Any, dataset: RobotDataset) -> None:
        self._model, self._self_model, self._camera = model, self_model, dataset.camera
        self._white = torch.tensor(dataset.background)

    def _posed(self, q: NDArray[np.float64]) -> Any:
        q_tensor = torch.as_tensor(q)
        return self._self_model.pose(
            self._model.forward_kinematics(q_tensor).float(), q_tensor.float()
        )

    @torch.no_grad()
    def image(
        self, q: NDArray[np.float64], T_base_camera: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor]:
        """As `Predictor.image`."""
        T = torch.as_tensor(T_base_camera, dtype=torch.float32)
        rgb, alpha, _ = self._self_model.render(self._posed(q), T, self._camera, self._white)
        return rgb, alpha

    @torch.no_grad()
    def points(self, q: NDArray[np.float64]) -> Tensor:
        """As `Predictor.points`."""
        posed = self._posed(q)
        return posed.means[posed.opacities > TRANSPARENT]


def predictor_of(model: Any, subject: Any, dataset: RobotDataset) -> Predictor:
    """Return what evaluates Gaussians or a self-model."""
    if isinstance(subject, torch.nn.Module):
        return SelfModelPredictor(model, subject, dataset)
    if hasattr(subject, "link_index"):
        return SplatPredictor(model, subject, dataset)
    return subject


def evaluate(
    model: Any,
    subject: Any,
    dataset: RobotDataset,
    views: Iterable[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Return how well something predicts views of a dataset.

    Args:
        model: the robot.
        subject: a ``GaussianRobot``, a ``SelfModel`` or any `Predictor`.
        dataset: with a plain background.
        views: numbers of the views; None: all of the test split.
        progress: called after each view with its number.

    Raises:
        InputError: the dataset is of another robot, has random backgrounds, or there is no view.
    """
    dataset.check_matches(model)
    if dataset.config.randomize:
        raise InputError("backgrounds of this dataset are random: evaluate on a plain one")
    chosen = [int(v) for v in (dataset.views("test") if views is None else views)]
    if not chosen:
        raise InputError("there is no view to evaluate on: the dataset has no such poses")
    predictor = predictor_of(model, subject, dataset)
    rows: list[tuple[float, ...]] = []
    distances: dict[int, float] = {}
    for number in chosen:
        view = dataset.view(number)
        rgb, alpha = predictor.image(view.q, view.T_base_camera)
        truth = torch.from_numpy(view.rgb.astype(np.float32) / 255)
        mask = torch.from_numpy(view.mask)
        rgb = (rgb.clamp(0, 1) * 255).round() / 255  # as it would be saved
        rows.append(
            (
                psnr(rgb, truth),
                psnr_inside(rgb, truth, mask),
                ssim(rgb, truth),
                iou(alpha, mask),
                float(mask.float().mean()),
            )
        )
        if view.pose not in distances:
            ours = predictor.points(view.q).numpy()
            distances[view.pose] = chamfer(ours, dataset.point_cloud(view.pose))
        if progress is not None:
            progress(number)
    # A view that is met exactly has no finite PSNR; it must not hide the others.
    table = np.minimum(np.array(rows), 100.0)
    full, inside, structure, overlap, covered = (float(v) for v in np.nanmean(table, axis=0))
    return Scores(
        full,
        inside,
        structure,
        overlap,
        float(np.mean(list(distances.values()))),
        covered,
        len(chosen),
    )


def baseline_scores(
    model: Any,
    dataset: RobotDataset,
    views: Iterable[int] | None = None,
    count: int = 1000,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Scores]:
    """Return the scores of the nearest of `count` images and of a random one."""
    chosen = list(dataset.views("test") if views is None else views)
    result = {}
    for name, known in ((f"nearest of {count}", count), ("random", 1)):
        source = RetrievedImage(model, dataset, known)
        try:
            result[name] = evaluate(model, source, dataset, chosen, progress)
        finally:
            source.close()
    return result
