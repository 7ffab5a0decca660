"""First inverse rendering: layout, axes, materials and light of ellipsoids."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.ellipsoids import Ellipsoids, turned
from drrobot_ros.scene.renderer import RenderedScene, SceneTensors, render_scene
from drrobot_ros.scene.shading import GAMMA, LightTensors
from drrobot_ros.scene.types import Floats, Mask

#: Weights of Arriaga et al. 2026 for depth [m], masks and colours.
_DEPTH, _MASK, _COLOR = 30.0, 4.0, 2.0
_STAY_M, _STAY = 0.004, 0.08  # how far the evidence's own fit may be left
_RATES = {"place": 0.0006, "axes": 0.008, "turn": 0.01, "albedo": 0.06, "light": 0.04}
_DIRECTIONS = 9
_SHADOW_STEPS = 8  # so long shadows stay where they are
_PLANE_WEIGHT = 0.15


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """The picture at the size it is rendered.

    Attributes:
        color: [H, W, 3] 0..1.
        depth_m: [H, W]; 0 unknown.
        masks: [N, H, W].
        ground: pixels that show the plane [H, W].
        camera: intrinsics.
    """

    color: Tensor
    depth_m: Tensor
    masks: Tensor
    ground: Tensor
    camera: PinholeCamera


@dataclasses.dataclass(frozen=True, eq=False)
class Appearance:
    """Materials and light, camera frame.

    Attributes:
        albedo: [N, 3] linear.
        roughness: [N].
        plane_albedo: [3] linear.
        light: of the scene.
        color_error: mean absolute difference of colours on the objects, 0..1, before and after.
    """

    albedo: Tensor
    roughness: Tensor
    plane_albedo: Tensor
    light: LightTensors
    color_error: tuple[float, float]


def target_image(
    color: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    masks: Mask,
    ground: Mask,
    camera: PinholeCamera,
    width_px: int,
) -> Target:
    """Return the picture resized: all of it averaged over the pixels that become one.

    Inverse depth is what is averaged, linear on a plane; a pixel on an edge has none.
    """
    import cv2

    small = camera.scaled(min(1.0, width_px / camera.width))
    size = (small.width, small.height)

    def mean(image: NDArray) -> NDArray[np.float32]:
        resized = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.asarray(resized, np.float32)

    few = np.stack([mean(mask) for mask in masks])
    known = masks.any(0) & (depth_m > 0)
    share = mean(known)
    inverse = mean(np.where(known, 1 / np.maximum(depth_m, 1e-3), 0)) / np.maximum(share, 1e-6)
    near = mean(np.where(known, 1 / np.maximum(depth_m, 1e-3) ** 2, 0)) / np.maximum(share, 1e-6)
    flat = np.sqrt(np.maximum(near - inverse**2, 0)) < 0.01 * inverse
    whole = (few.max(0) > 0.95) & (share > 0.6) & flat
    depth = np.where(whole, 1 / np.maximum(inverse, 1e-6), 0).astype(np.float32)
    color_t = torch.as_tensor(mean(color) / 255)
    depth_t, masks_t = torch.as_tensor(depth), torch.as_tensor(few)
    return Target(color_t, depth_t, masks_t, torch.as_tensor(mean(ground)), small)


def refine(
    found: Ellipsoids,
    target: Target,
    plane: Floats,
    T_camera_plane: Floats,
    floor_m: Tensor,
    steps: int,
) -> tuple[Ellipsoids, Appearance]:
    """Return ellipsoids, materials and light whose picture is the given one.

    Adam on the rendered colour, depth and coverage; light starts from the best of some directions.

    Args:
        found: ellipsoids to start from, plane frame.
        target: the picture.
        plane: normal and offset [4], camera frame.
        T_camera_plane: [4, 4].
        floor_m: height of what each stands on [N].
        steps: of Adam.
    """
    import trimesh

    ball = trimesh.creation.icosphere(2)
    sphere = torch.as_tensor(np.asarray(ball.vertices)).float()
    faces = np.asarray(ball.faces, np.int64)
    count = len(found.axes)
    T = torch.as_tensor(T_camera_plane).float()
    centers, axes, R = (v.float() for v in (found.centers, found.axes, found.rotations))
    ground = torch.as_tensor(plane).float()
    start = _albedo(target)
    x = {
        "place": torch.zeros(count, 3),
        "axes": torch.zeros(count, 3),
        "turn": torch.zeros(count, 3),
        "albedo": torch.cat([start, torch.full((count + 1, 1), 0.5)], dim=1).clamp(0.02, 0.98),
    }
    x["albedo"] = torch.logit(x["albedo"])

    def drawn(
        light: Tensor, lit: Tensor | None = None, soft: bool = True
    ) -> tuple[RenderedScene, Tensor, LightTensors]:
        half = axes * x["axes"].exp()
        turn = R @ turned(x["turn"])
        center = centers + x["place"]
        points = center[:, None] + (sphere * half[:, None]) @ turn.transpose(1, 2)
        lowest = center[:, 2] - torch.sqrt(((turn[:, 2] * half) ** 2).sum(1))
        seen = points @ T[:3, :3].T + T[:3, 3]
        surface = torch.sigmoid(x["albedo"])
        lamp = LightTensors(light[:3], light[3:6].exp(), light[6:9].exp())
        scene = SceneTensors(
            list(seen.unbind(0)),
            [faces] * count,
            list(surface[:-1, :3].unbind(0)),
            surface[:-1, 3],
            ground,
            surface[-1, :3],
            lamp,
        )
        return render_scene(scene, target.camera, soft=soft, lit=lit), lowest, lamp

    with torch.no_grad():
        starts = _lights(ground)
        errors = [float(_color_loss(drawn(light, soft=False)[0], target)) for light in starts]
    x["light"] = starts[int(np.argmin(errors))].clone()
    before = min(errors)
    for value in x.values():
        value.requires_grad_()
    groups = [{"params": [value], "lr": _RATES[name]} for name, value in x.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.85, 0.97))
    lit: Tensor | None = None
    for step in range(steps):
        optimizer.zero_grad()
        image, lowest, _ = drawn(x["light"], lit if step % _SHADOW_STEPS else None)
        lit = image.lit
        loss = _COLOR * _color_loss(image, target) + _shape_loss(image, target)
        stay = (x["place"] / _STAY_M) ** 2 + (x["axes"] / _STAY) ** 2 + (x["turn"] / _STAY) ** 2
        rest = ((lowest - floor_m.float()) / 0.002) ** 2
        bright = (x["light"][3:] + 0.7) ** 2
        loss = loss + 0.002 * stay.sum(1).mean() + 0.002 * rest.mean() + 0.01 * bright.mean()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] *= 0.985 if step > steps // 3 else 1.0
        optimizer.step()
    with torch.no_grad():
        image, _, lamp = drawn(x["light"])
        after = float(_color_loss(image, target))
        surface = torch.sigmoid(x["albedo"])
        better = Ellipsoids(
            (centers + x["place"]).double(),
            (axes * x["axes"].exp()).double(),
            (R @ turned(x["turn"])).double(),
            found.cost,
        )
    lamp = LightTensors(lamp.direction.detach(), lamp.color.detach(), lamp.ambient.detach())
    looks = Appearance(surface[:-1, :3], surface[:-1, 3], surface[-1, :3], lamp, (before, after))
    return better, looks


def plain_appearance(target: Target, plane: Floats) -> Appearance:
    """Return what is known without rendering: mean colours, and light from everywhere."""
    start = _albedo(target)
    direction = torch.as_tensor(plane[:3]).float()
    lamp = LightTensors(direction, torch.full((3,), 1e-3), torch.ones(3))
    nothing = (float("nan"), float("nan"))
    return Appearance(start[:-1], torch.full((len(start) - 1,), 0.8), start[-1], lamp, nothing)


def _albedo(target: Target) -> Tensor:
    """Return the mean linear colours [N + 1, 3] of objects and plane."""
    linear = target.color**GAMMA
    rows = []
    for area in [*target.masks, target.ground]:
        weight = area[..., None]
        rows.append((linear * weight).sum((0, 1)) / weight.sum().clamp(min=1))
    return torch.stack(rows).clamp(0.01, 0.99)


def _lights(ground: Tensor) -> list[Tensor]:
    """Return lights to start from: directions above the plane, of two strengths."""
    i = torch.arange(_DIRECTIONS) + 0.5
    height = 1 - 0.65 * i / _DIRECTIONS
    angle = i * 2.399963
    flat = torch.sqrt(1 - height**2)
    local = torch.stack([flat * angle.cos(), flat * angle.sin(), height], dim=1)
    normal = ground[:3]
    x = torch.linalg.cross(normal, torch.eye(3)[int(normal.abs().argmin())])
    x = torch.nn.functional.normalize(x, dim=0)
    frame = torch.stack([x, torch.linalg.cross(normal, x), normal], dim=1)
    lights = []
    for direction in local @ frame.T:
        for strength, ambient in ((0.7, 0.45), (0.35, 0.7)):
            levels = torch.tensor([strength] * 3 + [ambient] * 3).log()
            lights.append(torch.cat([direction, levels]))
    return lights


def _color_loss(image: RenderedScene, target: Target) -> Tensor:
    weight = target.masks.sum(0).clamp(max=1) + _PLANE_WEIGHT * target.ground
    error = torch.sqrt((image.color - target.color) ** 2 + 1e-4).mean(-1)
    return (weight * error).sum() / weight.sum().clamp(min=1)


def _shape_loss(image: RenderedScene, target: Target) -> Tensor:
    own = target.masks.sum(0) * (target.depth_m > 0) * torch.as_tensor(image.owner >= 0)
    error = torch.sqrt((image.depth_m - target.depth_m) ** 2 + 1e-6).clamp(max=0.05)
    depth = (own * error).sum() / own.sum().clamp(min=1)
    mask = ((image.coverage - target.masks) ** 2).sum() / target.masks.sum().clamp(min=1)
    return _DEPTH * depth + _MASK * mask
