"""Meshes drawn at full size without gradients: depth and which object a pixel shows."""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.raster import barycentric, triangle_ids
from drrobot_ros.scene.types import Floats


def drawn_depth(
    vertices: list[Floats], faces: list[NDArray[np.int64]], camera: PinholeCamera
) -> tuple[Floats, NDArray[np.int64]]:
    """Return depth [H, W] m, 0 where nothing is, and the object of each pixel [H, W], -1 for none.

    Args:
        vertices: of each object [V, 3], camera frame, m.
        faces: of each object [F, 3].
        camera: intrinsics.
    """
    counts = np.cumsum([0, *(len(v) for v in vertices)])
    every = np.concatenate(vertices)
    all_faces = np.concatenate([f + n for f, n in zip(faces, counts[:-1], strict=True)])
    owners = np.repeat(np.arange(len(faces)), [len(f) for f in faces])
    pixels = projected(every, camera)
    ids = triangle_ids(pixels, every[:, 2], all_faces, camera.width, camera.height)
    rows, columns = np.nonzero(ids >= 0)
    corner = all_faces[ids[rows, columns]]
    part, _ = barycentric(pixels[corner], np.stack([columns, rows], 1) + 0.5)
    depth = np.zeros(ids.shape)
    depth[rows, columns] = 1 / (part / every[corner][..., 2]).sum(1)
    return depth, np.where(ids >= 0, owners[np.maximum(ids, 0)], -1)


def projected(points: Floats, camera: PinholeCamera) -> Floats:
    """Return the pixels [..., 2] of points [..., 3], camera frame."""
    return (points @ camera.K[:2].T) / np.maximum(points[..., 2:], 1e-9)
