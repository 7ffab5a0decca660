"""Small NumPy helpers for MuJoCo's arrays: wxyz quaternions and transforms."""

import numpy as np


def quat_to_matrix(quat: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] of a wxyz quaternion [4], which need not be unit."""
    w, x, y, z = np.asarray(quat, dtype=np.float64) / np.linalg.norm(quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def transform(position: np.ndarray, quat: np.ndarray | None = None) -> np.ndarray:
    """Return T [4, 4] of a position [3] in m and a wxyz quaternion [4]."""
    T = np.eye(4)
    T[:3, 3] = position
    if quat is not None:
        T[:3, :3] = quat_to_matrix(quat)
    return T


def inverse(T: np.ndarray) -> np.ndarray:
    """Return the inverse of a rigid transform [4, 4]."""
    result = np.eye(4)
    result[:3, :3] = T[:3, :3].T
    result[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return result


def matrix_to_quat(R: np.ndarray) -> np.ndarray:
    """Return the unit wxyz quaternion [4] of a rotation [3, 3]."""
    import torch

    from drrobot_ros.geometry import so3

    return so3.matrix_to_quat(torch.from_numpy(np.array(R, dtype=np.float64))).numpy()
