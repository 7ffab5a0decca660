"""Implicit linear blend skinning: which link moves a point, learned as a function of the point.

A network gives every canonical position weights over the robot's bodies; the point moves by the
weighted sum of their motions since the canonical configuration. Nothing tells it which link a
Gaussian came from.

Source: Liu et al. 2024, "Differentiable Robot Rendering", the implicit LBS; rotations blend as
quaternions of one sign, weighted and normalised (Kavan and Zara 2005).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.splats.encoding import (
    fourier,
    fourier_size,
    load_tensors,
    make_network,
    whole_number,
)

#: Networks no file may ask to exceed.
LARGEST = {"links": 4096, "bodies": 4096, "hidden": 4096, "layers": 16, "frequencies": 16}


def moving_bodies(model: Any, seed: int = 0) -> NDArray[np.int64]:
    """Return the links [B] of which none is rigidly fixed to another.

    Links that never move against each other cannot be told apart by motion; the first stands for
    them.
    """
    q = model.random_configuration(6, seed)
    T = model.forward_kinematics(q).numpy()
    inverse = np.linalg.inv(T)
    bodies: list[int] = []
    for link in range(T.shape[1]):
        relative = inverse[:, bodies] @ T[:, [link]]
        if not (np.abs(relative - relative[:1]).max((0, 2, 3), initial=0.0) < 1e-7).any():
            bodies.append(link)
    return np.array(bodies, np.int64)


class ImplicitSkinning(nn.Module):
    """Weights over bodies as a function of the canonical position.

    Args:
        links: number of the robot's links.
        bodies: links [B] that have weights, of `moving_bodies`.
        center: [3] middle of the robot in the canonical configuration, base frame, m.
        extent: half its largest side, m.
        hidden: width of the network; the paper's is 256.
        layers: linear layers; the paper's are 4.
        frequencies: octaves of the Fourier encoding.
    """

    body: Tensor
    center: Tensor
    extent: Tensor

    def __init__(
        self,
        links: int,
        bodies: Any,
        center: Any,
        extent: float,
        hidden: int = 128,
        layers: int = 4,
        frequencies: int = 8,
    ) -> None:
        super().__init__()
        self.register_buffer("body", torch.as_tensor(bodies, dtype=torch.int64))
        self.register_buffer("center", torch.as_tensor(center, dtype=torch.float32))
        self.register_buffer("extent", torch.tensor(float(extent)))
        self.config: dict[str, int] = {
            "links": int(links),
            "bodies": len(self.body),
            "hidden": hidden,
            "layers": layers,
            "frequencies": frequencies,
        }
        self.network = make_network(fourier_size(3, frequencies), hidden, layers, len(self.body))

    @classmethod
    def of(cls, model: Any, points: Tensor, **network: int) -> "ImplicitSkinning":
        """Return an untrained network for a robot.

        Args:
            model: a `RobotModel`.
            points: [P, 3] on its surface in the canonical configuration, base frame, m.
            network: hidden, layers, frequencies.
        """
        low, high = points.amin(0), points.amax(0)
        extent = 0.5 * float((high - low).max())
        bodies = moving_bodies(model)
        return cls(len(model.link_names), bodies, 0.5 * (low + high), extent, **network)

    def logits(self, points: Tensor) -> Tensor:
        """Return the logarithms of the weights [N, B], up to a constant, of points [N, 3]."""
        x = (points - self.center) / self.extent
        return self.network(fourier(x, self.config["frequencies"]))

    def weights(self, points: Tensor) -> Tensor:
        """Return the weights [N, B] of canonical points [N, 3]; each row sums to 1."""
        return self.logits(points).softmax(-1)

    @torch.no_grad()
    def sharpen(self, factor: float) -> None:
        """Multiply the logits by a factor, so that one body carries nearly all of the weight."""
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(factor)
        last.bias.mul_(factor)

    @torch.no_grad()
    def link_of(self, points: Tensor) -> Tensor:
        """Return the link [N] int64 with the largest weight at canonical points [N, 3]."""
        return self.body[self.logits(points).argmax(-1)]

    def forward(
        self, points: Tensor, T_canonical_now: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what moves canonical points: transforms [N, 3, 4] and rotations [N, 4] wxyz.

        Args:
            points: [N, 3] base frame in the canonical configuration, m.
            T_canonical_now: [L, 4, 4] ``T_base_link @ inverse(T_base_link in the canonical one)``.
            weights: of `weights`, where they are known; else they are computed. Gradients flow to
                all arguments and to the network.

        Raises:
            InputError: another number of links.
        """
        links = self.config["links"]
        if T_canonical_now.shape != (links, 4, 4):
            raise InputError(
                f"T_canonical_now must be [{links}, 4, 4], got {list(T_canonical_now.shape)}"
            )
        weights = self.weights(points) if weights is None else weights
        return blend(weights, T_canonical_now.index_select(0, self.body).to(points.dtype))

    @classmethod
    def from_state(
        cls, config: Mapping[str, object], tensors: Mapping[str, Tensor]
    ) -> "ImplicitSkinning":
        """Return the skinning whose `config` and ``state_dict()`` these are.

        Raises:
            InputError: they do not fit each other.
        """
        sizes = {name: whole_number(config, name, 0, top) for name, top in LARGEST.items()}
        count = sizes.pop("bodies")
        result = cls(sizes.pop("links"), torch.zeros(count), torch.zeros(3), 1.0, **sizes)
        load_tensors(result, tensors)
        body = result.body
        if count == 0 or int(body.min()) < 0 or int(body.max()) >= result.config["links"]:
            raise InputError(f"skinning: bodies must be among {result.config['links']} links")
        return result


def blend(weights: Tensor, motions: Tensor) -> tuple[Tensor, Tensor]:
    """Return blended transforms [N, 3, 4] and rotations [N, 4] wxyz, unit.

    Transforms blend linearly, which moves the centres; rotations as quaternions, since a weighted
    sum of rotation matrices is none.

    Args:
        weights: [N, B], rows sum to 1.
        motions: [B, 4, 4].
    """
    A = (weights @ motions[:, :3].flatten(1)).unflatten(1, (3, 4))
    turns = so3.matrix_to_quat(motions[:, :3, :3])
    # q and -q are one rotation: take the sign of the body that weighs most.
    sign = torch.where(turns[weights.argmax(-1)] @ turns.T < 0, -1.0, 1.0)
    turn = (weights * sign) @ turns
    return A, turn / turn.norm(dim=-1, keepdim=True).clamp_min(1e-8)
