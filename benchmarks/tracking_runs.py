"""Runs of the tracker on a video with known truth, and what is said of them."""

import dataclasses
import time

import numpy as np
from tracking_scenes import CAMERA

from drrobot_ros.estimation import Observation, Tracker, TrackingState
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.simulation import RenderedVideo

SETTLE = 15  # images left to converge before errors count
LAST = 15  # images at the end that say whether a video was tracked to the end
WRONG_DEG, WRONG_MM = 5.0, 30.0


@dataclasses.dataclass(frozen=True)
class Start:
    """What the tracker is told of a video, and how wrong.

    Attributes:
        joints_deg: error of every joint of the start.
        camera_m: distance of the camera of the start from the true one.
        camera_deg: its turn.
        encoder_bias_deg: standard deviation of each joint's constant error; None: no encoders.
        encoder_noise_deg: of each reading.
        encoder_delay_s: how late readings are.
        mask: the true silhouette is given.
        depth: depth images are given.
    """

    joints_deg: float = 5.0
    camera_m: float = 0.0
    camera_deg: float = 0.0
    encoder_bias_deg: float | None = None
    encoder_noise_deg: float = 0.1
    encoder_delay_s: float = 0.0
    mask: bool = False
    depth: bool = False


@dataclasses.dataclass(frozen=True)
class Run:
    """Errors and claims of one video, per image.

    Attributes:
        joints_deg: absolute errors [F, 7].
        joints_std_deg: claimed standard deviations [F, 7].
        camera_mm: error of the camera's position [F].
        camera_deg: and of its orientation [F].
        camera_std: of the claimed camera twist [F, 6], m and rad; 0 where the camera is known.
        camera_error: the twist from the true camera to the estimate [F, 6].
        believed: the state was `tracking` [F].
        lost: the state was `lost` [F].
        agreement: of silhouette and image [F].
        margin: lead over neighbouring poses [F], NaN before it was looked for.
        lag_s: delay of the readings as estimated [F].
        wall_s: time of each image [F].
        cpu_s: CPU time of each image [F].
    """

    joints_deg: np.ndarray
    joints_std_deg: np.ndarray
    camera_mm: np.ndarray
    camera_deg: np.ndarray
    camera_std: np.ndarray
    camera_error: np.ndarray
    believed: np.ndarray
    lost: np.ndarray
    agreement: np.ndarray
    margin: np.ndarray
    lag_s: np.ndarray
    wall_s: np.ndarray
    cpu_s: np.ndarray

    @property
    def tracked(self) -> bool:
        """Whether the worst of joints 1-6 ends, in the median of the last images, under 2 deg."""
        return float(np.median(self.joints_deg[-LAST:, :6], axis=0).max()) < 2.0

    @property
    def flagged(self) -> np.ndarray:
        """Where the estimate says of itself that it may be that wrong [F].

        Its state is not `tracking`, or it gives a joint or the camera a deviation so large that
        the limit of `wrong` lies within one of them.
        """
        vague = self.joints_std_deg[:, :6].max(1) > WRONG_DEG
        vague |= 1e3 * np.linalg.norm(self.camera_std[:, :3], axis=1) > WRONG_MM
        return ~self.believed | vague

    @property
    def wrong(self) -> np.ndarray:
        """Where a joint of 1-6 is more than 5 deg off or the camera more than 30 mm [F]."""
        return (self.joints_deg[:, :6].max(1) > WRONG_DEG) | (self.camera_mm > WRONG_MM)


def follow(tracker: Tracker, video: RenderedVideo, start: Start, seed: int) -> Run:
    """Track one video from a wrong start."""
    rng = np.random.default_rng(seed)
    nq = video.q.shape[1]
    q0 = video.q[0] + np.radians(start.joints_deg) * rng.choice([-1, 1], nq)
    T0 = video.T_base_camera[0] @ _small_motion(rng, start.camera_m, start.camera_deg)
    tracker.reset(q0, T0)
    bias = np.radians(start.encoder_bias_deg or 0.0) * rng.normal(size=nq)
    rows = []
    for i, frame in enumerate(video):
        readings = None
        if start.encoder_bias_deg is not None:
            noise = np.radians(start.encoder_noise_deg) * rng.normal(size=nq)
            readings = delayed(video, i, start.encoder_delay_s) + bias + noise
        observation = Observation(
            frame.rgb,
            CAMERA,
            i / video.rate_hz,
            joint_positions=readings,
            mask=frame.mask if start.mask else None,
            depth_m=frame.depth_m if start.depth else None,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        estimate = tracker.update(observation)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        twist = camera_twist(frame.T_base_camera, estimate.T_base_camera)
        rows.append(
            (
                np.degrees(np.abs(estimate.q - frame.q))[:7],
                np.degrees(estimate.q_std)[:7],
                1e3 * np.linalg.norm(twist[:3]),
                np.degrees(np.linalg.norm(twist[3:])),
                np.sqrt(np.diag(estimate.camera_covariance)),
                twist,
                estimate.state is TrackingState.TRACKING,
                estimate.state is TrackingState.LOST,
                estimate.agreement,
                np.nan if estimate.margin is None else estimate.margin,
                estimate.lag_s,
                wall,
                cpu,
            )
        )
    return Run(*(np.array(column) for column in zip(*rows, strict=True)))


def delayed(video: RenderedVideo, i: int, delay_s: float) -> np.ndarray:
    """Return the joints [nq] so long before image i; before the first they went on as then."""
    at = i - delay_s * video.rate_hz
    first = int(np.clip(np.floor(at), 0, len(video.q) - 2))
    return video.q[first] + (at - first) * (video.q[first + 1] - video.q[first])


def camera_twist(T_true: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return shift and turn [6] from the true camera to an estimate, in the true one's axes."""
    from scipy.spatial.transform import Rotation

    local = np.linalg.inv(T_true) @ T
    return np.r_[local[:3, 3], Rotation.from_matrix(local[:3, :3]).as_rotvec()]


def _small_motion(rng: np.random.Generator, shift_m: float, turn_deg: float) -> np.ndarray:
    direction, axis = rng.normal(size=(2, 3))
    twist = np.zeros(6)
    twist[3:] = np.radians(turn_deg) * axis / np.linalg.norm(axis)
    T = exp_se3(twist)
    T[:3, 3] = shift_m * direction / np.linalg.norm(direction)
    return T
