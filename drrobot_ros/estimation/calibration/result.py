"""What a calibration is given of a camera, and what it answers."""

import dataclasses
import enum
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import DrRobotError
from drrobot_ros.estimation.problem import Layout, StopReason

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class CalibrationCancelledError(DrRobotError):
    """The progress callback asked to stop."""


class Verdict(enum.Enum):
    """How far a calibration can be believed."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationCamera:
    """What is known of a camera beforehand.

    Attributes:
        T: start of its pose [4,4] in the base, or in the link that carries it.
        link: the link that carries it; None: it is fixed to the base.
        estimate: whether its pose is looked for; None: as the configuration says.
        sigma_m: how wrong the start's position may be, m; None: as the configuration says.
        sigma_rad: how wrong its orientation may be, rad; None: as the configuration says.
        lag_s: start of its lag: an image of stamp t shows the robot at the joints' time t + lag, s.
        turns: about the optical axis that the start may have beside none, rad: nobody said how the
            camera is mounted, and what fits the images best is taken.
    """

    T: Matrix
    link: str | None = None
    estimate: bool | None = None
    sigma_m: float | None = None
    sigma_rad: float | None = None
    lag_s: float = 0.0
    turns: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """Where a calibration is.

    Attributes:
        stage: name of the stage.
        step: how many steps are done.
        steps: of how many.
        message: for people.
        cameras: poses so far, by name.
        offsets: so far [nv].
        lags_s: so far, by camera.
        residuals: of every view [v]; NaN where not known yet.
        overlay: (view) -> its image [H,W,3] uint8 with the robot's contour as estimated.
    """

    stage: str
    step: int
    steps: int
    message: str
    cameras: Mapping[str, Matrix]
    offsets: Vector
    lags_s: Mapping[str, float]
    residuals: Vector
    overlay: Callable[[int], NDArray[np.uint8]]


@dataclasses.dataclass(frozen=True, eq=False)
class CameraResult:
    """One camera as calibrated.

    Attributes:
        T: pose [4,4] in the base, or in the link that carries it.
        link: the link that carries it; None: fixed to the base.
        covariance: of the twist (v, w) in the camera's frame, m and rad [6,6]; 0 if held.
        lag_s: an image of stamp t shows the robot at the joints' time t + lag, s.
        lag_std_s: its standard deviation; 0 if held.
    """

    T: Matrix
    link: str | None
    covariance: Matrix
    lag_s: float
    lag_std_s: float

    @property
    def std_m(self) -> float:
        """Standard deviation of the position, along its worst direction, m."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[:3, :3]).max()))

    @property
    def std_rad(self) -> float:
        """Standard deviation of the orientation, about its worst axis, rad."""
        return float(np.sqrt(np.linalg.eigvalsh(self.covariance[3:, 3:]).max()))


@dataclasses.dataclass(frozen=True)
class KeyframeResult:
    """How one image fits.

    Attributes:
        index: of the observation it belongs to.
        camera: name of its camera.
        stamp_s: when it was taken, s.
        residual: mean absolute silhouette error over the robot's area.
        residual_before: the same at the given start.
        agreement: how far image and rendering agree near the contour, 0..1.
        weight: how much it counted, 0..1.
        rejected: whether it was left out.
        reason: why it was left out, or counts less; empty where it counts fully.
    """

    index: int
    camera: str
    stamp_s: float
    residual: float
    residual_before: float
    agreement: float
    weight: float
    rejected: bool
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationResult:
    """What was found.

    Attributes:
        cameras: by name.
        joint_names: the joints whose offset was looked for.
        offsets: to add to the readings [nv], rad or m; 0 where held.
        offset_std: standard deviations [nv]; 0 where held.
        covariance: of all unknowns [p,p], in the order of `layout`; a camera's twist turns about
            the robot's base (or the carrying link's origin), see `cameras` for the lens.
        layout: which unknown lies where.
        keyframes: one per image.
        at_limit: joints whose offset is pressed against a limit.
        unobservable: what the images do not show, in words.
        verdict: how far to believe it.
        reasons: why it is not better; empty where it is good.
        stop_reason: why the last stage ended.
        iterations: evaluations of all images.
        solve_time_s: time it took, s.
    """

    cameras: Mapping[str, CameraResult]
    joint_names: tuple[str, ...]
    offsets: Vector
    offset_std: Vector
    covariance: Matrix
    layout: Layout
    keyframes: tuple[KeyframeResult, ...]
    at_limit: tuple[str, ...]
    unobservable: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    stop_reason: StopReason
    iterations: int
    solve_time_s: float

    @property
    def residuals(self) -> Vector:
        """Residual of every image [v]."""
        return np.array([k.residual for k in self.keyframes])

    @property
    def residuals_before(self) -> Vector:
        """The same at the given start [v]."""
        return np.array([k.residual_before for k in self.keyframes])
