"""The frame that shapes are fitted in: on the plane, z up."""

import numpy as np

from drrobot_ros.scene.types import Floats, SupportPlane


def plane_frame(plane: SupportPlane, around: Floats) -> Floats:
    """Return T_plane_camera [4, 4]: origin on the plane below a point [3], x to the right.

    Args:
        plane: camera frame.
        around: the point, camera frame.
    """
    z = plane.normal
    right = np.array([1.0, 0, 0])
    x = right - (right @ z) * z
    if np.linalg.norm(x) < 1e-3:
        x = np.cross([0, 1.0, 0], z)
    x = x / np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    origin = around - plane.height_m(around) * z
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, -R @ origin
    return T


def plane_of_frame(T_plane_camera: Floats) -> Floats:
    """Return normal and offset [4], camera frame, of the plane z = 0."""
    normal = T_plane_camera[2, :3]
    return np.r_[normal, -T_plane_camera[2, 3]]
