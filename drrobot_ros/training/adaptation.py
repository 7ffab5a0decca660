"""Adapting a self-model to a real camera, from a few photos with known joints and camera pose.

A model of the robot knows its shape; its colours come from a drawing. Here each Gaussian gets the
albedo that the photos show, under one light for all, while each photo keeps an exposure of its own.
Gaussians that no photo shows take over the albedo of their neighbours on the link. What was behind
the robot is kept as well, where the camera stood still: then a whole image can be predicted.

Source: the light is that of `drrobot_ros.splats.lighting`; total variation over neighbours after
Rudin, Osher, Fatemi 1992; the robust loss is Cauchy's.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.splats import GaussianRobot, lighting


@dataclasses.dataclass(frozen=True)
class AdaptationConfig:
    """How albedo, light and exposure are fitted to photos."""

    width: int = setting(640, "photos are reduced to this width", unit="px", minimum=32)
    rounds: int = setting(20, "times every photo is looked at", minimum=1, maximum=10000)
    rate: float = setting(0.03, "of the albedo, per step", minimum=1e-4, maximum=1.0)
    noise: float = setting(
        0.05, "colour error that is ordinary; larger ones count ever less", minimum=1e-3, maximum=1
    )
    smoothness: float = setting(
        0.3, "pull of neighbouring Gaussians towards one albedo", minimum=0.0, maximum=100.0
    )
    light: bool = setting(True, "fit the light; else the albedo takes its place")
    border_px: int = setting(
        3, "pixels nearer the outline are not used: the pose is not that exact", minimum=0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class PosedPhoto:
    """A photo of the robot whose joints and camera are known.

    Attributes:
        image: [H, W, 3] uint8 RGB, rectified.
        camera: its intrinsics, of the same size.
        q: joint positions [nq], rad or m.
        T_base_camera: [4, 4].
        mask: [H, W], true where the robot is seen; None: where it is rendered.
    """

    image: NDArray[np.uint8]
    camera: PinholeCamera
    q: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    mask: NDArray | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.image.dtype != np.uint8 or self.image.shape != (*size, 3):
            raise InputError(
                f"image is {self.image.dtype} {list(self.image.shape)}; the camera says "
                f"uint8 {[*size, 3]}"
            )
        if self.mask is not None and self.mask.shape != size:
            raise InputError(f"mask is {list(self.mask.shape)}; the image is {list(size)}")


@dataclasses.dataclass(frozen=True, eq=False)
class Adapted:
    """A robot as one camera sees it.

    Attributes:
        gaussians: with new albedo and light.
        exposures: [photos, 3] gain per channel of each photo; they multiply to 1.
        seen: [N] whether any photo shows the Gaussian.
        error: mean absolute colour error inside the robot, 0..1, of the last round.
        error_before: that of the first rendering.
    """

    gaussians: GaussianRobot
    exposures: NDArray[np.float64]
    seen: NDArray[np.bool_]
    error: float
    error_before: float


def adapt(
    model: Any,
    gaussians: GaussianRobot,
    photos: Sequence[PosedPhoto],
    config: AdaptationConfig | None = None,
) -> Adapted:
    """Fit albedo, light and exposures to photos; shapes stay.

    Args:
        model: the robot.
        gaussians: trained or training-free; harmonics of the view direction are dropped.
        photos: at least one; five in different poses show most of an arm.
        config: settings.

    Raises:
        InputError: no photo, Gaussians of another robot, or the robot is in none of the photos.
    """
    if not photos:
        raise InputError("adaptation needs at least one photo")
    gaussians.check_matches(model)
    return _Fit(model, gaussians, photos, config or AdaptationConfig()).run()


class _Fit:
    def __init__(
        self,
        model: Any,
        gaussians: GaussianRobot,
        photos: Sequence[PosedPhoto],
        config: AdaptationConfig,
    ) -> None:
        self.model, self.photos, self.config = model, photos, config
        # Parts are told apart by what the photos show, not by what the drawing says.
        self.bare = dataclasses.replace(gaussians, sh=None, base_colors=None)
        self.targets = [_reduced(photo, config.width) for photo in photos]
        self.inner = [self._inner(i) for i in range(len(photos))]
        if not any(bool(inner.any()) for inner in self.inner):
            raise InputError("the robot is in none of the photos: check the camera pose")
        self.neighbours = _neighbours(gaussians)
        self.seen = self._seen()

    def run(self) -> Adapted:
        config = self.config
        n = len(self.photos)
        light = lighting.neutral(self.bare.means[0])
        albedo = self._first_albedo().requires_grad_(True)
        ambient = lighting.unpack(light)["ambient"][1:].clone().requires_grad_(config.light)
        exposure = torch.zeros(n, 3, requires_grad=n > 1)
        groups = [{"params": [albedo], "lr": config.rate}]
        if config.light:
            groups.append({"params": [ambient], "lr": 0.3 * config.rate})
        if n > 1:
            groups.append({"params": [exposure], "lr": 0.3 * config.rate})
        optimizer = torch.optim.Adam(groups)
        steps = config.rounds * n
        decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1 ** (1 / steps))
        errors: list[float] = []
        weight = torch.from_numpy(np.where(self.seen, 1.0, 0.05)).float()
        for step in range(steps):
            k = step % n
            gains = (exposure - exposure.mean(0)).exp()
            lit = self._lit(albedo, light, ambient)
            residual = self._residual(lit, k, gains[k])
            errors.append(float(residual.detach().abs().mean()))
            data = config.noise * torch.log1p((residual / config.noise).square()).sum()
            jumps = (albedo[:, None] - albedo[self.neighbours]).square().sum(-1)
            # A Gaussian that no photo shows has nothing but its neighbours to go by.
            smooth = (jumps + 1e-6).sqrt().mean(1) * 8
            loss = data + config.smoothness * (smooth / weight.clamp_min(0.2)).sum()
            loss = loss + 1e2 * (ambient.square().sum() + exposure.square().sum())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            decay.step()
            with torch.no_grad():
                albedo.clamp_(0.0, 1.0)
        with torch.no_grad():
            gains = (exposure - exposure.mean(0)).exp()
            result = self._lit(albedo, light, ambient)
        return Adapted(
            dataclasses.replace(
                result,
                colors=result.colors.detach().clone(),
                light=None if result.light is None else result.light.detach().clone(),
            ),
            gains.numpy().astype(np.float64),
            self.seen,
            float(np.mean(errors[-n:])),
            self._error_before(),
        )

    def _lit(self, albedo: Tensor, light: Tensor, ambient: Tensor) -> GaussianRobot:
        if not self.config.light:
            return dataclasses.replace(self.bare, colors=albedo, light=None)
        constant = lighting.unpack(light)["ambient"][:1]
        rest = light[9 * 3 :]
        full = torch.cat([constant.flatten(), ambient.flatten(), rest])
        return dataclasses.replace(self.bare, colors=albedo, light=full)

    def _render(self, gaussians: GaussianRobot, k: int) -> tuple[Tensor, Tensor]:
        photo, (target, camera) = self.photos[k], self.targets[k]
        rgb, alpha, _ = render_robot(
            self.model, gaussians, photo.q, photo.T_base_camera, camera, target
        )
        return rgb, alpha

    def _residual(self, gaussians: GaussianRobot, k: int, gain: Tensor) -> Tensor:
        rgb, _ = self._render(gaussians, k)
        inner = self.inner[k]
        return rgb[inner] * gain - self.targets[k][0][inner]

    @torch.no_grad()
    def _error_before(self) -> float:
        ones = torch.ones(3)
        plain = self.bare
        return float(
            torch.cat(
                [self._residual(plain, k, ones).abs() for k in range(len(self.photos))]
            ).mean()
        )

    @torch.no_grad()
    def _inner(self, k: int) -> Tensor:
        import cv2

        _, alpha = self._render(self.bare, k)
        inside = (alpha.numpy() > 0.95).astype(np.uint8)
        mask = self.photos[k].mask
        if mask is not None:
            size = (alpha.shape[1], alpha.shape[0])
            small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            inside &= (small > 0.5).astype(np.uint8)
        side = 2 * self.config.border_px + 1
        border = cv2.BORDER_REPLICATE  # the image's own edge is no outline
        eroded = cv2.erode(inside, np.ones((side, side), np.uint8), borderType=border)
        return torch.from_numpy(eroded.astype(bool))

    def _seen(self) -> NDArray[np.bool_]:
        total = torch.zeros(len(self.bare))
        for k in range(len(self.photos)):
            probe = self.bare.colors.clone().requires_grad_(True)
            rgb, _ = self._render(dataclasses.replace(self.bare, colors=probe, light=None), k)
            rgb[self.inner[k]].sum().backward()
            assert probe.grad is not None
            total += probe.grad.sum(1)
        return (total > 0.5).numpy()

    def _first_albedo(self) -> Tensor:
        """Return the median colour inside the robot, for every Gaussian."""
        pixels = [t[0][inner] for t, inner in zip(self.targets, self.inner, strict=True)]
        return torch.cat(pixels).median(0).values.expand(len(self.bare), 3).clone()


def _reduced(photo: PosedPhoto, width: int) -> tuple[Tensor, PinholeCamera]:
    import cv2

    width = min(width, photo.camera.width)
    height = max(1, round(photo.camera.height * width / photo.camera.width))
    small = cv2.resize(photo.image, (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small.astype(np.float32) / 255), photo.camera.resized(width, height)


def _neighbours(gaussians: GaussianRobot, count: int = 8) -> Tensor:
    """Return the nearest Gaussians [N, count] on the same link and side."""
    means = gaussians.means.detach().numpy()
    size = float(np.ptp(means, axis=0).max()) + 1.0
    link = gaussians.link_index.numpy()[:, None] * 10.0 * size
    side = 0.02 * gaussians.normals.detach().numpy()
    features = np.concatenate([means, link, side], axis=1)
    count = min(count, len(means) - 1)
    _, near = KDTree(features).query(features, k=count + 1)
    return torch.from_numpy(np.asarray(near).reshape(len(means), -1)[:, 1:].astype(np.int64))
