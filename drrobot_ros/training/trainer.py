"""Training of a robot's self-model from rendered views."""

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from drrobot_ros.errors import InputError
from drrobot_ros.splats import GaussianRobot, lighting
from drrobot_ros.splats.deformation import penalty
from drrobot_ros.training import metrics
from drrobot_ros.training.checkpoint import load_checkpoint, save_checkpoint
from drrobot_ros.training.config import TrainConfig
from drrobot_ros.training.curves import Curves
from drrobot_ros.training.dataset import RobotDataset
from drrobot_ros.training.density import Density
from drrobot_ros.training.losses import LossConfig, image_loss
from drrobot_ros.training.networks import add_networks
from drrobot_ros.training.optimizer import Optimizer
from drrobot_ros.training.self_model import Posed, SelfModel
from drrobot_ros.training.views import Order, TrainingView, load_views

CHECKPOINT = "checkpoint.npz"
CURVES = "curves.csv"


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult:
    """A trained self-model.

    Attributes:
        gaussians: what is saved and tracked with.
        self_model: the same with its networks.
        steps: done in all.
        cpu_s: CPU time of this run, loading of the views apart.
        wall_s: its time.
    """

    gaussians: GaussianRobot
    self_model: SelfModel
    steps: int
    cpu_s: float
    wall_s: float


def train(
    model: Any,
    dataset: RobotDataset,
    config: TrainConfig | None = None,
    loss: LossConfig | None = None,
    folder: str | Path | None = None,
    *,
    device: str = "cpu",
    start: GaussianRobot | None = None,
    until: int | None = None,
    progress: bool = True,
) -> TrainResult:
    """Train a self-model; a training that was stopped goes on from its last checkpoint.

    The same settings, views and number of torch threads give the same result bit by bit on a CPU,
    stopped or not.

    Args:
        model: the RobotModel.
        dataset: views of it.
        config: size, parts, steps and rates.
        loss: weights of the losses.
        folder: for checkpoint and curves; None: neither.
        device: "cpu" or "cuda".
        start: Gaussians to start from; None: sampled on the meshes.
        until: stop after this many steps, as if interrupted; None: all.
        progress: show a bar.

    Raises:
        InputError: the dataset or the checkpoint is of another robot or other settings.
        DiskError: the disk is full; the last checkpoint is whole.
        BackendError: no rasterizer for the device.
    """
    run = _Run(model, dataset, config or TrainConfig(), loss or LossConfig(), device, start)
    return run.go(None if folder is None else Path(folder), until, progress)


class _Run:
    def __init__(
        self,
        model: Any,
        dataset: RobotDataset,
        config: TrainConfig,
        loss: LossConfig,
        device: str,
        start: GaussianRobot | None,
    ) -> None:
        dataset.check_matches(model)
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError("device 'cuda' asked for, but torch finds no GPU; valid here: cpu")
        self.dataset, self.config, self.loss = dataset, config, loss
        self.device = torch.device(device)
        numbers = dataset.views("train")
        self.views = load_views(dataset, list(numbers), self.device, loss.depth > 0)
        unseen = list(dataset.views("validation"))
        self.unseen = load_views(dataset, unseen, self.device, False) if unseen else []
        self.started, self.cpu_started = time.perf_counter(), time.process_time()
        if start is None:
            start = GaussianRobot.from_model(model, config.count, config.seed)
        start.check_matches(model)
        self.model = self._make_model(model, start).to(self.device)
        scenes = 1 + int(dataset.scene.max(initial=0))
        extra = {}
        if scenes > 1 and config.light:
            lights = self.model.light.detach().repeat(scenes, 1)
            extra["scene_lights"] = nn.Parameter(lights)
        spacing = float(start.scales.max(dim=1).values.mean())
        self.optimizer = Optimizer(self.model, config, spacing, extra)
        self.density = Density(self.model, config)
        neutral = model.neutral().float()
        first = [
            i for i, v in enumerate(self.views) if torch.allclose(v.q.cpu(), neutral, atol=1e-6)
        ]
        self.order = Order(
            first,
            int(config.canonical_share * config.steps),
            len(self.views),
            config.seed,
        )
        self.white = torch.tensor(dataset.background, device=self.device)
        self.identity = {
            "robot": model.name,
            "links": list(model.link_names),
            "surface": _digest(start),
            "views": _digest_views(dataset),
            "settings": dataclasses.asdict(config),
            "losses": dataclasses.asdict(loss),
        }

    def _make_model(self, model: Any, start: GaussianRobot) -> SelfModel:
        config = self.config
        T = model.forward_kinematics(model.neutral()).float()
        plain = SelfModel(start, T, use_sh=config.sh, use_light=config.light)
        if config.skinning == "rigid" and not config.deformation:
            return plain
        return add_networks(plain, start, model, self.dataset, config)

    def go(self, folder: Path | None, until: int | None, progress: bool) -> TrainResult:
        config = self.config
        curves = Curves(None if folder is None else folder / CURVES)
        step, recent = 0, 0.0
        if folder is not None and (folder / CHECKPOINT).is_file():
            step, state = load_checkpoint(folder / CHECKPOINT, self.identity)
            try:
                self.optimizer.restore(state)
                self.density.restore(state)
                recent = float(state["loss"])
            except (KeyError, ValueError) as error:
                raise InputError(
                    f"the checkpoint in {str(folder)!r} is damaged: {error}"
                ) from error
            curves.truncate(step)
        last = config.steps if until is None else min(until, config.steps)
        bar = tqdm(total=config.steps, initial=step, desc="training", disable=not progress)
        with bar, curves:
            while step < last:
                recent = 0.95 * recent + 0.05 * self._learn(step)
                step += 1
                bar.update()
                if step % config.validate_every == 0 or step == config.steps:
                    scores = self.validate()
                    curves.write(
                        step=step,
                        loss=recent,
                        gaussians=len(self.model),
                        cpu_s=time.process_time() - self.cpu_started,
                        **scores,
                    )
                    bar.set_postfix(psnr=f"{scores['psnr']:.2f}", n=len(self.model))
                due = step % config.checkpoint_every == 0 or step == last
                if folder is not None and due:
                    state = {**self.optimizer.state(), **self.density.state()}
                    state["loss"] = torch.tensor(recent, dtype=torch.float64)
                    save_checkpoint(folder / CHECKPOINT, step, self.identity, state)
        self._take_light()
        cpu_s, wall_s = time.process_time() - self.cpu_started, time.perf_counter() - self.started
        return TrainResult(self.model.to_gaussians(), self.model, step, cpu_s, wall_s)

    def _learn(self, step: int) -> float:
        config = self.config
        view = self.views[self.order[step]]
        # Spread evenly, known from the step alone.
        if (step * config.half_share) % 1.0 + config.half_share >= 1.0 and min(
            view.rgb.shape[:2]
        ) >= 8:
            view = view.halved()
        # The deformation starts when the rest explains what it can.
        deforms = step >= config.deformation_from * config.steps
        posed = self.model.pose(view.T_base_link, view.q, deforms)
        rgb, alpha, depth = self._render(posed, view, self.loss.depth > 0)
        target = view.rgb.float() / 255
        value = image_loss(self.loss, rgb, alpha, depth, target, view.mask.float(), view.depth_m)
        if posed.change is not None and self.loss.deformation:
            value = value + self.loss.deformation * penalty(posed.change)
        (value * view.share).backward()
        if step < self.density.last:
            self.density.gather(self.model, view.distance_m)
        self.optimizer.step(step / config.steps)
        if self.density.due(step + 1):
            self.density.change(self.optimizer)
        return float(value.detach())

    def _render(self, posed: Posed, view: TrainingView, depth: bool) -> Any:
        lights = self.optimizer.extra.get("scene_lights")
        return self.model.render(
            posed,
            view.T_base_camera,
            view.camera,
            self.white,
            depth,
            view.box,
            None if lights is None else lights[view.scene],
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return PSNR over the whole image and mask IoU on views of unseen poses."""
        if not self.unseen:
            return {"psnr": float("nan"), "iou": float("nan")}
        psnr, iou = [], []
        for view in self.unseen:
            posed = self.model.pose(view.T_base_link, view.q)
            rgb, alpha, _ = self._render(posed, view, False)
            error = (rgb.clamp(0, 1) - view.rgb.float() / 255).square().mean() * view.share
            psnr.append(-10 * float(torch.log10(error.clamp(min=1e-10))))
            iou.append(metrics.iou(alpha, view.mask))
        return {"psnr": float(np.mean(psnr)), "iou": float(np.mean(iou))}

    def _take_light(self) -> None:
        """Of many lights, keep the mean as the model's own."""
        lights: Tensor | None = self.optimizer.extra.get("scene_lights")
        if lights is not None:
            with torch.no_grad():
                self.model.light.copy_(lights.mean(dim=0))
                assert len(self.model.light) == lighting.SIZE


def _digest(gaussians: GaussianRobot) -> str:
    h = hashlib.sha256()
    for tensor in (gaussians.means, gaussians.colors):
        h.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return h.hexdigest()[:16]


def _digest_views(dataset: RobotDataset) -> str:
    h = hashlib.sha256(repr(dataset.config).encode())
    h.update(dataset.q.tobytes() + dataset.T_base_camera.tobytes())
    return h.hexdigest()[:16]
