"""The pinhole camera: intrinsics in pixels, OpenCV optical axes (x right, y down, z forward).

The centre of the top-left pixel is at (0.5, 0.5), so the image spans [0, width] x [0, height].
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class PinholeCamera:
    """Intrinsics of an undistorted camera.

    Attributes:
        K: [3, 3] float64, px, read-only; ``[fx s cx; 0 fy cy; 0 0 1]``.
        width: of the image, px.
        height: of the image, px.

    Raises:
        InputError: K is not a finite calibrated matrix (``CameraInfo`` of an uncalibrated camera
            has zeros), or the image has no pixels.
    """

    K: np.ndarray
    width: int
    height: int

    def __post_init__(self) -> None:
        try:
            K = np.array(self.K, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"K must be a 3x3 matrix of numbers, got {self.K!r}") from error
        if K.shape == (9,):
            K = K.reshape(3, 3)
        if K.shape != (3, 3) or not np.isfinite(K).all():
            raise InputError(f"K must be 3x3 and finite, got {K.tolist()}")
        if K[0, 0] <= 0 or K[1, 1] <= 0:
            raise InputError(
                f"the camera is not calibrated: fx = {K[0, 0]}, fy = {K[1, 1]}; "
                "both must be positive"
            )
        if K[1, 0] != 0 or not np.array_equal(K[2], [0.0, 0.0, 1.0]):
            raise InputError(f"K must be [fx s cx; 0 fy cy; 0 0 1], got {K.tolist()}")
        for name in ("width", "height"):
            value = getattr(self, name)
            if isinstance(value, bool) or int(value) != value or value <= 0:
                raise InputError(f"{name} must be a positive whole number of px, got {value!r}")
            object.__setattr__(self, name, int(value))
        K.setflags(write=False)
        object.__setattr__(self, "K", K)

    @classmethod
    def from_fov(cls, width: int, height: int, vertical_fov_rad: float) -> "PinholeCamera":
        """Return a camera with square pixels and the principal point in the middle.

        Raises:
            InputError: the field of view is not between 0 and pi.
        """
        if not 0 < vertical_fov_rad < math.pi:
            raise InputError(f"vertical_fov_rad must be in (0, pi), got {vertical_fov_rad!r}")
        focal = height / 2 / math.tan(vertical_fov_rad / 2)
        K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        return cls(K, width, height)

    @property
    def fx(self) -> float:
        """Horizontal focal length, px."""
        return float(self.K[0, 0])

    @property
    def fy(self) -> float:
        """Vertical focal length, px."""
        return float(self.K[1, 1])

    @property
    def cx(self) -> float:
        """Principal point from the left edge, px."""
        return float(self.K[0, 2])

    @property
    def cy(self) -> float:
        """Principal point from the top edge, px."""
        return float(self.K[1, 2])

    def scaled(self, scale: float) -> "PinholeCamera":
        """Return the camera of the image resized by a factor; its size is rounded to pixels."""
        if not (math.isfinite(scale) and scale > 0):
            raise InputError(f"scale must be positive, got {scale!r}")
        return self.resized(max(1, round(self.width * scale)), max(1, round(self.height * scale)))

    def resized(self, width: int, height: int) -> "PinholeCamera":
        """Return the camera of the image resized to width x height, px."""
        K = np.diag([width / self.width, height / self.height, 1.0]) @ self.K
        return PinholeCamera(K, width, height)

    def project(self, points: Tensor) -> Tensor:
        """Return the pixels [..., 2] of points [..., 3] in camera coordinates, m.

        Gradients reach the points. Points at or behind the camera (z <= 0) give meaningless pixels.
        """
        K = points.new_tensor(self.K)
        return (points @ K[:2].T) / points[..., 2:]

    def unproject(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Return the points [..., 3] in m seen at pixels [..., 2] at depth [...] (z, not range)."""
        y = (pixels[..., 1] - self.cy) / self.fy
        x = (pixels[..., 0] - self.cx - self.K[0, 1] * y) / self.fx
        return torch.stack([x, y, torch.ones_like(x)], dim=-1) * depth[..., None]


def look_at(
    eye: Sequence[float] | np.ndarray,
    target: Sequence[float] | np.ndarray,
    up: Sequence[float] | np.ndarray = (0.0, 0.0, 1.0),
) -> np.ndarray:
    """Return T_base_camera [4, 4] float64 of a camera at `eye` that looks at `target`.

    Args:
        eye: position of the camera in base coordinates, m.
        target: a point on the optical axis in base coordinates, m.
        up: the direction that is up in the image; another is chosen where it is along the view.

    Raises:
        InputError: the points coincide, `up` is zero, or a number is not finite.
    """
    vectors = []
    for name, value in (("eye", eye), ("target", target), ("up", up)):
        vector = np.asarray(value, dtype=np.float64)
        if vector.shape != (3,) or not np.isfinite(vector).all():
            raise InputError(f"{name} must be three finite numbers, got {value!r}")
        vectors.append(vector)
    eye_point, target_point, up_direction = vectors
    forward = target_point - eye_point
    if np.linalg.norm(forward) < 1e-12:
        raise InputError(f"eye and target coincide at {eye_point.tolist()}")
    if np.linalg.norm(up_direction) < 1e-12:
        raise InputError("up must not be zero")
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up_direction / np.linalg.norm(up_direction))
    if np.linalg.norm(right) < 1e-9:
        # Straight up or down: take the base axis that is most across the view as up.
        right = np.cross(forward, np.eye(3)[np.argmin(np.abs(forward))])
    right = right / np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    T[:3, 3] = eye_point
    return T
