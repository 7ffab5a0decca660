"""Hypotheses scored by the edges of the image along the rendered outline.

Colours alone leave a white arm before a white wall open; a faint edge still runs along the arm. The
mean over the outline does not grow with the robot's size in the image.
"""

import ctypes
import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.normal_equations import FloatImage, ImageModel, ImageTarget
from drrobot_ros.native.library import library

LIMIT = 12.0  # Lab units per px


@dataclasses.dataclass(frozen=True)
class ContourScore:
    """Scores hypotheses by edges along their outline.

    Attributes:
        model: the robot to render.
        target: intrinsics, size and pixel weights of the level.
        gradient: of the image's strongest channel, Lab units per px [H,W,2].
        limit: stronger edges count no more, Lab units per px.
    """

    model: ImageModel
    target: ImageTarget
    gradient: FloatImage
    limit: float = LIMIT

    @classmethod
    def of(
        cls, model: ImageModel, target: ImageTarget, pixels: NDArray[np.uint8]
    ) -> "ContourScore":
        """Return what scores hypotheses against an image [H,W,3] uint8 RGB."""
        import cv2

        if pixels.shape[:2] != (target.height, target.width):
            raise InputError(f"the image must be {[target.height, target.width, 3]}")
        lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
        x = np.asarray(cv2.Sobel(lab, cv2.CV_32F, 1, 0)) / 4
        y = np.asarray(cv2.Sobel(lab, cv2.CV_32F, 0, 1)) / 4
        strongest = np.hypot(x, y).argmax(-1)[..., None]
        planes = [np.take_along_axis(g, strongest, -1)[..., 0] for g in (x, y)]
        return cls(model, target, np.ascontiguousarray(np.stack(planes, -1), np.float32))

    def __call__(
        self, q: NDArray[np.float64], T_camera: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the scores [n] of joint positions [n,nq]; T_camera is [4,4] or [n,4,4]."""
        q = np.ascontiguousarray(q, np.float64)
        T = np.ascontiguousarray(T_camera, np.float64)
        each = T.ndim == 3
        if q.ndim != 2 or q.shape[1] != self.model.nq or (each and len(T) != len(q)):
            raise InputError(f"hypotheses must be [n, {self.model.nq}], got {list(q.shape)}")
        view, keep = self.model._view(T.reshape(-1, 4, 4)[0], self.target, None)
        out = np.zeros(len(q))
        function = library().drr_contour_scores
        function.restype = None
        pointer = ctypes.c_void_p
        function(
            pointer(self.model._tree),
            pointer(self.model._splats),
            ctypes.c_int32(len(q)),
            pointer(q.ctypes.data),
            pointer(T.ctypes.data) if each else None,
            ctypes.byref(view),
            pointer(self.gradient.ctypes.data),
            ctypes.c_float(self.limit),
            pointer(out.ctypes.data),
        )
        del keep
        return out
