"""Appearance that changes with the joint positions: shadows, reflections, what light cannot say.

A network gives every Gaussian, from its canonical position and the pose, small changes of rotation,
size, opacity and colour. They are bounded, start at zero and are held near it by a penalty, so that
where the pose explains nothing the model stays as it was.

Source: Liu et al. 2024, "Differentiable Robot Rendering", the appearance deformation X(mu, p); the
bounds are ours.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.splats import harmonics
from drrobot_ros.splats.encoding import (
    fourier,
    fourier_size,
    load_tensors,
    make_network,
    whole_number,
)
from drrobot_ros.splats.gaussians import GaussianRobot

#: Largest change of each kind: rad, logarithm of the size, logit, colour, harmonics.
BOUNDS = {"rotvec": 0.3, "log_scale": 0.4, "opacity": 2.0, "color": 0.3, "sh": 0.1}
_SIZES = {
    "rotvec": 3,
    "log_scale": 3,
    "opacity": 1,
    "color": 3,
    "sh": 3 * harmonics.BEYOND_CONSTANT,
}
_LARGEST = {"joints": 4096, "hidden": 4096, "layers": 16, "frequencies": 16}


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """What is added to Gaussians in one pose.

    Attributes:
        rotvec: [N, 3] rotation before the Gaussian's own, in its axes at rest, rad.
        log_scale: [N, 3] of the logarithms of the sizes.
        opacity: [N] of the logits.
        color: [N, 3].
        sh: [N, 8, 3].
    """

    rotvec: Tensor
    log_scale: Tensor
    opacity: Tensor
    color: Tensor
    sh: Tensor


class AppearanceDeformation(nn.Module):
    """Changes of Gaussians as a function of canonical position and joint positions.

    Args:
        middle: [nq] joint positions that count as 0, rad or m.
        half_range: [nq] what counts as 1.
        center: [3] middle of the robot in the canonical configuration, base frame, m.
        extent: half its largest side, m.
        hidden: width of the network; the paper's is 256.
        layers: linear layers.
        frequencies: octaves of the encoding of positions.
    """

    middle: Tensor
    half_range: Tensor
    center: Tensor
    extent: Tensor
    bounds: Tensor

    def __init__(
        self,
        middle: Any,
        half_range: Any,
        center: Any,
        extent: float,
        hidden: int = 64,
        layers: int = 4,
        frequencies: int = 5,
    ) -> None:
        super().__init__()
        self.register_buffer("middle", torch.as_tensor(middle, dtype=torch.float32))
        self.register_buffer("half_range", torch.as_tensor(half_range, dtype=torch.float32))
        self.register_buffer("center", torch.as_tensor(center, dtype=torch.float32))
        self.register_buffer("extent", torch.tensor(float(extent)))
        bounds = torch.cat([torch.full((_SIZES[k],), BOUNDS[k]) for k in _SIZES])
        self.register_buffer("bounds", bounds, persistent=False)
        self.config: dict[str, int] = {
            "joints": len(self.middle),
            "hidden": hidden,
            "layers": layers,
            "frequencies": frequencies,
        }
        inputs = fourier_size(3, frequencies) + len(self.middle)
        self.network = make_network(inputs, hidden, layers, len(bounds))

    @classmethod
    def of(cls, model: Any, points: Tensor, **network: int) -> "AppearanceDeformation":
        """Return a deformation that changes nothing yet.

        Args:
            model: a `RobotModel`.
            points: [P, 3] on its surface in the canonical configuration, base frame, m.
            network: hidden, layers, frequencies.
        """
        lower, upper = np.asarray(model.lower, float), np.asarray(model.upper, float)
        known = np.isfinite(lower) & np.isfinite(upper) & (upper > lower)
        middle = np.where(known, 0.5 * (np.where(known, lower, 0) + np.where(known, upper, 0)), 0.0)
        half = np.where(
            known, 0.5 * (np.where(known, upper, 1) - np.where(known, lower, -1)), np.pi
        )
        low, high = points.amin(0), points.amax(0)
        extent = 0.5 * float((high - low).max())
        return cls(middle, half, 0.5 * (low + high), extent, **network)

    def forward(self, points: Tensor, q: Tensor) -> Change:
        """Return the changes of Gaussians at canonical points [N, 3] (m) for q [nq].

        Gradients flow to both and to the network.

        Raises:
            InputError: q has another size.
        """
        if q.shape != self.middle.shape:
            raise InputError(f"q must be [{len(self.middle)}], got {list(q.shape)}")
        x = fourier((points - self.center) / self.extent, self.config["frequencies"])
        pose = ((q.to(points) - self.middle) / self.half_range).clamp(-1.5, 1.5)
        raw = self.network(torch.cat([x, pose.expand(len(points), -1)], dim=-1))
        parts = dict(
            zip(_SIZES, (raw.tanh() * self.bounds).split(list(_SIZES.values()), -1), strict=True)
        )
        return Change(
            parts["rotvec"],
            parts["log_scale"],
            parts["opacity"][:, 0],
            parts["color"],
            parts["sh"].unflatten(-1, (harmonics.BEYOND_CONSTANT, 3)),
        )

    @classmethod
    def from_state(
        cls, config: Mapping[str, object], tensors: Mapping[str, Tensor]
    ) -> "AppearanceDeformation":
        """Return the deformation whose `config` and ``state_dict()`` these are.

        Raises:
            InputError: they do not fit each other.
        """
        sizes = {name: whole_number(config, name, 0, top) for name, top in _LARGEST.items()}
        joints = sizes.pop("joints")
        result = cls(torch.zeros(joints), torch.ones(joints), torch.zeros(3), 1.0, **sizes)
        load_tensors(result, tensors)
        return result


def penalty(change: Change) -> Tensor:
    """Return how large changes are: the mean square of each kind over its bound, summed."""
    parts = [getattr(change, name).square().mean() / BOUNDS[name] ** 2 for name in BOUNDS]
    return torch.stack(parts).sum()


def apply(gaussians: GaussianRobot, change: Change) -> GaussianRobot:
    """Return changed Gaussians, with neither networks nor gradients to their old shapes lost."""
    logit = torch.logit(gaussians.opacities.clamp(1e-6, 1 - 1e-6)) + change.opacity
    quats = so3.quat_multiply(so3.quat_exp(change.rotvec), gaussians.quats)
    return dataclasses.replace(
        gaussians,
        quats=nn.functional.normalize(quats, dim=-1),
        scales=gaussians.scales * change.log_scale.exp(),
        opacities=torch.sigmoid(logit),
        colors=(gaussians.colors + change.color).clamp(0, 1),
        sh=None if gaussians.sh is None else gaussians.sh + change.sh,
        modules={},
    )


@torch.no_grad()
def at(gaussians: GaussianRobot, q: Any) -> GaussianRobot:
    """Return a trained robot's Gaussians as they are at q: plain ones, which need no network.

    Args:
        gaussians: with a "deformation" among its modules, else it is returned as it is.
        q: joint positions [nq], rad or m.

    Raises:
        InputError: q has another size, or the modules are damaged.
    """
    stored = gaussians.modules.get("deformation")
    if stored is None:
        return gaussians
    try:
        tensors = dict(stored)
        text = bytes(tensors.pop("config_json").to(torch.uint8).numpy())
        config = json.loads(text)
        home = gaussians.modules["canonical"]["T"].to(gaussians.means)[gaussians.link_index]
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"the deformation of {gaussians.robot_name!r} is damaged") from error
    network = AppearanceDeformation.from_state(config, tensors)
    R = home[:, :3, :3]
    points = (R @ gaussians.means[:, :, None])[..., 0] + home[:, :3, 3]
    change = network(points, torch.as_tensor(np.asarray(q, np.float32)))
    if "rest" in gaussians.modules:
        # Skinned Gaussians lie in the axes of the base frame while they are trained.
        turned = (R.transpose(1, 2) @ change.rotvec[:, :, None])[..., 0]
        change = dataclasses.replace(change, rotvec=turned)
    return apply(gaussians, change)
