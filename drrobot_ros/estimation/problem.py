"""What the solver is asked, and what it answers."""

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.normal_equations import (
    ImageModel,
    ImageTarget,
    ParameterColumns,
    Statistics,
)

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class StopReason(enum.Enum):
    """Why the solver stopped."""

    CONVERGED = "converged"  # the last step was smaller than the tolerance
    STALLED = "stalled"  # no step lowered the cost
    ITERATIONS = "iterations"  # all allowed iterations are used
    BUDGET = "budget"  # the time budget is used
    NOTHING_VISIBLE = "nothing visible"  # the robot covers no pixel that counts


@dataclasses.dataclass(frozen=True)
class View:
    """One image of the robot: the model to render it with and the target to compare with."""

    model: ImageModel
    target: ImageTarget


@dataclasses.dataclass(frozen=True)
class JointPrior:
    """Soft knowledge of joint coordinates, e.g. encoders: mean [nq], sigma [nv] (inf: unknown)."""

    mean: Vector
    sigma: Vector


@dataclasses.dataclass(frozen=True)
class CameraPrior:
    """Soft knowledge of the camera pose: mean [4,4], sigma of the twist [6] in m and rad."""

    mean: Matrix
    sigma: Vector


@dataclasses.dataclass(frozen=True)
class Problem:
    """A least-squares problem in joint positions and the camera pose.

    Attributes:
        views: images taken at the same moment by the same camera.
        columns: which velocities are free.
        lower: joint limits [nq], -inf where there is none.
        upper: joint limits [nq].
        joint_priors: soft knowledge of the joints.
        camera_prior: soft knowledge of the camera.
        image_weight: factor on the image cost; below one because neighbouring pixels err together.
    """

    views: Sequence[View]
    columns: ParameterColumns
    lower: Vector
    upper: Vector
    joint_priors: Sequence[JointPrior] = ()
    camera_prior: CameraPrior | None = None
    image_weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Solution:
    """The state found, the normal matrix there and how the solver got there.

    Attributes:
        q: joint positions [nq].
        T_camera: camera pose [4,4].
        H: normal matrix of image and priors [p,p] (inverse covariance before any inflation).
        H_image: the image's share of it [p,p].
        cost: image and priors.
        statistics: one per view, at the state found.
        iterations: evaluations of the normal equations.
        stop_reason: why the solver stopped.
    """

    q: Vector
    T_camera: Matrix
    H: Matrix
    H_image: Matrix
    cost: float
    statistics: tuple[Statistics, ...]
    iterations: int
    stop_reason: StopReason
