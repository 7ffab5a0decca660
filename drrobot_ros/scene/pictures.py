"""Pictures of what each stage found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.drawing import projected
from drrobot_ros.scene.ellipsoids import Ellipsoids
from drrobot_ros.scene.raster import triangle_ids
from drrobot_ros.scene.types import Floats, Mask, Scene, transformed

Image = NDArray[np.uint8]
PALETTE = np.array(
    [
        (230, 85, 60),
        (50, 130, 200),
        (90, 175, 80),
        (235, 180, 40),
        (150, 95, 180),
        (60, 185, 185),
        (225, 120, 175),
        (140, 110, 80),
    ],
    np.uint8,
)


def color_of(i: int) -> tuple[int, int, int]:
    """Return the colour that object i has in all pictures."""
    r, g, b = PALETTE[i % len(PALETTE)]
    return int(r), int(g), int(b)


def masks(color: Image, found: Mask, boxes: Floats, hidden: Mask | None = None) -> Image:
    """Return the image with masks and boxes; the robot's pixels darker."""
    import cv2

    out = color.copy()
    if hidden is not None:
        out[hidden] //= 2
    for i, (mask, box) in enumerate(zip(found, boxes, strict=True)):
        tint = np.array(color_of(i))
        out[mask] = (0.5 * out[mask] + 0.5 * tint).astype(np.uint8)
        x1, y1, x2, y2 = (int(v) for v in box)
        cv2.rectangle(out, (x1, y1), (x2 - 1, y2 - 1), color_of(i), 1)
    return out


def ellipsoids(color: Image, found: Ellipsoids, T_plane_camera: Floats, camera: Any) -> Image:
    """Return the image with the ellipsoids' outlines and axes."""
    import cv2
    import trimesh

    out = color.copy()
    T = np.linalg.inv(T_plane_camera)
    sphere = np.asarray(trimesh.creation.icosphere(3).vertices)
    for i in range(len(found.axes)):
        center, axes = found.centers[i].numpy(), found.axes[i].numpy()
        R = found.rotations[i].numpy()
        points = projected(transformed(T, center + (sphere * axes) @ R.T), camera)
        outline = cv2.convexHull(points.astype(np.float32))
        cv2.polylines(out, [np.rint(outline).astype(np.int32)], True, color_of(i), 2, cv2.LINE_AA)
        ends = np.stack([np.zeros((3, 3)), np.diag(axes)], axis=1)
        lines = projected(transformed(T, center + ends @ R.T), camera)
        for a, b in np.rint(lines).astype(int):
            cv2.line(out, a.tolist(), b.tolist(), color_of(i), 1, cv2.LINE_AA)
    return out


def meshes(color: Image, scene: Scene) -> Image:
    """Return the image beside the meshes drawn over it from the same camera."""
    drawn = _drawn(scene, np.linalg.inv(scene.T_scene_camera), scene.camera, color)
    return np.hstack([color, drawn])


def side(scene: Scene, width: int = 640, height: int = 480) -> Image:
    """Return the scene seen from the side and a little above."""
    from drrobot_ros.geometry.camera import look_at

    points = np.concatenate([item.scene_vertices() for item in scene.objects])
    up = scene.plane.normal
    middle = 0.5 * (points.min(0) + points.max(0))
    reach = max(0.08, 0.5 * float(np.linalg.norm(np.ptp(points, axis=0))))
    view = middle - scene.T_scene_camera[:3, 3]
    view = view - (view @ up) * up
    beside = np.cross(view / max(float(np.linalg.norm(view)), 1e-9), up)
    eye = middle + 3.2 * reach * (0.9 * beside + 0.35 * up)
    T = look_at(eye, middle, up)
    camera = PinholeCamera.from_fov(width, height, 0.75)
    blank = np.full((height, width, 3), 235, np.uint8)
    return _drawn(scene, np.linalg.inv(T), camera, blank)


def _drawn(scene: Scene, T_camera_scene: Floats, camera: PinholeCamera, behind: Image) -> Image:
    """Return the meshes with their colours under a light from the camera's side."""
    vertices = [transformed(T_camera_scene, item.scene_vertices()) for item in scene.objects]
    counts = np.cumsum([0, *(len(v) for v in vertices)])
    pairs = zip(scene.objects, counts[:-1], strict=True)
    faces = np.concatenate([item.mesh.faces + n for item, n in pairs])
    every = np.concatenate(vertices)
    albedo = np.concatenate([item.vertex_colors for item in scene.objects])
    ids = triangle_ids(projected(every, camera), every[:, 2], faces, camera.width, camera.height)
    a, b, c = (every[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    level = 0.55 + 0.45 * np.clip(normal @ np.array([-0.35, -0.7, -0.62]), 0, 1)
    shown = np.clip(albedo[faces].mean(1) * level[:, None], 0, 1) ** (1 / 2.2)
    out = behind.copy()
    out[ids >= 0] = (255 * shown[ids[ids >= 0]]).astype(np.uint8)
    return out
