"""Second inverse rendering: meshes moved by cages until their picture is the given one."""

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from drrobot_ros.scene.appearance import Appearance, Target
from drrobot_ros.scene.cage import box_cage, mean_value_coordinates
from drrobot_ros.scene.renderer import RenderedScene, SceneTensors, render_scene, vertex_normals
from drrobot_ros.scene.types import Floats, Mesh

_RATE_M = 0.0006
#: Residuals: depth by its noise, coverage and colour as the first stage weighs them.
_DEPTH, _MASK, _COLOR = 100.0, 10.0, 1.0
#: Regularisers: bending of the surface and of the cage, volume; contact.
_LAPLACIAN, _CURVATURE, _VOLUME, _CONTACT, _STAY = 30.0, 0.6, 4.0, 40.0, 0.02
_ROOM = 0.15  # the cage is larger than its mesh by this part


def refine_meshes(
    meshes: list[Mesh],
    target: Target,
    looks: Appearance,
    plane: Floats,
    T_camera_plane: Floats,
    floor_m: Floats,
    cells: int,
    steps: int,
) -> tuple[list[Mesh], tuple[float, float]]:
    """Return the meshes, plane frame, moved by cages, and the loss before and after.

    Adam on the cages' vertices; residuals of rendered depth, coverage and colour; Laplacian, volume
    and curvature regularisers, no interpenetration, standing on the support.

    Args:
        meshes: in the plane's frame.
        target: the picture.
        looks: materials and light.
        plane: normal and offset [4], camera frame.
        T_camera_plane: [4, 4].
        floor_m: height of what each stands on [N].
        cells: of a cage along a side.
        steps: of Adam.
    """
    T = torch.as_tensor(T_camera_plane).float()
    weights, starts, rings = [], [], []
    for mesh in meshes:
        low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        room = _ROOM * (high - low).max()
        cage = box_cage(low - room, high + room, cells)
        weights.append(torch.as_tensor(mean_value_coordinates(cage, mesh.vertices)).float())
        starts.append(torch.as_tensor(mesh.vertices).float())
        rings.append(_edges(cage.faces))
    moves = [torch.zeros(w.shape[1], 3, requires_grad=True) for w in weights]
    edges = [_edges(mesh.faces) for mesh in meshes]
    volumes = [_volume(v, m) for v, m in zip(starts, meshes, strict=True)]
    faces = [mesh.faces for mesh in meshes]
    optimizer = torch.optim.Adam(moves, lr=_RATE_M, betas=(0.8, 0.95))
    ground = torch.as_tensor(plane).float()
    losses = []
    lit: Tensor | None = None
    for step in range(steps + 1):
        vertices = [s + w @ m for s, w, m in zip(starts, weights, moves, strict=True)]
        scene = SceneTensors(
            [v @ T[:3, :3].T + T[:3, 3] for v in vertices],
            faces,
            list(looks.albedo.unbind(0)),
            looks.roughness,
            ground,
            looks.plane_albedo,
            looks.light,
        )
        image = render_scene(scene, target.camera, lit=lit)
        lit = image.lit
        data = _data_loss(image, target)
        loss = data
        for i, v in enumerate(vertices):
            bend = _laplacian(v - starts[i], edges[i]) / 0.001
            curve = _laplacian(moves[i], rings[i]) / 0.001
            volume = torch.log(_volume(v, meshes[i]) / volumes[i])
            low = torch.relu(float(floor_m[i]) - v[:, 2]) / 0.001
            loss = loss + 1e-3 * _LAPLACIAN * (bend**2).mean()
            loss = loss + 1e-3 * _CURVATURE * (curve**2).mean() + _VOLUME * volume**2
            loss = loss + 1e-3 * _CONTACT * (low**2).mean()
            loss = loss + 1e-3 * _STAY * ((moves[i] / 0.001) ** 2).mean()
        loss = loss + 1e-3 * _CONTACT * _overlap(vertices, faces)
        losses.append((float(loss.detach()), [m.detach().clone() for m in moves]))
        if step == steps:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = min(losses, key=lambda item: item[0])
    out = []
    for start, weight, move, mesh in zip(starts, weights, best[1], meshes, strict=True):
        moved = mesh.vertices + (weight @ move).double().numpy()
        out.append(Mesh(moved, mesh.faces))
        del start
    return out, (losses[0][0], best[0])


def separated(meshes: list[Mesh], floor_m: Floats, rounds: int = 3) -> list[Mesh]:
    """Return the meshes without overlap, each standing on what carries it.

    Vertices inside another object are moved out by half; then the lowest vertex is put on the
    support, the lower part being stretched, not the whole being moved.
    """
    vertices = [mesh.vertices.copy() for mesh in meshes]
    for _ in range(rounds):
        for i in range(len(meshes)):
            for j in range(len(meshes)):
                if i == j or not _boxes_meet(vertices[i], vertices[j], 0.0):
                    continue
                depth, normal = _inside(vertices[i], vertices[j], meshes[j].faces)
                vertices[i] += 0.55 * depth[:, None] * normal
    out = []
    for points, mesh, floor in zip(vertices, meshes, floor_m, strict=True):
        top, low = points[:, 2].max(), points[:, 2].min()
        if top - low > 1e-6 and abs(low - floor) < 0.5 * (top - low):
            points[:, 2] = floor + (points[:, 2] - low) * (top - floor) / (top - low)
        out.append(Mesh(points, mesh.faces))
    return out


def deepest_overlap(meshes: list[Mesh]) -> float:
    """Return how deep a vertex of one mesh is inside another, m."""
    deepest = 0.0
    for i, a in enumerate(meshes):
        for j, b in enumerate(meshes):
            if i != j and _boxes_meet(a.vertices, b.vertices, 0.0):
                depth, _ = _inside(a.vertices, b.vertices, b.faces)
                deepest = max(deepest, float(depth.max()))
    return deepest


def _data_loss(image: RenderedScene, target: Target) -> Tensor:
    drawn = torch.as_tensor(image.owner >= 0)
    own = target.masks.sum(0).clamp(max=1) * (target.depth_m > 0) * drawn
    error = torch.sqrt((image.depth_m - target.depth_m) ** 2 + 1e-6).clamp(max=0.02)
    depth = (own * error).sum() / own.sum().clamp(min=1)
    mask = ((image.coverage - target.masks) ** 2).sum() / target.masks.sum().clamp(min=1)
    color = ((image.color - target.color).abs().mean(-1) * own).sum() / own.sum().clamp(min=1)
    return _DEPTH * depth + _MASK * mask + _COLOR * color


def _edges(faces: np.ndarray) -> Tensor:
    edge = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return torch.as_tensor(np.unique(np.sort(edge, axis=1), axis=0))


def _laplacian(values: Tensor, edges: Tensor) -> Tensor:
    """Return what each value [V, 3] differs from the mean of its neighbours."""
    a, b = edges[:, 0], edges[:, 1]
    total = torch.zeros_like(values).index_add(0, a, values[b]).index_add(0, b, values[a])
    ones = torch.ones(len(edges))
    count = torch.zeros(len(values)).index_add(0, a, ones).index_add(0, b, ones)
    return values - total / count.clamp(min=1)[:, None]


def _volume(vertices: Tensor, mesh: Mesh) -> Tensor:
    index = torch.as_tensor(mesh.faces)
    local = vertices - vertices.detach().mean(0)
    a, b, c = local[index[:, 0]], local[index[:, 1]], local[index[:, 2]]
    return ((torch.linalg.cross(a, b) * c).sum() / 6).clamp(min=1e-9)


def _overlap(vertices: list[Tensor], faces: list[np.ndarray]) -> Tensor:
    """Return the mean squared depth, in mm, of vertices inside other objects; gradients to both."""
    total = torch.zeros(())
    for i, a in enumerate(vertices):
        for j, b in enumerate(vertices):
            if i == j or not _boxes_meet(a.detach().numpy(), b.detach().numpy(), 0.0):
                continue
            _, near = KDTree(b.detach().numpy()).query(a.detach().numpy())
            normal = vertex_normals(b, faces[j])[near].detach()
            depth = torch.relu(((b[near] - a) * normal).sum(1))
            close = ((b[near] - a).detach() ** 2).sum(1) < 0.02**2
            total = total + ((depth * close / 0.001) ** 2).mean()
    return total


def _inside(points: Floats, other: Floats, faces: np.ndarray) -> tuple[Floats, Floats]:
    """Return how deep points are inside of a mesh [P] m, 0 outside, and the way out [P, 3]."""
    normals = vertex_normals(torch.as_tensor(other), faces).numpy()
    away, near = KDTree(other).query(points)
    depth = ((other[near] - points) * normals[near]).sum(1)
    return np.where(away < 0.02, np.maximum(depth, 0), 0), normals[near]


def _boxes_meet(a: Floats, b: Floats, gap: float) -> bool:
    return bool((a.min(0) < b.max(0) + gap).all() and (b.min(0) < a.max(0) + gap).all())
