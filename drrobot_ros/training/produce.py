"""From a robot description to one file: render, train, judge, write, and show what came out."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training import metrics
from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.dataset_config import DatasetConfig
from drrobot_ros.training.dataset_files import DiskError
from drrobot_ros.training.dataset_render import render_dataset
from drrobot_ros.training.losses import LossConfig
from drrobot_ros.training.self_model import SelfModel
from drrobot_ros.training.trainer import CHECKPOINT, CURVES, train

FILE = "self_model.npz"
PICTURE = "comparison.png"
_QUICK_LOOK = 12  # test views for the scores that go into the file


@dataclasses.dataclass(frozen=True)
class Product:
    """What a training left.

    Attributes:
        path: of the self-model.
        gaussians: its content.
        scores: PSNR, IoU and times, by name.
        self_model: with its networks.
    """

    path: Path
    gaussians: GaussianRobot
    scores: dict[str, float]
    self_model: SelfModel


def produce(
    model: Any,
    folder: str | Path,
    config: TrainConfig | None = None,
    loss: LossConfig | None = None,
    data: DatasetConfig | None = None,
    *,
    data_folder: Path | None = None,
    device: str = "cpu",
    restart: bool = False,
    command: str = "",
    progress: bool = True,
) -> Product:
    """Render what is missing, train from the last checkpoint, and write the self-model.

    Args:
        model: the RobotModel.
        folder: of everything that is written.
        config: of the training.
        loss: its weights.
        data: of the views.
        data_folder: where the views lie or go; None: inside `folder`.
        device: "cpu" or "cuda".
        restart: begin anew though there is a checkpoint.
        command: is written into the file.
        progress: show bars.

    Raises:
        DrRobotError: as `render_dataset` and `train` say.
    """
    folder = Path(folder)
    config, loss = config or TrainConfig(), loss or LossConfig()
    started = time.process_time()
    dataset = render_dataset(model, data_folder or folder / "views", data, progress)
    rendering_s = time.process_time() - started
    if restart:
        for name in (CHECKPOINT, CURVES):
            (folder / name).unlink(missing_ok=True)
    result = train(model, dataset, config, loss, folder, device=device, progress=progress)
    self_model = result.self_model.to("cpu")
    scores = quick_scores(self_model, dataset)
    scores |= {
        "train_cpu_s": round(result.cpu_s, 1),
        "train_wall_s": round(result.wall_s, 1),
        "render_cpu_s": round(max(rendering_s, dataset.seconds), 1),
        "gaussians": len(result.gaussians),
    }
    gaussians = dataclasses.replace(
        result.gaussians,
        about={
            "command": command,
            "scores": scores,
            "train": dataclasses.asdict(config),
            "loss": dataclasses.asdict(loss),
            "views": dataclasses.asdict(dataset.config),
        },
    )
    path = folder / FILE
    try:
        gaussians.save(path)
    except OSError as error:
        raise DiskError(
            f"cannot write {str(path)!r}: {error}; free some room and resume"
        ) from error
    save_picture(folder / PICTURE, self_model, dataset)
    return Product(path, gaussians, scores, self_model)


@torch.no_grad()
def predict(self_model: SelfModel, dataset: RobotDataset, number: int) -> tuple[Any, ...]:
    """Return the view, colours [H, W, 3] and alpha [H, W] that a model predicts for it."""
    view = dataset.view(number)
    posed = self_model.pose(torch.from_numpy(view.T_base_link), torch.from_numpy(view.q).float())
    rgb, alpha, _ = self_model.render(
        posed,
        torch.from_numpy(view.T_base_camera).float(),
        dataset.camera,
        torch.tensor(dataset.background),
    )
    return view, rgb, alpha


def quick_scores(
    self_model: SelfModel, dataset: RobotDataset, count: int = _QUICK_LOOK
) -> dict[str, float]:
    """Return mean PSNR (whole image and inside the robot, dB) and mask IoU over some test views."""
    numbers = dataset.views("test")
    if not len(numbers):
        return {}
    numbers = numbers[np.linspace(0, len(numbers) - 1, min(count, len(numbers))).astype(int)]
    psnr, inside, iou = [], [], []
    for number in numbers:
        view, rgb, alpha = predict(self_model, dataset, int(number))
        truth, mask = torch.from_numpy(view.rgb).float() / 255, torch.from_numpy(view.mask)
        psnr.append(metrics.psnr(rgb, truth))
        inside.append(metrics.psnr_inside(rgb, truth, mask))
        iou.append(metrics.iou(alpha, mask))
    return {
        "psnr": round(metrics.mean(psnr), 3),
        "psnr_inside": round(metrics.mean(inside), 3),
        "iou": round(metrics.mean(iou), 4),
        "test_views": len(numbers),
    }


def comparison(
    self_model: SelfModel, dataset: RobotDataset, numbers: list[int]
) -> NDArray[np.uint8]:
    """Return a picture: true, predicted and five times the difference, a column for each view."""
    columns = []
    for number in numbers:
        view, rgb, _ = predict(self_model, dataset, number)
        seen = (rgb.clamp(0, 1).numpy() * 255 + 0.5).astype(np.uint8)
        off = np.abs(seen.astype(int) - view.rgb).clip(0, 51) * 5
        columns.append(np.concatenate([view.rgb, seen, 255 - off.astype(np.uint8)]))
    return np.concatenate(columns, axis=1)


def save_picture(path: Path, self_model: SelfModel, dataset: RobotDataset) -> None:
    """Write `comparison` of four test views, or of training views where there are none."""
    from drrobot_ros.media import write_image

    numbers = dataset.views("test")
    numbers = numbers if len(numbers) else dataset.views("train")
    some = [int(n) for n in numbers[np.linspace(0, len(numbers) - 1, 4).astype(int)]]
    write_image(path, comparison(self_model, dataset, some))
