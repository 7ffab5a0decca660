"""Images of a MuJoCo scene from a pinhole camera: colour, depth and which geoms are seen."""

import threading
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.simulation.gl import make_context

Rgb = NDArray[np.uint8]
Depth = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Renderer:
    """Draws one MuJoCo model off screen.

    An OpenGL context belongs to a thread: make, use and close a renderer in the same one.

    Args:
        model: the compiled scene.
        camera: intrinsics and size of the images; the principal point can lie anywhere.
        near_m: nothing nearer is drawn.
        far_m: nothing farther is drawn.
        samples: per pixel, for smooth edges; 0 or 1 is fastest.

    Raises:
        BackendError: there is no off-screen OpenGL.
        InputError: the camera has skew.
    """

    def __init__(
        self,
        model: Any,
        camera: PinholeCamera,
        *,
        near_m: float = 0.02,
        far_m: float = 20.0,
        samples: int = 0,
    ) -> None:
        if camera.K[0, 1] != 0:
            raise InputError(f"a simulated camera has no skew, got {camera.K[0, 1]}")
        self.camera = camera
        self.near_m, self.far_m = near_m, far_m
        self._thread = threading.get_ident()
        self._gl: Any = None
        self._context: Any = None
        model.vis.global_.offwidth, model.vis.global_.offheight = camera.width, camera.height
        model.vis.quality.offsamples = samples
        self._model = model
        self._scene = mujoco.MjvScene(model, maxgeom=2 * model.ngeom + 100)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 1
        self._option.sitegroup[:] = 0
        self._free_camera = mujoco.MjvCamera()
        self._rect = mujoco.MjrRect(0, 0, camera.width, camera.height)
        self._gl = make_context(camera.width, camera.height)
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        shape = (camera.height, camera.width)
        self._rgb = np.empty((*shape, 3), np.uint8)
        self._z = np.empty(shape, np.float32)

    def close(self) -> None:
        """Free the context; images can no longer be drawn."""
        if self._context is not None and threading.get_ident() == self._thread:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
        self._context = self._gl = None

    def update(self, data: Any, T_world_camera: NDArray[np.float64], shadows: bool) -> None:
        """Take over the positions of all bodies and the camera pose [4, 4] for the next images."""
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._free_camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._scene.flags[mujoco.mjtRndFlag.mjRND_HAZE] = 0
        K, near = self.camera.K, self.near_m
        left, right = -K[0, 2] / K[0, 0], (self.camera.width - K[0, 2]) / K[0, 0]
        for eye in self._scene.camera:  # one for each eye of a stereo pair
            eye.pos = T_world_camera[:3, 3]
            eye.forward = T_world_camera[:3, 2]
            eye.up = -T_world_camera[:3, 1]
            eye.frustum_near, eye.frustum_far = near, self.far_m
            eye.frustum_center = near * (left + right) / 2
            eye.frustum_width = near * (right - left) / 2
            eye.frustum_top = near * K[1, 2] / K[1, 1]
            eye.frustum_bottom = -near * (self.camera.height - K[1, 2]) / K[1, 1]

    def colors(self) -> Rgb:
        """Return the image [H, W, 3]."""
        self._draw(self._rgb, None)
        return np.ascontiguousarray(self._rgb[::-1])

    def segmentation_and_depth(self) -> tuple[NDArray[np.int32], Depth]:
        """Return the id of the geom in each pixel [H, W], -1 for none, and depth [H, W].

        Depth is along the optical axis in m; 0 where there is nothing.
        """
        flags = self._scene.flags
        segment, ids = mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR
        flags[segment] = flags[ids] = 1
        try:
            self._draw(self._rgb, self._z)
        finally:
            flags[segment] = flags[ids] = 0
        code = self._rgb[::-1].astype(np.int32)
        code = code[..., 0] + (code[..., 1] << 8) + (code[..., 2] << 16)
        lookup = np.full(self._scene.ngeom + 2, -1, np.int32)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                lookup[geom.segid + 1] = geom.objid
        # Depth is stored reversed: 1 at the near plane, 0 at the far one.
        near, far = self.near_m, self.far_m
        z = self._z[::-1].astype(np.float64)
        depth = near * far / (near + z * (far - near))
        depth[z <= 0] = 0
        return lookup[code], depth.astype(np.float32)

    def _draw(self, rgb: Rgb, depth: Depth | None) -> None:
        if self._context is None:
            raise BackendError("the renderer is closed")
        if threading.get_ident() != self._thread:
            raise BackendError("a renderer must be used in the thread that made it")
        self._gl.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, depth, self._rect, self._context)
