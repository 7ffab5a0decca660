"""What a pinhole sees, as the camera's lens shows it: from rendered planes to raw images."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import PIXEL_CENTER, Lens

#: A fisheye sees more than any pinhole: how many times the raw image's size is rendered at most.
MAX_GROWTH = 2.0
_NOWHERE_PX = 1e6


class RawView:
    """Turns planes rendered by a pinhole into the geometry of a camera's raw images.

    Args:
        lens: of the camera.
    """

    def __init__(self, lens: Lens) -> None:
        self._lens = lens

    @cached_property
    def camera(self) -> PinholeCamera:
        """The pinhole to render with.

        The lens's intrinsics, with the image made larger, so that it holds what the raw one shows.
        """
        camera = self._lens.camera
        if not self._lens.distorted:
            return camera
        (left, right), (top, bottom) = self._growth
        K = camera.K.copy()
        K[0, 2] += left
        K[1, 2] += top
        return PinholeCamera(K, camera.width + left + right, camera.height + top + bottom)

    def raw(self, plane: NDArray[Any], *, nearest: bool = False) -> NDArray[Any]:
        """Return a plane or image rendered with `camera`, as the raw image would show it.

        Args:
            plane: [H, W] or [H, W, C] of `camera`'s size.
            nearest: values are not mixed, as depth wants it.

        Returns:
            [H, W] or [H, W, C] of the raw image's size; 0 where the pinhole does not see.

        Raises:
            InputError: a plane of another size.
        """
        if plane.shape[:2] != (self.camera.height, self.camera.width):
            raise InputError(
                f"the plane is {plane.shape[1]}x{plane.shape[0]}, rendered should be "
                f"{self.camera.width}x{self.camera.height}"
            )
        if not self._lens.distorted:
            return plane
        import cv2

        how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        x, y = self._maps
        return np.asarray(cv2.remap(plane, x, y, how, borderMode=cv2.BORDER_CONSTANT))

    @cached_property
    def _maps(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where in a rendered plane, in OpenCV's pixels, each raw pixel comes from."""
        x, y = self._rectified
        (left, _), (top, _) = self._growth
        return (x + left).astype(np.float32), (y + top).astype(np.float32)

    @cached_property
    def _growth(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """By how many pixels the rendered image is larger: left and right, above and below."""
        x, y = self._rectified
        return _reach(x, self._lens.camera.width), _reach(y, self._lens.camera.height)

    @cached_property
    def _rectified(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where each raw pixel [H, W] lies in the rectified image, in OpenCV's pixels."""
        camera = self._lens.camera
        grid = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        points = np.stack(grid, axis=-1).reshape(-1, 2).astype(np.float64) + PIXEL_CENTER
        found = self._lens.rectify_points(points) - PIXEL_CENTER
        found = found.reshape(camera.height, camera.width, 2)
        # Beyond a right angle from the axis there is nothing a pinhole could see.
        found = np.where(np.isfinite(found), found, -_NOWHERE_PX)
        return found[..., 0], found[..., 1]


def _reach(values: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return by how many pixels an image of a size has to grow below and above."""
    seen = values[np.abs(values) < _NOWHERE_PX]
    most = 0.5 * (MAX_GROWTH - 1.0) * size
    low = np.clip(np.ceil(-seen.min()), 0, most)
    high = np.clip(np.ceil(seen.max() - (size - 1)), 0, most)
    return int(low), int(high)
