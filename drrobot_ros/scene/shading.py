"""Light on a surface: a diffuse part and a GGX lobe."""

import dataclasses
import math

import torch
from torch import Tensor

_F0 = 0.04  # of what is not metal
GAMMA = 2.2


@dataclasses.dataclass(frozen=True, eq=False)
class LightTensors:
    """A directional light and light from everywhere, camera frame.

    Attributes:
        direction: [3] towards the light; need not be a unit vector.
        color: [3] linear.
        ambient: [3] linear.
    """

    direction: Tensor
    color: Tensor
    ambient: Tensor


def shade(
    albedo: Tensor,
    roughness: Tensor,
    normals: Tensor,
    view: Tensor,
    lit: Tensor,
    light: LightTensors,
) -> Tensor:
    """Return the linear colours [P, 3] of surface points.

    Lambert's law and the microfacet model of Walter et al., 2007, with Schlick's Fresnel term and
    Smith's shadowing; gradients to everything but `lit`.

    Args:
        albedo: [P, 3] linear.
        roughness: [P] 0..1; the lobe's width is its square.
        normals: [P, 3] unit, towards the camera.
        view: [P, 3] unit, towards the camera.
        lit: [P] 0..1 where the light arrives.
        light: of the scene.
    """
    to_light = torch.nn.functional.normalize(light.direction, dim=0)
    facing = (normals @ to_light).clamp(min=0)
    half = torch.nn.functional.normalize(to_light + view, dim=1)
    nh, nv = (normals * half).sum(1).clamp(0, 1), (normals * view).sum(1).clamp(0.05, 1)
    vh = (view * half).sum(1).clamp(0, 1)
    a2 = (roughness.clamp(0.1, 1) ** 4)[..., None]
    lobe = a2 / (math.pi * (nh[:, None] ** 2 * (a2 - 1) + 1) ** 2)
    k = 0.5 * a2.sqrt()
    hidden = (nv[:, None] * (1 - k) + k) * (facing[:, None] * (1 - k) + k)
    fresnel = (_F0 + (1 - _F0) * (1 - vh) ** 5)[:, None]
    gloss = 0.25 * lobe * fresnel / hidden
    arriving = (facing * lit)[:, None] * light.color
    return albedo * (light.ambient + arriving) + math.pi * gloss * arriving


def encoded(linear: Tensor) -> Tensor:
    """Return linear colours as a display wants them, 0..1."""
    return linear.clamp(1e-5, 1.0) ** (1 / GAMMA)
