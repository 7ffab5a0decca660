"""How much of every pixel a robot's meshes cover: the true outline, where splats' is rounded."""

import ctypes
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.native.library import library
from drrobot_ros.robot.visuals import Visual

NEAR_M = 0.01
SAMPLES = 8  # along a pixel's side


@dataclasses.dataclass(frozen=True)
class LinkMeshes:
    """Triangles fixed to the links of a robot.

    Attributes:
        vertices: [V,3] in link coordinates, m, link by link.
        first: of every link's vertices, and at last their number [links + 1].
        faces: [F,3].
    """

    vertices: NDArray[np.float32]
    first: NDArray[np.int32]
    faces: NDArray[np.int32]

    @classmethod
    def of(cls, visuals: Sequence[Visual], cell_m: float = 0.0) -> "LinkMeshes":
        """Return all meshes of a robot as one.

        Args:
            visuals: the meshes.
            cell_m: vertices of a link in one cell of a grid become one, their mean; 0: as they are.
        """
        sizes = [len(v.vertices) for v in visuals]
        start = np.cumsum([0, *sizes])
        link = np.repeat(np.array([v.link for v in visuals], np.int64), sizes)
        vertices = np.concatenate([np.zeros((0, 3)), *[v.vertices for v in visuals]])
        faces = np.concatenate(
            [np.zeros((0, 3), int), *[v.faces + i for v, i in zip(visuals, start, strict=False)]]
        )
        if cell_m > 0 and len(link):
            vertices, link, faces = _merged(vertices, link, faces, cell_m)
        order = np.argsort(link, kind="stable")
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        count = np.bincount(link)
        return cls(
            np.ascontiguousarray(vertices[order], np.float32),
            np.concatenate([[0], np.cumsum(count)]).astype(np.int32),
            np.ascontiguousarray(place[faces], np.int32),
        )

    def coverage(
        self,
        T_camera_link: NDArray[np.float64],
        camera: PinholeCamera,
        *,
        hard: bool = False,
        samples: int = SAMPLES,
    ) -> NDArray[np.float32]:
        """Return the share of every pixel [H,W] that the meshes cover; without gradients.

        Args:
            T_camera_link: pose of every link in the camera [links,4,4].
            camera: intrinsics and size; skew is not drawn.
            hard: 1 where a pixel's centre is covered, else 0, as masks are made.
            samples: along a pixel's side: 4 or 8.

        Raises:
            InputError: fewer poses than links.
        """
        links = len(self.first) - 1
        if len(T_camera_link) < links:
            raise InputError(f"{len(T_camera_link)} poses, but meshes hang on link {links - 1}")
        T = np.ascontiguousarray(np.asarray(T_camera_link)[:links, :3], np.float32)
        K = camera.K
        intrinsics = np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]], np.float32)
        out = np.zeros((camera.height, camera.width), np.float32)
        _function()(
            links,
            self.first.ctypes.data,
            T.ctypes.data,
            self.vertices.ctypes.data,
            len(self.faces),
            self.faces.ctypes.data,
            camera.width,
            camera.height,
            intrinsics.ctypes.data,
            NEAR_M,
            1 if hard else samples,
            out.ctypes.data,
        )
        return out


def _merged(
    vertices: NDArray[np.float64],
    link: NDArray[np.int64],
    faces: NDArray[np.integer],
    cell_m: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.integer]]:
    """Make the vertices of a cell one, and drop faces that are left with no area."""
    cell = np.floor((vertices - vertices.min(0)) / cell_m).astype(np.int64)
    size = cell.max(0) + 1
    key = ((link * size[0] + cell[:, 0]) * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    _, one, index = np.unique(key, return_index=True, return_inverse=True)
    count = np.bincount(index)
    mean = np.stack([np.bincount(index, x) for x in vertices.T], 1) / count[:, None]
    corners = np.sort(index[faces], 1)
    corners = corners[(corners[:, 0] < corners[:, 1]) & (corners[:, 1] < corners[:, 2])]
    n = len(count)
    single = np.unique((corners[:, 0] * n + corners[:, 1]) * n + corners[:, 2])
    return mean, link[one], np.stack([single // n // n, single // n % n, single % n], 1)


@functools.cache
def _function() -> Any:
    function = library().drr_mesh_coverage
    function.restype = None
    number, pointer = ctypes.c_int32, ctypes.c_void_p
    function.argtypes = [
        *[number, pointer, pointer, pointer, number, pointer, number, number, pointer],
        *[ctypes.c_float, number, pointer],
    ]
    return function
