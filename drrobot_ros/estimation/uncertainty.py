"""From the solver's normal matrix to the covariances that are published."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import camera_center, hat
from drrobot_ros.estimation.normal_equations import ParameterColumns
from drrobot_ros.estimation.problem import Solution

Matrix = NDArray[np.float64]

# Variance of the error over that of the normal matrix, in simulation (benchmarks/tracking.py): the
# silhouette found by colours errs in whole patches, a given mask at single pixels.
INFLATION_MASK = 1.0
INFLATION_COLORS = 4.0


@dataclasses.dataclass(frozen=True)
class Uncertainty:
    """Covariances of an estimate.

    Attributes:
        covariance: of the free joint velocities, then the camera twist about the robot [p,p].
        q_std: standard deviation per velocity coordinate [nv]; 0 where held fixed.
        camera: of the camera twist (v, w) about the lens, camera frame [6,6]; 0 where held fixed.
    """

    covariance: Matrix
    q_std: NDArray[np.float64]
    camera: Matrix


def uncertainty_of(solution: Solution, columns: ParameterColumns, masked: bool) -> Uncertainty:
    """Return the covariances of a solution.

    Args:
        solution: what the solver found.
        columns: which velocities were free.
        masked: the silhouette was given, not found by colours.
    """
    n = len(solution.H)
    inflation = INFLATION_MASK if masked else INFLATION_COLORS
    # What neither pixels nor priors hold is unknown to a turn, not to infinity.
    covariance = np.asarray(np.linalg.inv(solution.H / inflation + 0.1 * np.eye(n)), np.float64)
    free = columns.velocity_column >= 0
    q_std = np.zeros(len(free))
    q_std[free] = np.sqrt(np.diag(covariance)[columns.velocity_column[free]])
    camera = np.zeros((6, 6))
    if columns.camera_column >= 0:
        c = slice(columns.camera_column, columns.camera_column + 6)
        # From a turn about the robot to one about the lens, which also shifts the lens.
        to_lens = np.eye(6)
        to_lens[:3, 3:] = hat(camera_center(solution.T_camera))
        camera = to_lens @ covariance[c, c] @ to_lens.T
    return Uncertainty(covariance, q_std, camera)
