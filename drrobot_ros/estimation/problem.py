"""What the solver is asked, and what it answers.

A problem is a list of moments. At each the robot's joints were read, and any number of cameras took
an image. What is looked for is common to all moments: one offset of the joints, the pose of every
camera, and how far a camera's stamps lag behind the joints'. A tracker has one moment, whose offset
is its joint estimate; a calibration has many.
"""

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, Statistics

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
    """One image of the robot.

    Attributes:
        model: what the robot is rendered with.
        target: what the rendering is compared with.
        camera: index of the camera among the problem's.
        weight: factor on the image's cost; 0: the image is left out.
    """

    model: ImageModel
    target: ImageTarget
    camera: int = 0
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class JointPrior:
    """Soft knowledge of joint coordinates, e.g. encoders: mean [nq], sigma [nv] (inf: unknown)."""

    mean: Vector
    sigma: Vector


@dataclasses.dataclass(frozen=True)
class CameraPrior:
    """Soft knowledge of the camera pose: mean [4,4], sigma of the twist [6] in m and rad.

    With an information matrix [6,6] of the shift and turn in the mean's frame, that one counts.
    """

    mean: Matrix
    sigma: Vector
    information: Matrix | None = None


@dataclasses.dataclass(frozen=True)
class Moment:
    """One moment: the joints as read, and the images taken then.

    Attributes:
        q: joint positions [nq] that the offset is added to.
        views: images of this moment.
        velocity: joint velocity [nv], per s, where a camera's lag is looked for; None: at rest.
        sigma: noise of this moment's own readings [nv]; a joint with a sigma above 0 has a
            deviation of its own here, which the solver eliminates. None: readings are exact.
        priors: soft knowledge of the joints at this moment.
    """

    q: Vector
    views: Sequence[View]
    velocity: Vector | None = None
    sigma: Vector | None = None
    priors: Sequence[JointPrior] = ()


@dataclasses.dataclass(frozen=True)
class CameraUnknown:
    """What is known and looked for of one camera.

    Attributes:
        T: start [4,4]: T_base_camera, or T_link_camera of the link its targets name.
        free: whether the pose is looked for.
        prior: soft knowledge of the pose.
        lag_s: start of the lag: its images show the robot at their stamp plus the lag, by the
            joints' clock, s.
        lag_free: whether the lag is looked for.
        lag_sigma_s: how well the start of the lag is known, s; inf: not at all.
    """

    T: Matrix
    free: bool = False
    prior: CameraPrior | None = None
    lag_s: float = 0.0
    lag_free: bool = False
    lag_sigma_s: float = np.inf


@dataclasses.dataclass(frozen=True)
class Problem:
    """A least-squares problem in a joint offset, camera poses and lags.

    Attributes:
        moments: the moments.
        cameras: the cameras.
        joints: which joint velocities [nv] may be offset.
        lower: joint limits [nq], -inf where there is none.
        upper: joint limits [nq].
        offset_sigma: usual size of an offset [nv]; None: unknown.
        max_offset: largest offset.
        image_weight: factor on the image cost; below one because neighbouring pixels err together.
    """

    moments: Sequence[Moment]
    cameras: Sequence[CameraUnknown]
    joints: NDArray[np.bool_]
    lower: Vector
    upper: Vector
    offset_sigma: Vector | None = None
    max_offset: float = np.inf
    image_weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where each unknown lies in the normal equations.

    Attributes:
        offset: column of each joint velocity's offset [nv], -1 where held.
        camera: first of six columns (v, w) of each camera, -1 where held.
        lag: column of each camera's lag, -1 where held.
        count: number of columns.
    """

    offset: NDArray[np.int32]
    camera: tuple[int, ...]
    lag: tuple[int, ...]
    count: int

    @classmethod
    def of(cls, problem: Problem) -> "Layout":
        """Return offsets first, then the cameras' twists, then their lags."""
        offset = np.full(len(problem.joints), -1, np.int32)
        n = int(problem.joints.sum())
        offset[problem.joints] = np.arange(n, dtype=np.int32)
        camera, lag = [], []
        for c in problem.cameras:
            camera.append(n if c.free else -1)
            n += 6 * c.free
        for c in problem.cameras:
            lag.append(n if c.lag_free else -1)
            n += c.lag_free
        return cls(offset, tuple(camera), tuple(lag), n)


@dataclasses.dataclass(frozen=True)
class State:
    """Values of the unknowns.

    Attributes:
        q: joint positions of every moment [m,nq], with offset and deviations.
        offset: common to all moments [nv].
        deviation: of every moment [m,nv].
        T_cameras: pose of every camera [c,4,4].
        lag_s: of every camera [c].
    """

    q: Matrix
    offset: Vector
    deviation: Matrix
    T_cameras: NDArray[np.float64]
    lag_s: Vector

    @classmethod
    def start(cls, problem: Problem) -> "State":
        """Return the problem's own start: no offset, no deviation."""
        nv = len(problem.joints)
        return cls(
            np.stack([m.q for m in problem.moments]).astype(np.float64),
            np.zeros(nv),
            np.zeros((len(problem.moments), nv)),
            np.stack([c.T for c in problem.cameras]).astype(np.float64),
            np.array([c.lag_s for c in problem.cameras], np.float64),
        )


@dataclasses.dataclass(frozen=True)
class Solution:
    """The state found, the normal matrix there and how the solver got there.

    Attributes:
        state: what was found.
        layout: which unknown lies where in H.
        H: normal matrix of images and priors [p,p] (inverse covariance before any inflation), the
            moments' own deviations eliminated.
        gradients: what each moment's images pull at [m,p]; they add up to 0 without priors.
        informations: what each moment's images know [m,p,p].
        cost: images and priors.
        statistics: one per view, in the order of moments and their views.
        iterations: evaluations of the normal equations.
        stop_reason: why the solver stopped.
    """

    state: State
    layout: Layout
    H: Matrix
    gradients: Matrix
    informations: NDArray[np.float64]
    cost: float
    statistics: tuple[Statistics, ...]
    iterations: int
    stop_reason: StopReason

    @property
    def q(self) -> Vector:
        """Joint positions of the first moment [nq]."""
        return self.state.q[0]

    @property
    def T_camera(self) -> Matrix:
        """Pose of the first camera [4,4]."""
        return self.state.T_cameras[0]
