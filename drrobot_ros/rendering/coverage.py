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
        vertices: [V,3] in link coordinates, m.
        link: of every vertex [V].
        faces: [F,3].
    """

    vertices: NDArray[np.float32]
    link: NDArray[np.int64]
    faces: NDArray[np.int32]

    @classmethod
    def of(cls, visuals: Sequence[Visual]) -> "LinkMeshes":
        """Return all meshes of a robot as one."""
        sizes = [len(v.vertices) for v in visuals]
        first = np.cumsum([0, *sizes])
        return cls(
            np.concatenate([np.zeros((0, 3)), *[v.vertices for v in visuals]]).astype(np.float32),
            np.repeat(np.array([v.link for v in visuals], np.int64), sizes),
            np.concatenate(
                [np.zeros((0, 3)), *[v.faces + i for v, i in zip(visuals, first, strict=False)]]
            ).astype(np.int32),
        )

    def coverage(
        self,
        T_camera_link: NDArray[np.float64],
        camera: PinholeCamera,
        *,
        hard: bool = False,
    ) -> NDArray[np.float32]:
        """Return the share of every pixel [H,W] that the meshes cover; without gradients.

        Args:
            T_camera_link: pose of every link in the camera [links,4,4].
            camera: intrinsics and size; skew is not drawn.
            hard: 1 where a pixel's centre is covered, else 0, as masks are made.

        Raises:
            InputError: fewer poses than links.
        """
        T = np.asarray(T_camera_link, np.float64)
        if len(T) <= int(self.link.max(initial=-1)):
            raise InputError(f"{len(T)} poses, but the meshes hang on link {self.link.max()}")
        points = np.empty_like(self.vertices)
        for link in np.unique(self.link):
            own = self.link == link
            R, p = T[link, :3, :3].astype(np.float32), T[link, :3, 3].astype(np.float32)
            points[own] = self.vertices[own] @ R.T + p
        K = camera.K
        intrinsics = np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]], np.float32)
        out = np.zeros((camera.height, camera.width), np.float32)
        faces = np.ascontiguousarray(self.faces)
        _function()(
            1,
            len(points),
            points.ctypes.data,
            len(faces),
            faces.ctypes.data,
            camera.width,
            camera.height,
            intrinsics.ctypes.data,
            NEAR_M,
            1 if hard else SAMPLES,
            out.ctypes.data,
        )
        return out


@functools.cache
def _function() -> Any:
    function = library().drr_mesh_coverage
    function.restype = None
    number, pointer = ctypes.c_int32, ctypes.c_void_p
    function.argtypes = [
        *[number, number, pointer, number, pointer, number, number, pointer],
        *[ctypes.c_float, number, pointer],
    ]
    return function
