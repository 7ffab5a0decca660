"""Messages and the library's types: cameras, transforms, covariances, stamps.

Images are in :mod:`drrobot_ros.ros.images`, joint states in :mod:`drrobot_ros.ros.joints`.
"""

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Transform
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera

Matrix = NDArray[np.float64]

#: ROS and OpenCV put (0, 0) at the centre of the first pixel, this package at its corner.
PIXEL_CENTER = 0.5


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamp_to_s(stamp: Time) -> float:
    """Return a stamp in seconds."""
    return stamp.sec + stamp.nanosec * 1e-9


def ns_to_stamp(nanoseconds: int) -> Time:
    """Return the stamp of a time in nanoseconds."""
    sec, nanosec = divmod(int(nanoseconds), 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def camera_from_info(info: CameraInfo, *, rectified: bool = True) -> PinholeCamera:
    """Return the camera of the images that a CameraInfo belongs to.

    Args:
        info: P is used for rectified images, K for raw ones; binning and region of interest are
            applied (REP 104).
        rectified: whether the images are. A driver that fills K but not P is believed to have no
            distortion to remove.

    Raises:
        InputError: the camera is not calibrated (``K[0] == 0``), has no size, or is not a pinhole.
    """
    if info.k[0] == 0.0 or info.k[4] == 0.0:
        raise InputError(
            f"the camera is not calibrated: K has fx = {info.k[0]}, fy = {info.k[4]} "
            f"(camera_info of frame {info.header.frame_id!r})"
        )
    use_p = rectified and info.p[0] != 0.0
    K = np.array(info.p, np.float64).reshape(3, 4)[:, :3] if use_p else np.array(info.k, np.float64)
    K = K.reshape(3, 3).copy()
    K[:2, 2] += PIXEL_CENTER
    roi = info.roi
    width, height = info.width, info.height
    if roi.width or roi.height:
        width, height = roi.width, roi.height
        K[0, 2] -= roi.x_offset
        K[1, 2] -= roi.y_offset
    bin_x, bin_y = max(1, info.binning_x), max(1, info.binning_y)
    K[0] /= bin_x
    K[1] /= bin_y
    return PinholeCamera(K, width // bin_x, height // bin_y)


def info_from_camera(camera: PinholeCamera, header: Header) -> CameraInfo:
    """Return the CameraInfo of an undistorted camera."""
    K = camera.K.copy()
    K[:2, 2] -= PIXEL_CENTER
    info = CameraInfo(header=header, width=camera.width, height=camera.height)
    info.distortion_model = "plumb_bob"
    info.d = [0.0] * 5
    info.k = K.ravel().tolist()
    info.r = np.eye(3).ravel().tolist()
    info.p = np.hstack([K, np.zeros((3, 1))]).ravel().tolist()
    return info


def is_distorted(info: CameraInfo) -> bool:
    """Return whether the raw images of a camera are distorted."""
    return any(abs(d) > 1e-12 for d in info.d)


def matrix_from_quaternion(xyzw: Any) -> Matrix:
    """Return the rotation matrix [3, 3] of a quaternion in ROS order.

    Raises:
        InputError: the quaternion is zero or not finite.
    """
    q = np.asarray(xyzw, np.float64)
    norm = float(np.linalg.norm(q))
    if q.shape != (4,) or not np.isfinite(norm) or norm < 1e-6:
        raise InputError(f"not a rotation: quaternion xyzw {q.tolist()}")
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(R: Matrix) -> NDArray[np.float64]:
    """Return the quaternion xyzw (ROS order, w >= 0) of a rotation matrix [3, 3]."""
    # The row of 4 q q^T with the largest diagonal has no cancellation.
    t = np.trace(R)
    outer = np.empty((4, 4))
    outer[:3, :3] = R + R.T + (1.0 - t) * np.eye(3)
    vector = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    outer[:3, 3] = outer[3, :3] = vector
    outer[3, 3] = 1.0 + t
    row = outer[int(np.argmax(np.diag(outer)))]
    q = row / np.linalg.norm(row)
    return q if q[3] >= 0 else -q


def matrix_from_transform(transform: Transform) -> Matrix:
    """Return T [4, 4] of a Transform message."""
    r, t = transform.rotation, transform.translation
    T = np.eye(4)
    T[:3, :3] = matrix_from_quaternion((r.x, r.y, r.z, r.w))
    T[:3, 3] = (t.x, t.y, t.z)
    return T


def transform_from_matrix(T: Matrix) -> Transform:
    """Return a Transform message of T [4, 4]."""
    message = Transform()
    message.translation.x, message.translation.y, message.translation.z = T[:3, 3].tolist()
    r = message.rotation
    r.x, r.y, r.z, r.w = quaternion_from_matrix(T[:3, :3]).tolist()
    return message


def matrix_from_pose(pose: Pose) -> Matrix:
    """Return T [4, 4] of a Pose message."""
    p, r = pose.position, pose.orientation
    T = np.eye(4)
    T[:3, :3] = matrix_from_quaternion((r.x, r.y, r.z, r.w))
    T[:3, 3] = (p.x, p.y, p.z)
    return T


def pose_from_matrix(T: Matrix) -> Pose:
    """Return a Pose message of T [4, 4]."""
    message = Pose()
    message.position.x, message.position.y, message.position.z = T[:3, 3].tolist()
    r = message.orientation
    r.x, r.y, r.z, r.w = quaternion_from_matrix(T[:3, :3]).tolist()
    return message


def matrix_from_numbers(numbers: Any) -> Matrix:
    """Return T [4, 4] of x y z (m) and either a quaternion xyzw or roll pitch yaw (rad, REP 103).

    Raises:
        InputError: there are neither six nor seven numbers, or they are no pose.
    """
    values = np.asarray(numbers, np.float64)
    if values.shape not in ((6,), (7,)) or not np.isfinite(values).all():
        raise InputError(
            "a pose is x y z qx qy qz qw (7 numbers) or x y z roll pitch yaw (6 numbers), "
            f"got {values.tolist()}"
        )
    T = np.eye(4)
    T[:3, 3] = values[:3]
    if len(values) == 7:
        T[:3, :3] = matrix_from_quaternion(values[3:])
        return T
    (cr, cp, cy), (sr, sp, sy) = np.cos(values[3:]), np.sin(values[3:])
    T[:3, :3] = (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )
    return T


def pose_covariance(covariance: Matrix, T_base_camera: Matrix) -> list[float]:
    """Return the 36 numbers of PoseWithCovariance of a camera pose.

    Args:
        covariance: [6, 6] of the camera's twist (v, w) in its own frame, m and rad.
        T_base_camera: the pose [4, 4].

    Returns:
        Row-major [6, 6] in (x, y, z, rotation about x, y, z) along the fixed base axes.
    """
    R = np.zeros((6, 6))
    R[:3, :3] = R[3:, 3:] = T_base_camera[:3, :3]
    turned = R @ covariance @ R.T
    return (0.5 * (turned + turned.T)).ravel().tolist()
