"""Steps on the space of joint positions and camera poses, for the solver (NumPy, float64).

Joint velocities follow MuJoCo: a ball joint turns about its own moved axes, a floating joint moves
in its parent's axes and turns about its own.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """How velocities [nv] move positions [nq]: where scalars and quaternions lie.

    Attributes:
        nq: number of positions.
        nv: number of velocities.
        v_to_q: position index of each velocity, -1 where it turns a quaternion.
        quaternions: pairs (first position, first velocity) of each quaternion.
    """

    nq: int
    nv: int
    v_to_q: NDArray[np.int32]
    quaternions: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, tree, nq: int, nv: int) -> "Coordinates":
        """Read the coordinates of a kinematic tree with nq positions and nv velocities."""
        v_to_q = np.full(nv, -1, np.int32)
        quaternions: set[tuple[int, int]] = set()
        for kind, qi, vi in zip(tree.joint_type, tree.q_index, tree.v_index, strict=True):
            if qi < 0:
                continue
            name = kind_name(kind)
            if name == "BALL":
                quaternions.add((int(qi), int(vi)))
            elif name == "FLOATING":
                v_to_q[vi : vi + 3] = np.arange(qi, qi + 3)
                quaternions.add((int(qi) + 3, int(vi) + 3))
            else:
                v_to_q[vi] = qi
        return cls(nq, nv, v_to_q, tuple(sorted(quaternions)))

    def integrate(self, q: Vector, velocity: Vector) -> Vector:
        """Return q moved by a velocity over one unit of time."""
        out = np.array(q, np.float64)
        scalar = self.v_to_q >= 0
        out[self.v_to_q[scalar]] += velocity[scalar]
        for qi, vi in self.quaternions:
            turned = quat_multiply(out[qi : qi + 4], quat_exp(velocity[vi : vi + 3]))
            out[qi : qi + 4] = turned / np.linalg.norm(turned)
        return out

    def difference(self, start: Vector, end: Vector) -> Vector:
        """Return the velocity [nv] that moves start to end in one unit of time; NaN passes on."""
        out = np.zeros(self.nv)
        scalar = self.v_to_q >= 0
        index = self.v_to_q[scalar]
        out[scalar] = end[index] - start[index]
        for qi, vi in self.quaternions:
            conjugate = start[qi : qi + 4] * np.array([1.0, -1.0, -1.0, -1.0])
            out[vi : vi + 3] = quat_log(quat_multiply(conjugate, end[qi : qi + 4]))
        return out


def kind_name(kind) -> str:
    """Return the name of a joint type given as enum or number."""
    return kind.name if hasattr(kind, "name") else _KINDS[int(kind)]


_KINDS = ("FIXED", "REVOLUTE", "PRISMATIC", "BALL", "FLOATING")


def quat_multiply(a: Vector, b: Vector) -> Vector:
    """Return the product of two quaternions wxyz."""
    w, v = a[0] * b[0] - a[1:] @ b[1:], a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.concatenate([[w], v])


def quat_exp(rotation: Vector) -> Vector:
    """Return the quaternion wxyz of a rotation vector [3] rad."""
    angle = float(np.linalg.norm(rotation))
    return np.concatenate([[np.cos(angle / 2)], 0.5 * np.sinc(angle / (2 * np.pi)) * rotation])


def quat_log(q: Vector) -> Vector:
    """Return the rotation vector [3] rad of a quaternion wxyz, of length at most pi."""
    q = q if q[0] >= 0 else -q
    length = float(np.linalg.norm(q[1:]))
    if length < 1e-12:
        return 2.0 * q[1:]
    return (2.0 * np.arctan2(length, q[0]) / length) * q[1:]


def hat(w: Vector) -> Matrix:
    """Return the cross-product matrix of a vector."""
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]], np.float64)


def exp_se3(twist: Vector) -> Matrix:
    """Return the transform [4,4] of a twist (v, w)."""
    v, w = twist[:3], twist[3:]
    angle = float(np.linalg.norm(w))
    W = hat(w)
    a = np.sinc(angle / np.pi)
    b = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    c = (1 - a) / angle**2 if angle > 1e-4 else 1 / 6 - angle**2 / 120
    T = np.eye(4)
    T[:3, :3] += a * W + b * (W @ W)
    T[:3, 3] = (np.eye(3) + b * W + c * (W @ W)) @ v
    return T


def inverse_se3(T: Matrix) -> Matrix:
    """Return the inverse of a rigid transform [4,4]."""
    out = np.eye(4)
    out[:3, :3] = T[:3, :3].T
    out[:3, 3] = -T[:3, :3].T @ T[:3, 3]
    return out


def camera_center(T_camera: Matrix) -> Vector:
    """Return the robot's base origin in the camera's frame: what the camera twist turns about.

    A turn about the robot moves its image less than a turn about the lens, so translation and
    rotation decouple.
    """
    return -T_camera[:3, :3].T @ T_camera[:3, 3]


def move_camera(T_camera: Matrix, twist: Vector, center: Vector) -> Matrix:
    """Return the camera pose after a twist (v, w) in its own frame about a centre [3] m."""
    local = exp_se3(twist)
    moved = local.copy()
    moved[:3, 3] = local[:3, 3] + center - local[:3, :3] @ center
    T = T_camera @ moved
    # Many small products must not wear the rotation out.
    u, _, vt = np.linalg.svd(T[:3, :3])
    T[:3, :3] = u @ vt
    return T


def twist_between(mean: Matrix, T: Matrix, center: Vector) -> tuple[Vector, Matrix]:
    """Return the pose error of T against a mean, and its derivative in the camera's twist.

    The error is the camera's shift and turn in the mean's frame. The derivative is exact for the
    shift and of first order in the error for the turn.
    """
    local = inverse_se3(mean) @ T
    rotation = quat_log(quat_from_matrix(local[:3, :3]))
    jacobian = np.eye(6)
    jacobian[:3, :3] = local[:3, :3]
    jacobian[:3, 3:] = local[:3, :3] @ hat(center)
    return np.concatenate([local[:3, 3], rotation]), jacobian


def quat_from_matrix(R: Matrix) -> Vector:
    """Return the quaternion wxyz of a rotation matrix [3,3]."""
    m = np.array(
        [
            [R[0, 0] + R[1, 1] + R[2, 2], 0, 0, 0],
            [R[2, 1] - R[1, 2], R[0, 0] - R[1, 1] - R[2, 2], 0, 0],
            [R[0, 2] - R[2, 0], R[0, 1] + R[1, 0], R[1, 1] - R[0, 0] - R[2, 2], 0],
            [R[1, 0] - R[0, 1], R[0, 2] + R[2, 0], R[1, 2] + R[2, 1], R[2, 2] - R[0, 0] - R[1, 1]],
        ]
    )
    m = m + np.tril(m, -1).T
    q = np.linalg.eigh(m)[1][:, -1]
    return q if q[0] >= 0 else -q
