"""From the solver's normal matrix to the covariances that are published."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import camera_center, hat
from drrobot_ros.estimation.problem import Solution

Matrix = NDArray[np.float64]

# Variance of the error over that of the normal matrix, in simulation (benchmarks/tracking.py). The
# splats' outline errs in whole patches of a silhouette that is found by colours.
INFLATION = 1.0
INFLATION_SPLATS = 2.0


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """Covariances of an estimate.

    Attributes:
        covariance: of the free joint velocities, then the cameras' twists about the robot [p,p].
        q_std: standard deviation per velocity coordinate [nv]; 0 where held fixed.
        cameras: of each camera's twist (v, w) about the lens, camera frame [c,6,6]; 0 where held.
    """

    covariance: Matrix
    q_std: NDArray[np.float64]
    cameras: NDArray[np.float64]


def inflation_of(masked: bool, meshes: bool) -> float:
    """Return the variance of the errors over that of the normal matrix.

    Args:
        masked: the silhouette was given, not found by colours.
        meshes: it was compared with the outline of the meshes, not with that of the splats.
    """
    return INFLATION if masked or meshes else INFLATION_SPLATS


def uncertainty_of(
    solution: Solution, inflation: float, known: NDArray[np.float64] | None = None
) -> Uncertainty:
    """Return the covariances of a solution.

    Args:
        solution: what the solver found.
        inflation: variance of the errors over that of the normal matrix.
        known: what is known besides the images [p,p]; None: the solution's own priors.
    """
    n = len(solution.H)
    H = solution.H / inflation if known is None else solution.informations[0] / inflation + known
    # What neither pixels nor priors hold is unknown to a turn, not to infinity.
    covariance = np.asarray(np.linalg.inv(H + 0.1 * np.eye(n)), np.float64)
    free = solution.layout.offset >= 0
    q_std = np.zeros(len(free))
    q_std[free] = np.sqrt(np.diag(covariance)[solution.layout.offset[free]])
    cameras = np.stack(
        [
            about_the_lens(covariance, first, T)
            for first, T in zip(solution.layout.camera, solution.state.T_cameras, strict=True)
        ]
    )
    return Uncertainty(covariance, q_std, cameras)


def about_the_lens(covariance: Matrix, first: int, T_camera: Matrix) -> Matrix:
    """Return a camera's covariance [6,6] as a twist about its lens; 0 where it was held.

    Args:
        covariance: of all unknowns [p,p], the camera's twist turning about the robot.
        first: its first column, -1 where held.
        T_camera: its pose [4,4].
    """
    if first < 0:
        return np.zeros((6, 6))
    c = slice(first, first + 6)
    # From a turn about the robot to one about the lens, which also shifts the lens.
    to_lens = np.eye(6)
    to_lens[:3, 3:] = hat(camera_center(T_camera))
    return to_lens @ covariance[c, c] @ to_lens.T
