"""Robots in a light in which their poses can be told: black hands are else black spots."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

#: Towards the light, camera frame: from above and from the left, beside the camera.
_TOWARDS = (-0.45, -0.6, -0.66)
_AMBIENT = 0.35
_MIN_BRIGHTNESS = 0.6


class LitRobot:
    """A robot's splats, made bright enough and lit from beside the camera (Lambert).

    It is drawn as the splats are (`rendering.robot.render_robot`); only the colours differ.

    Args:
        gaussians: a `GaussianRobot`; everything but its colours is passed through.
        color: [3] 0..1 of all of it, instead of its own; None: its own.
    """

    def __init__(self, gaussians: Any, color: Sequence[float] | None = None) -> None:
        self._gaussians = gaussians
        if color is not None:
            self.colors = torch.tensor(color).expand_as(gaussians.colors)
            return
        base = gaussians.colors.detach().clamp(1e-3, 1)
        mean = float(base.mean(1).median())
        # A power keeps black from staying black and white from being cut off.
        power = min(1.0, float(torch.log(torch.tensor(_MIN_BRIGHTNESS))) / _log(mean))
        self.colors = base**power

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gaussians, name)

    def seen_colors(self, T_base_link: Tensor, T_base_camera: Tensor) -> Tensor:
        """Return the colours [N,3] at poses of the links [L,4,4], seen by a camera [4,4]."""
        turn = T_base_link.index_select(0, self._gaussians.link_index)[:, :3, :3]
        normals = (turn @ self._gaussians.normals[:, :, None].to(turn))[..., 0]
        towards = T_base_camera[:3, :3].to(turn) @ torch.tensor(_TOWARDS).to(turn)
        shade = _AMBIENT + (1 - _AMBIENT) * torch.relu(normals @ towards)
        return self.colors.to(shade) * shade[:, None]


def _log(x: float) -> float:
    return float(torch.log(torch.tensor(min(max(x, 1e-3), 0.999))))
