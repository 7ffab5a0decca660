"""A differentiable renderer of meshes on a plane: colour, depth and coverage.

Which triangle a pixel shows is found by a z-buffer; depth, normal and shading are then functions of
that triangle's corners, so that gradients reach vertices, materials and light. Coverage is soft
along the contour: a sigmoid of the distance to the contour's edges, as in Soft Rasterizer (Liu et
al., 2019), restricted to the edges of the silhouette.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.raster import triangle_ids
from drrobot_ros.scene.shading import LightTensors, encoded, shade

_SOFT_PX = 0.7
_BAND_PX = 3
_SHADOW_PX = 256
_SHADOW_BIAS_M = 0.004


@dataclasses.dataclass(frozen=True, eq=False)
class RenderedScene:
    """What the renderer gives.

    Attributes:
        color: [H, W, 3] 0..1 as a display wants it; 0 where there is nothing.
        depth_m: [H, W]; 0 where there is nothing.
        coverage: [N, H, W] 0..1 of each object, soft at its contour.
        owner: object of each pixel [H, W], -1 the plane or nothing.
        lit: where the light arrives [H W]; empty without colour.
    """

    color: Tensor
    depth_m: Tensor
    coverage: Tensor
    owner: NDArray[np.int64]
    lit: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class SceneTensors:
    """What is drawn, camera frame.

    Attributes:
        vertices: of each object [V, 3] m.
        faces: of each object [F, 3].
        albedo: of each object, [3] or of its vertices [V, 3], linear.
        roughness: [N].
        plane: [4] normal and offset.
        plane_albedo: [3] linear.
        light: of the scene.
    """

    vertices: list[Tensor]
    faces: list[NDArray[np.int64]]
    albedo: list[Tensor]
    roughness: Tensor
    plane: Tensor
    plane_albedo: Tensor
    light: LightTensors


def render_scene(
    scene: SceneTensors,
    camera: PinholeCamera,
    *,
    soft: bool = True,
    color: bool = True,
    lit: Tensor | None = None,
) -> RenderedScene:
    """Return colour, depth and coverage of a scene.

    Args:
        scene: what is drawn.
        camera: intrinsics.
        soft: coverage with gradients at the contour; else it is 0 or 1.
        color: whether to shade; else colour is 0.
        lit: of an earlier picture that was little different; None: shadows are cast anew.
    """
    points, faces, owner_of_face, vertex_albedo, of_vertex = _joined(scene)
    flat = points.detach().numpy().astype(np.float64)
    pixels = camera.project(points)
    ids = triangle_ids(
        pixels.detach().numpy().astype(np.float64), flat[:, 2], faces, camera.width, camera.height
    )
    owner = np.where(ids >= 0, owner_of_face[np.maximum(ids, 0)], -1)
    rays = _rays(camera, points.dtype)
    hit = torch.as_tensor(ids.ravel() >= 0)
    face = faces[ids.ravel()[ids.ravel() >= 0]]
    normals = vertex_normals(points, faces)
    depth_hit, part = _intersected(points[face], rays[hit])
    depth_plane = scene.plane[3] / (rays @ scene.plane[:3])
    on_plane = (depth_plane > 0.01) & (depth_plane < 5.0)
    depth = torch.where(on_plane, depth_plane, torch.zeros_like(depth_plane))
    depth = depth.index_put((hit.nonzero()[:, 0],), depth_hit)
    image = torch.zeros(len(rays), 3, dtype=points.dtype)
    if color:
        place = rays * depth[:, None]
        normal = scene.plane[:3].expand_as(place)
        turned = torch.nn.functional.normalize((normals[face] * part[..., None]).sum(1), dim=1)
        turned = turned * -torch.sign((turned.detach() * rays[hit]).sum(1, keepdim=True))
        normal = normal.index_put((hit.nonzero()[:, 0],), turned)
        albedo = scene.plane_albedo.expand_as(place)
        own = (vertex_albedo[face] * part[..., None]).sum(1)
        albedo = albedo.index_put((hit.nonzero()[:, 0],), own)
        rough = torch.full((len(rays),), 0.9, dtype=points.dtype)
        rough = rough.index_put(
            (hit.nonzero()[:, 0],), scene.roughness[torch.as_tensor(of_vertex[face[:, 0]])]
        )
        seen = hit | on_plane
        if lit is None:
            toward = scene.light.direction.detach().numpy()
            arrives = shadows(flat, faces, place.detach().numpy(), toward)
            lit = torch.as_tensor(arrives).to(points.dtype)
        view = -torch.nn.functional.normalize(rays, dim=1)
        colors = shade(albedo[seen], rough[seen], normal[seen], view[seen], lit[seen], scene.light)
        image = image.index_put((seen.nonzero()[:, 0],), encoded(colors))
    shape = (camera.height, camera.width)
    coverage = _coverage(scene, pixels, flat, faces, owner_of_face, owner, soft)
    lit = torch.zeros(0) if lit is None else lit
    return RenderedScene(image.reshape(*shape, 3), depth.reshape(shape), coverage, owner, lit)


def shadows(
    vertices: NDArray, faces: NDArray[np.int64], points: NDArray, direction: NDArray
) -> NDArray[np.float32]:
    """Return where directional light arrives at points [P, 3]: 1, or 0 behind a mesh."""
    z = -direction / max(float(np.linalg.norm(direction)), 1e-9)
    x = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
    x /= np.linalg.norm(x)
    turn = np.stack([x, np.cross(z, x), z])
    local = vertices @ turn.T
    low, high = local.min(0), local.max(0)
    scale = (_SHADOW_PX - 2) / max(float((high - low)[:2].max()), 1e-6)
    flat = (local[:, :2] - low[:2]) * scale + 1
    depth = local[:, 2] - low[2] + 1.0
    ids = triangle_ids(flat, depth, faces, _SHADOW_PX, _SHADOW_PX)
    first = np.where(ids >= 0, depth[faces[np.maximum(ids, 0)]].mean(-1), np.inf)
    there = points @ turn.T
    column, row = (((there[:, :2] - low[:2]) * scale + 1).astype(np.int64)).T
    inside = (column >= 0) & (row >= 0) & (column < _SHADOW_PX) & (row < _SHADOW_PX)
    found = first[np.clip(row, 0, _SHADOW_PX - 1), np.clip(column, 0, _SHADOW_PX - 1)]
    # A face's mean depth stands for it: it is off by half its length at most.
    bias = _SHADOW_BIAS_M + _longest(local, faces, ids, row, column)
    return np.where(inside & (there[:, 2] - low[2] + 1.0 > found + bias), 0.0, 1.0).astype(
        np.float32
    )


def vertex_normals(points: Tensor, faces: NDArray[np.int64]) -> Tensor:
    """Return outward normals [V, 3] of vertices [V, 3], weighted by the area of their faces."""
    index = torch.as_tensor(faces)
    a, b, c = points[index[:, 0]], points[index[:, 1]], points[index[:, 2]]
    normal = torch.cross(b - a, c - a, dim=1)
    total = torch.zeros_like(points)
    for k in range(3):
        total = total.index_add(0, index[:, k], normal)
    return torch.nn.functional.normalize(total, dim=1)


def _longest(
    local: NDArray,
    faces: NDArray[np.int64],
    ids: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> NDArray:
    span = np.ptp(local[faces][:, :, 2], axis=1)
    id_ = ids[np.clip(row, 0, _SHADOW_PX - 1), np.clip(column, 0, _SHADOW_PX - 1)]
    return np.where(id_ >= 0, 0.6 * span[np.maximum(id_, 0)], 0.0)


def _joined(
    scene: SceneTensors,
) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64], Tensor, NDArray[np.int64]]:
    counts = np.cumsum([0, *(len(v) for v in scene.vertices)])
    faces = np.concatenate([f + n for f, n in zip(scene.faces, counts[:-1], strict=True)])
    owner = np.repeat(np.arange(len(scene.faces)), [len(f) for f in scene.faces])
    of_vertex = np.repeat(np.arange(len(scene.vertices)), [len(v) for v in scene.vertices])
    albedo = [a.expand(len(v), 3) for a, v in zip(scene.albedo, scene.vertices, strict=True)]
    return torch.cat(scene.vertices), faces, owner, torch.cat(albedo), of_vertex


def _rays(camera: PinholeCamera, dtype: torch.dtype) -> Tensor:
    v, u = torch.meshgrid(
        torch.arange(camera.height, dtype=dtype) + 0.5,
        torch.arange(camera.width, dtype=dtype) + 0.5,
        indexing="ij",
    )
    pixels = torch.stack([u, v], dim=-1).reshape(-1, 2)
    return camera.unproject(pixels, torch.ones(len(pixels), dtype=dtype))


def _intersected(corners: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Return depth [P] and barycentric weights [P, 3] of rays with their triangles [P, 3, 3]."""
    a, b, c = corners.unbind(1)
    normal = torch.cross(b - a, c - a, dim=1)
    slope = (normal * rays).sum(1)
    slope = torch.where(slope.abs() > 1e-12, slope, torch.full_like(slope, 1e-12))
    depth = (normal * a).sum(1) / slope
    point = rays * depth[:, None]
    area = (normal**2).sum(1).clamp(min=1e-18)
    first = (torch.cross(c - b, point - b, dim=1) * normal).sum(1) / area
    second = (torch.cross(a - c, point - c, dim=1) * normal).sum(1) / area
    return depth, torch.stack([first, second, 1 - first - second], dim=1)


def _coverage(
    scene: SceneTensors,
    pixels: Tensor,
    points: NDArray,
    faces: NDArray[np.int64],
    owner_of_face: NDArray[np.int64],
    owner: NDArray[np.int64],
    soft: bool,
) -> Tensor:
    count = len(scene.vertices)
    hard = torch.stack([torch.as_tensor(owner == i) for i in range(count)]).to(pixels.dtype)
    if not soft:
        return hard
    import cv2

    a, b, c = (points[faces[:, k]] for k in range(3))
    front = (np.cross(b - a, c - a) * a).sum(1) < 0
    rows = []
    for i in range(count):
        own = faces[owner_of_face == i]
        edges = _contour(own, front[owner_of_face == i])
        mask = (owner == i).astype(np.uint8)
        square = np.ones((2 * _BAND_PX + 1,) * 2, np.uint8)
        band = np.asarray(cv2.dilate(mask, square)) != np.asarray(cv2.erode(mask, square))
        # Where another object is in front, the contour is that one's.
        others = np.asarray(cv2.dilate(((owner >= 0) & (owner != i)).astype(np.uint8), square))
        band &= others == 0
        if not band.any() or not len(edges):
            rows.append(hard[i])
            continue
        v, u = np.nonzero(band)
        at = torch.as_tensor(np.stack([u, v], 1) + 0.5).to(pixels.dtype)
        distance = _segment_distance(at, pixels, edges)
        sign = torch.as_tensor(np.where(mask[band] > 0, 1.0, -1.0)).to(pixels.dtype)
        place = (torch.as_tensor(v), torch.as_tensor(u))
        rows.append(hard[i].index_put(place, torch.sigmoid(sign * distance / _SOFT_PX)))
    return torch.stack(rows)


def _contour(faces: NDArray[np.int64], front: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the edges [E, 2] between a face that is turned to the camera and one that is not."""
    edge = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    side = np.tile(np.where(front, 1, -1), 3)
    edge = np.sort(edge, axis=1)
    unique, index = np.unique(edge[:, 0] * (faces.max() + 1) + edge[:, 1], return_inverse=True)
    both = np.bincount(index.ravel(), side, len(unique))
    twice = np.bincount(index.ravel(), minlength=len(unique)) == 2
    key = unique[(both == 0) & twice]
    return np.stack([key // (faces.max() + 1), key % (faces.max() + 1)], axis=1)


def _segment_distance(at: Tensor, pixels: Tensor, edges: NDArray[np.int64]) -> Tensor:
    """Return the distance of points [P, 2] to the nearest segment; gradients to that one's ends."""
    a, b = pixels[edges[:, 0]], pixels[edges[:, 1]]

    def distance(p: Tensor, a: Tensor, b: Tensor) -> Tensor:
        along = b - a
        t = ((p - a) * along).sum(-1) / (along**2).sum(-1).clamp(min=1e-12)
        gap = p - a - t.clamp(0, 1)[..., None] * along
        return torch.sqrt((gap**2).sum(-1) + 1e-12)

    with torch.no_grad():
        nearest = distance(at[:, None], a[None], b[None]).argmin(1)
    return distance(at, a[nearest], b[nearest])
