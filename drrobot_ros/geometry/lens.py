"""Lens distortion: what turns a camera's raw images into those of a pinhole.

Models as in ROS's ``CameraInfo``: plumb_bob and rational_polynomial (Brown-Conrady, as OpenCV's
``calib3d``), equidistant (fisheye; Kannala and Brandt 2006).
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, unknown_name
from drrobot_ros.geometry.camera import PinholeCamera

#: ROS and OpenCV put (0, 0) at the centre of the first pixel, this package at its corner.
PIXEL_CENTER = 0.5

PLUMB_BOB, RATIONAL, EQUIDISTANT = "plumb_bob", "rational_polynomial", "equidistant"
MODELS = (PLUMB_BOB, RATIONAL, EQUIDISTANT)
_STEPS, _PRECISION_PX = 50, 1e-3  # of the inverse of the distortion
_FARTHEST_PX = 1e6
_OTHER_NAMES = {"": PLUMB_BOB, "none": PLUMB_BOB, "fisheye": EQUIDISTANT, "rational": RATIONAL}
_COUNTS = {PLUMB_BOB: (0, 4, 5), RATIONAL: (0, 4, 5, 8, 12, 14), EQUIDISTANT: (0, 4)}


@dataclasses.dataclass(frozen=True, eq=False)
class Lens:
    """A camera's intrinsics, and the distortion to be taken out of its images.

    Attributes:
        camera: intrinsics, of raw and rectified images alike.
        distortion: coefficients in OpenCV's order; empty where images are rectified.
        model: one of `MODELS`.

    Raises:
        InputError: an unknown model, a count of coefficients it does not have, or no numbers.
    """

    camera: PinholeCamera
    distortion: tuple[float, ...] = ()
    model: str = PLUMB_BOB

    def __post_init__(self) -> None:
        model = _OTHER_NAMES.get(self.model.lower(), self.model.lower())
        if model not in MODELS:
            raise unknown_name("distortion model", self.model, MODELS)
        values = tuple(float(d) for d in self.distortion)
        if len(values) not in _COUNTS[model]:
            raise InputError(
                f"distortion model {model} has {' or '.join(map(str, _COUNTS[model]))} "
                f"coefficients, got {len(values)}"
            )
        if not np.isfinite(values).all():
            raise InputError(f"distortion coefficients must be finite, got {list(values)}")
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "distortion", values)

    @property
    def distorted(self) -> bool:
        """Whether there is anything to take out."""
        return any(abs(d) > 1e-12 for d in self.distortion)

    def rectify(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return an image [H,W,C] without distortion; its intrinsics stay the same.

        Raises:
            InputError: an image of another size than the camera's.
        """
        return self._mapped(image, nearest=False)

    def rectify_plane(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a depth image or a mask [H,W] without distortion; values are never mixed."""
        return self._mapped(plane, nearest=True)

    def rectify_points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where points [N,2] of a raw image lie in the rectified one, px.

        Pixel centres are at +0.5. What lies a right angle or more from the axis is NaN.
        """
        points = np.array(points, np.float64)
        if not self.distorted or not len(points):
            return points
        import cv2

        raw = (points - PIXEL_CENTER).reshape(-1, 1, 2)
        K, d = self._opencv_K, np.array(self.distortion)
        until = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION_PX / K[0, 0])
        if self.model == EQUIDISTANT:
            found = cv2.fisheye.undistortPoints(raw, K, d, R=np.eye(3), P=K, criteria=until)
        else:
            # OpenCV 4 has a function of its own for a given precision.
            undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
            found = undistort(raw, K, d, R=np.eye(3), P=K, criteria=until)
        found = np.asarray(found).reshape(-1, 2)
        there = (np.isfinite(found) & (np.abs(found) < _FARTHEST_PX)).all(1, keepdims=True)
        return np.where(there, found + PIXEL_CENTER, np.nan)

    def resized(self, width: int, height: int) -> "Lens":
        """Return the lens of the same camera's images at another size."""
        return dataclasses.replace(self, camera=self.camera.resized(width, height))

    @property
    def _opencv_K(self) -> NDArray[np.float64]:
        K = self.camera.K.copy()
        K[:2, 2] -= PIXEL_CENTER
        return K

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Which rectified pixels [H,W] the raw image shows; the others are black, 0 or false."""
        return self.rectify_plane(np.ones((self.camera.height, self.camera.width), np.bool_))

    def _mapped(self, image: NDArray[Any], *, nearest: bool) -> NDArray[Any]:
        size = (self.camera.height, self.camera.width)
        if image.shape[:2] != size:
            raise InputError(
                f"the image is {image.shape[1]}x{image.shape[0]}, its camera "
                f"{size[1]}x{size[0]}: intrinsics of another resolution"
            )
        if not self.distorted:
            return image
        import cv2

        how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        x, y = self._maps
        outside = cv2.BORDER_CONSTANT
        raw = image.astype(np.uint8) if image.dtype == np.bool_ else image
        done = np.asarray(cv2.remap(raw, x, y, how, borderMode=outside))
        return done.astype(image.dtype, copy=False)

    @cached_property
    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where in the raw image, in OpenCV's pixels, each rectified pixel comes from."""
        import cv2

        K = self._opencv_K
        d, size = np.array(self.distortion), (self.camera.width, self.camera.height)
        make = cv2.fisheye if self.model == EQUIDISTANT else cv2
        x, y = make.initUndistortRectifyMap(K, d, np.eye(3), K, size, cv2.CV_32FC1)
        return np.asarray(x, np.float32), np.asarray(y, np.float32)


def lens_from_ros(
    K: Sequence[float] | NDArray[np.float64],
    width: int,
    height: int,
    distortion: Sequence[float] = (),
    model: str = PLUMB_BOB,
) -> Lens:
    """Return the lens of numbers in ROS's convention: pixel centres at whole numbers.

    Raises:
        InputError: as `PinholeCamera` and `Lens`.
    """
    values = np.array(K, np.float64).reshape(-1)
    if values.size != 9:
        raise InputError(f"K must have 9 numbers, got {values.size}")
    moved = values.reshape(3, 3)
    if moved[0, 0] > 0:  # a camera that is not calibrated has zeros, and is refused as such
        moved[:2, 2] += PIXEL_CENTER
    return Lens(PinholeCamera(moved, width, height), tuple(distortion), model)
