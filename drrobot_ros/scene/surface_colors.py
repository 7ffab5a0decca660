"""Colours of meshes' vertices: the picture's, with the light taken out."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.appearance import Appearance
from drrobot_ros.scene.drawing import projected
from drrobot_ros.scene.renderer import shadows, vertex_normals
from drrobot_ros.scene.shading import GAMMA
from drrobot_ros.scene.types import Floats, Mask


def surface_colors(
    color: NDArray[np.uint8],
    masks: Mask,
    owner: NDArray[np.int64],
    vertices: list[Floats],
    faces: list[NDArray[np.int64]],
    looks: Appearance,
    camera: PinholeCamera,
) -> list[Floats]:
    """Return the linear albedo of each object's vertices [V, 3].

    Where a vertex is seen it is the pixel's colour divided by the light that arrives; elsewhere
    that of the seen vertex that lies nearest across the object.

    Args:
        color: [H, W, 3] RGB.
        masks: [N, H, W].
        owner: object drawn at each pixel [H, W].
        vertices: of each object [V, 3], camera frame.
        faces: of each object [F, 3].
        looks: materials and light, camera frame.
        camera: intrinsics.
    """
    import cv2

    linear = (np.asarray(cv2.blur(color, (3, 3))) / 255.0) ** GAMMA
    lamp = looks.light
    toward = lamp.direction.double().numpy()
    toward = toward / np.linalg.norm(toward)
    strength, ambient = lamp.color.double().numpy(), lamp.ambient.double().numpy()
    counts = np.cumsum([0, *(len(v) for v in vertices)])
    joined = np.concatenate(vertices)
    every = np.concatenate([f + n for f, n in zip(faces, counts[:-1], strict=True)])
    out = []
    for i, points in enumerate(vertices):
        normals = vertex_normals(torch.as_tensor(points), faces[i]).numpy()
        pixels = projected(points, camera).astype(np.int64)
        column = np.clip(pixels[:, 0], 0, camera.width - 1)
        row = np.clip(pixels[:, 1], 0, camera.height - 1)
        facing = (normals * points).sum(1) < -0.25 * np.linalg.norm(points, axis=1)
        # At the rim the picture mixes with what is behind.
        inner = np.asarray(cv2.erode(masks[i].astype(np.uint8), np.ones((5, 5), np.uint8))) > 0
        seen = facing & inner[row, column] & (owner[row, column] == i)
        mean = looks.albedo[i].double().numpy()
        if seen.sum() < 5:
            out.append(np.tile(mean, (len(points), 1)))
            continue
        lit = shadows(joined, every, points[seen], toward)
        falling = np.maximum(normals[seen] @ toward, 0) * lit
        arriving = ambient + falling[:, None] * strength
        albedo = np.clip(linear[row, column][seen] / np.maximum(arriving, 0.05), 0.0, 1.0)
        _, near = KDTree(points[seen]).query(points)
        out.append(albedo[near])
    return out
