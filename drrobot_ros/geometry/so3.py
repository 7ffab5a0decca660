"""Rotations: matrices, rotation vectors and wxyz quaternions; batched, differentiable torch.

Every function works on any leading dimensions, float32 or float64, on any device; first and second
derivatives are finite at the zero angle. `log` is ambiguous, and its derivative jumps, at pi.

Source: Sola, Deray, Atchuthan, "A micro Lie theory for state estimation in robotics", appendix B.
"""

import torch
from torch import Tensor

from drrobot_ros.geometry import series


def hat(w: Tensor) -> Tensor:
    """Return the matrices [..., 3, 3] of the cross product with w [..., 3]."""
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def exp(w: Tensor) -> Tensor:
    """Return the rotations [..., 3, 3] of the rotation vectors w [..., 3] in rad (Rodrigues)."""
    x = (w * w).sum(-1)[..., None, None]
    K = hat(w)
    eye = torch.eye(3, dtype=w.dtype, device=w.device)
    return eye + series.sinc(x) * K + series.versine(x) * (K @ K)


def log(R: Tensor) -> Tensor:
    """Return the rotation vectors [..., 3] in rad, at most pi long, of rotations R [..., 3, 3]."""
    return quat_log(matrix_to_quat(R))


def quat_to_matrix(q: Tensor) -> Tensor:
    """Return the rotations [..., 3, 3] of wxyz quaternions q [..., 4], which need not be unit."""
    w, x, y, z = q.unbind(-1)
    s = 2 / (q * q).sum(-1)
    xx, yy, zz = s * x * x, s * y * y, s * z * z
    xy, xz, yz = s * x * y, s * x * z, s * y * z
    wx, wy, wz = s * w * x, s * w * y, s * w * z
    rows = [1 - yy - zz, xy - wz, xz + wy, xy + wz, 1 - xx - zz, yz - wx, xz - wy, yz + wx]
    return torch.stack([*rows, 1 - xx - yy], dim=-1).unflatten(-1, (3, 3))


def matrix_to_quat(R: Tensor) -> Tensor:
    """Return the unit wxyz quaternions [..., 4] with w >= 0 of rotations R [..., 3, 3]."""
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = R.flatten(-2).unbind(-1)
    # Row k is 4 q_k q; the largest q_k divides without loss of precision (Shepperd).
    rows = [
        [1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01],
        [m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20],
        [m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m21 + m12],
        [m10 - m01, m02 + m20, m21 + m12, 1 - m00 - m11 + m22],
    ]
    table = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    best = table.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None]
    row = table.take_along_dim(best[..., None], dim=-2).squeeze(-2)
    q = row / (2 * row.take_along_dim(best, dim=-1).sqrt())
    return torch.where(q[..., :1] < 0, -q, q)


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the wxyz quaternions [..., 4] of rotation a after rotation b."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def quat_conjugate(q: Tensor) -> Tensor:
    """Return the wxyz quaternions [..., 4] of the opposite rotations, for unit q."""
    return q * q.new_tensor([1.0, -1.0, -1.0, -1.0])


def quat_exp(w: Tensor) -> Tensor:
    """Return the unit wxyz quaternions [..., 4] of rotation vectors w [..., 3] in rad."""
    half = w / 2
    x = (half * half).sum(-1, keepdim=True)
    cosine = 1 - x * series.versine(x)
    return torch.cat([cosine, series.sinc(x) * half], dim=-1)


def quat_log(q: Tensor) -> Tensor:
    """Return the rotation vectors [..., 3] in rad, at most pi long, of unit wxyz quaternions."""
    q = torch.where(q[..., :1] < 0, -q, q)
    v = q[..., 1:]
    return 2 * series.angle_over_sine((v * v).sum(-1, keepdim=True), q[..., :1]) * v
