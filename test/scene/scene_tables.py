"""A small table seen by a camera, made without OpenGL."""

import numpy as np

from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.scene import ReconstructionConfig, SceneInput
from drrobot_ros.scene.drawing import drawn_depth
from drrobot_ros.scene.types import transformed
from drrobot_ros.simulation.shapes import SHAPES

QUICK = ReconstructionConfig(
    appearance_steps=6, appearance_width_px=80, voxels=24, cage_steps=3, points=200
)
PLACES = {"box": (-0.07, 0.0), "bottle": (0.07, 0.02)}


def table(kinds=("box", "bottle"), seed=3, places=None):
    """Return an input with true depth, and the true vertices of each object, world frame."""
    places = places or PLACES
    camera = PinholeCamera.from_fov(320, 240, 0.6)
    T = look_at((0.1, -0.55, 0.42), (0, 0, 0.03))
    T_camera = np.linalg.inv(T)
    shapes = [SHAPES[kind](np.random.default_rng(seed)) for kind in kinds]
    world = [
        s.vertices + np.array([*places.get(k, (0, 0)), 0])
        for s, k in zip(shapes, kinds, strict=True)
    ]
    seen = [transformed(T_camera, v) for v in world]
    depth, owner = drawn_depth(seen, [s.faces for s in shapes], camera)
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], -1)
    ground = -T[2, 3] / (rays @ T[2, :3])
    depth = np.where(owner < 0, ground, depth)
    palette = np.array([(200, 60, 40), (40, 70, 190), (60, 160, 60), (170, 170, 160)], np.uint8)
    color = palette[np.where(owner < 0, 3, owner)]
    boxes = []
    for i in range(len(kinds)):
        rows, columns = np.nonzero(owner == i)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    given = SceneInput(
        color, depth.astype(np.float32), camera, np.array(boxes, float), tuple(kinds), T
    )
    return given, world, owner
