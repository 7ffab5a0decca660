"""The pose of a camera that stands still, gathered over many images.

One image hardly tells the camera's distance and turn from the joints. The robot's poses differ from
image to image, the camera's does not: what each image knew of it, the joints eliminated, is added
up with forgetting, and enters the next image as a prior.
"""

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import camera_center, hat
from drrobot_ros.estimation.problem import CameraPrior

Matrix = NDArray[np.float64]

# Errors of neighbouring images are alike: so many images count as one.
ALIKE = 4.0
# Information of about so many images is kept, so that a camera that was moved is found again.
MEMORY = 60.0
# An image that came while the joints were still being found is forgotten sooner.
SETTLING = 5


class CameraMemory:
    """What is known of one camera's pose.

    Args:
        start: pose it was given [4,4].
        sigma: how well the start is known: of shift and turn [6], m and rad; None: not at all.
    """

    def __init__(self, start: Matrix, sigma: NDArray[np.float64] | None) -> None:
        self._start, self._sigma = start, sigma
        self._mean: Matrix = start
        self._information = np.zeros((6, 6))
        self._images = 0

    def prior(self) -> CameraPrior | None:
        """Return what is known before the next image."""
        own = np.zeros(6) if self._sigma is None else 1.0 / np.square(self._sigma)
        if self._images <= SETTLING:
            if self._sigma is None:
                return None
            return CameraPrior(self._start, np.asarray(self._sigma, np.float64))
        sigma = np.full(6, np.inf)
        return CameraPrior(self._mean, sigma, self._information + np.diag(own))

    def add(self, T: Matrix, information: Matrix) -> None:
        """Take in an image.

        Args:
            T: the pose found with the prior [4,4].
            information: what the image alone knew of the camera's twist about the robot, the joints
                eliminated [6,6].
        """
        # From a turn about the robot to one about the lens.
        to_robot = np.eye(6)
        to_robot[:3, 3:] = -hat(camera_center(T))
        about_lens = to_robot.T @ information @ to_robot
        self._mean = T
        self._images += 1
        if self._images <= SETTLING:
            return
        keep = 1.0 - 1.0 / MEMORY if self._images > 2 * SETTLING else 0.5
        self._information = keep * self._information + about_lens / ALIKE


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
