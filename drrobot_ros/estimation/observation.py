"""What the tracker sees at one moment, and what it answers."""

import dataclasses
import enum
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.problem import StopReason
from drrobot_ros.geometry.camera import PinholeCamera


class TrackingState(enum.Enum):
    """How far the estimate can be believed."""

    TRACKING = "tracking"
    UNCERTAIN = "uncertain"
    LOST = "lost"


@dataclasses.dataclass(frozen=True)
class Observation:
    """One image of the robot.

    Attributes:
        image: [H,W,3] uint8 RGB, rectified.
        camera: its intrinsics; the size must be the image's.
        stamp_s: when it was taken, s.
        joint_positions: encoder readings [nq], NaN where unknown, or None.
        depth_m: depth along the optical axis [H,W] m, 0 or NaN where unknown, or None.
        mask: [H,W], true (or a probability 0..1) where the robot is seen, or None.
        ignore_mask: [H,W], true where the image is to be ignored, or None.
        camera_name: which of several cameras took it; None: the only or first one.
        joint_velocities: of the joints at this moment [nv], rad/s or m/s, or None.

    Raises:
        InputError: a plane of the wrong type or size.
    """

    image: NDArray[np.uint8]
    camera: PinholeCamera
    stamp_s: float
    joint_positions: NDArray[np.float64] | None = None
    depth_m: NDArray[np.float32] | None = None
    mask: NDArray | None = None
    ignore_mask: NDArray | None = None
    camera_name: str | None = None
    joint_velocities: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        if self.image.dtype != np.uint8 or self.image.shape != (*size, 3):
            raise InputError(
                f"image is {self.image.dtype} {list(self.image.shape)}; the camera says "
                f"uint8 {[*size, 3]}"
            )
        for name in ("depth_m", "mask", "ignore_mask"):
            plane = getattr(self, name)
            if plane is not None and plane.shape != size:
                raise InputError(f"{name} is {list(plane.shape)}; the image is {list(size)}")
        if not np.isfinite(self.stamp_s):
            raise InputError(f"stamp_s must be finite, got {self.stamp_s}")


@dataclasses.dataclass(frozen=True)
class CameraEstimate:
    """What the tracker believes of one camera after an image of it.

    Attributes:
        T: pose [4,4] in the base, or in the link that carries the camera.
        T_base_camera: pose in the base [4,4].
        covariance: of its twist (v, w) [6,6] in the camera's frame, m and rad; 0 if fixed.
        agreement: how far silhouette and image agree near the contour, 0..1.
        visible: pixels of the finest level the robot covers.
    """

    T: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    covariance: NDArray[np.float64]
    agreement: float
    visible: float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What the tracker believes after an image, or after one from each of some cameras.

    Attributes:
        stamp_s: of the image, s.
        q: joint positions [nq], rad or m.
        T_base_camera: pose of the (first) camera [4,4].
        covariance: of the free joint velocities, then the cameras' twists (v, w) [p,p].
        q_std: standard deviation per velocity coordinate [nv]; 0 where held fixed.
        camera_covariance: of the camera twist [6,6] in the camera's frame, m and rad; 0 if fixed.
        residual: mean absolute colour error inside the robot, 0..1.
        agreement: how far silhouette and image agree near the contour, 0..1.
        visible: pixels of the finest level the robot covers.
        iterations: evaluations of the normal equations.
        stop_reason: why the solver stopped.
        state: how far to believe it.
        solve_time_s: time the tracker took, s.
        cameras: each camera that took an image, by name.
        margin: lead over neighbouring poses, relative, below 0 where one explains the image better;
            None where it was not looked for yet.
        unobserved: what the images hardly show, in sentences.
        lag_s: how late the joint positions given are against the images, as found so far, s.
        lag_std_s: how well that is known, s; 0 where it is not estimated.
        searching: how the search for a lost robot is going, in words; empty where there is none.
    """

    stamp_s: float
    q: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    covariance: NDArray[np.float64]
    q_std: NDArray[np.float64]
    camera_covariance: NDArray[np.float64]
    residual: float
    agreement: float
    visible: float
    iterations: int
    stop_reason: StopReason
    state: TrackingState
    solve_time_s: float
    cameras: Mapping[str, CameraEstimate] = dataclasses.field(default_factory=dict)
    margin: float | None = None
    unobserved: tuple[str, ...] = ()
    searching: str = ""
    lag_s: float = 0.0
    lag_std_s: float = 0.0
