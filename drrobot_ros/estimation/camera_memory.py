"""The pose of a camera that stands still, gathered over many images.

One image hardly tells the camera's distance and turn from the joints. The robot's poses differ from
image to image, the camera's does not: what each image knew of it, the joints eliminated, is added
up with forgetting (an information filter), and enters the next image as a prior.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import (
    camera_center,
    exp_se3,
    hat,
    inverse_se3,
    quat_from_matrix,
    quat_log,
)
from drrobot_ros.estimation.problem import CameraPrior

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

# Errors of neighbouring images are alike: so many images count as one. Fewer, and what all images
# have wrong in common outweighs what is known of the start.
ALIKE = 60.0
# Information of about so many images is kept, so that a camera that was moved is found again.
MEMORY = 90.0
# The joints are still being found in the first images: what they say of the camera is not kept.
SETTLING = 5


class CameraMemory:
    """What is known of one camera's pose, as shift and turn [6] from where it was said to be.

    Args:
        start: pose it was given [4,4].
        sigma: how well the start is known: of shift and turn [6], m and rad; None: not at all.
    """

    def __init__(self, start: Matrix, sigma: Vector | None) -> None:
        self._start = start
        self._own = np.zeros((6, 6)) if sigma is None else np.diag(1.0 / np.square(sigma))
        self._information = np.zeros((6, 6))
        self._vector = np.zeros(6)
        self._images = 0

    def prior(self) -> CameraPrior | None:
        """Return what is known before the next image."""
        if not self._own.any() and not self._information.any():
            return None
        mean, information = self._mean()
        T = self._start @ exp_se3(np.r_[np.zeros(3), mean[3:]])
        T[:3, 3] = self._start[:3, 3] + self._start[:3, :3] @ mean[:3]
        # From the start's axes to the mean's.
        turn = np.kron(np.eye(2), self._start[:3, :3].T @ T[:3, :3])
        return CameraPrior(T, np.full(6, np.inf), turn.T @ information @ turn)

    def add(self, T: Matrix, information: Matrix) -> None:
        """Take in an image.

        Args:
            T: the pose found with the prior [4,4].
            information: what the image alone knew of the camera's twist about the robot, the joints
                eliminated [6,6].
        """
        self._images += 1
        if self._images <= SETTLING:
            return
        local = inverse_se3(self._start) @ T
        x = np.r_[local[:3, 3], quat_log(quat_from_matrix(local[:3, :3]))]
        # From a turn about the robot to one about the lens, then to the start's axes.
        to_robot = np.eye(6)
        to_robot[:3, 3:] = -hat(camera_center(T))
        told = to_robot.T @ information @ to_robot
        turn = np.kron(np.eye(2), local[:3, :3])
        told = turn @ told @ turn.T
        # At the optimum the image pulls as hard as the prior: that tells where it alone would be.
        mean, known = self._mean()
        pull = known @ (x - mean)
        keep = 1.0 - 1.0 / MEMORY
        self._information = keep * self._information + told / ALIKE
        self._vector = keep * self._vector + (told @ x + pull) / ALIKE

    def _mean(self) -> tuple[Vector, Matrix]:
        total = self._own + self._information
        mean = np.linalg.solve(total + 1e-9 * np.eye(6), self._vector)
        return np.asarray(mean, np.float64), total


def without_joints(H: Matrix, camera: int, joints: NDArray[np.integer]) -> Matrix:
    """Return the information [6,6] on a camera's twist, the joints' eliminated.

    Args:
        H: information of an image [p,p].
        camera: the first of the camera's six columns.
        joints: the columns of the joints.
    """
    c = slice(camera, camera + 6)
    if not len(joints):
        return H[c, c]
    A = H[np.ix_(joints, joints)] + 1e-6 * np.eye(len(joints))
    B = H[joints, c]
    return H[c, c] - B.T @ np.linalg.solve(A, B)
