"""The light a self-model was trained in: how much of its albedo each side of a link shows.

What a robot's surface shows depends on how it stands to the light, and a link turns: a constant
colour per Gaussian cannot follow that, and harmonics of the view direction cannot either. So the
colour is ``albedo * irradiance(normal) + gloss``, with the normal in the base frame: an environment
of degree 2 (Ramamoorthi and Hanrahan, 2001), one distant lamp and one lamp at the camera
(Lambert), each with a glossy lobe (Blinn, 1977). All of it is one vector of numbers.
"""

import math

import torch
from torch import Tensor

from drrobot_ros.splats import harmonics

_PARTS = {
    "ambient": (9, 3),  # constant first, then the harmonics of degrees 1 and 2
    "head": (2, 3),  # times n.v and its square
    "lamp": (3,),
    "toward_lamp": (3,),  # of any length but 0
    "lamp_gloss": (3,),
    "head_gloss": (3,),
    "sharpness": (2,),  # logarithms of the exponents of both lobes
}
#: Numbers in a light.
SIZE = sum(math.prod(shape) for shape in _PARTS.values())


def neutral(like: Tensor | None = None) -> Tensor:
    """Return a light [SIZE] under which everything shows its albedo."""
    light = torch.zeros(SIZE) if like is None else torch.zeros_like(like[..., :1]).expand(SIZE)
    light = light.clone()
    parts = unpack(light)
    parts["ambient"][0] = 1.0
    parts["toward_lamp"][2] = 1.0
    parts["sharpness"].fill_(3.0)
    return light


def unpack(light: Tensor) -> dict[str, Tensor]:
    """Return the parts of a light [SIZE] by name, as views of it."""
    parts, start = {}, 0
    for name, shape in _PARTS.items():
        size = math.prod(shape)
        parts[name] = light[start : start + size].view(shape)
        start += size
    return parts


def shade(light: Tensor, normals: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the albedo is multiplied with and what is added [..., 3] each.

    Args:
        light: [SIZE].
        normals: [..., 3] unit, outward, base frame.
        views: [..., 3] unit, from the camera towards the surface, base frame.

    Gradients flow to all three.
    """
    p = unpack(light)
    to_eye = -views
    facing = (normals * to_eye).sum(-1, keepdim=True).clamp(min=0)
    lamp = p["toward_lamp"] / p["toward_lamp"].norm().clamp(min=1e-6)
    lit = (normals @ lamp)[..., None].clamp(min=0)
    half = torch.nn.functional.normalize(lamp + to_eye, dim=-1)
    across = (normals * half).sum(-1, keepdim=True).clamp(min=1e-3)
    sharp = p["sharpness"].clamp(max=5.5).exp()
    multiply = (
        p["ambient"][0]
        + harmonics.basis(normals) @ p["ambient"][1:]
        + lit * p["lamp"]
        + facing * p["head"][0]
        + facing * facing * p["head"][1]
    )
    add = (across ** sharp[0] * (lit > 0)) * p["lamp_gloss"]
    add = add + facing.clamp(min=1e-3) ** sharp[1] * p["head_gloss"]
    return multiply, add
