"""The motion of a robot in a video: the tracker as an inverse dynamics model.

Twice through the video: first joints and camera together, then, the camera held where all images
together put it, the joints alone. What each image says is smoothed forward and backward by how sure
it is, and brought within what the robot can do (Dr. Robot, section 3.3.2, reads joints image by
image from a generated video).
"""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goals import PictureGoal, VideoGoal
from drrobot_ros.control.imitation import Imitator
from drrobot_ros.control.optimizers import StoppedError, StopReason
from drrobot_ros.control.picture_search import PictureSearch
from drrobot_ros.control.smoothing import smooth, within_limits
from drrobot_ros.errors import InputError
from drrobot_ros.estimation import Estimate, Observation, Tracker, TrackerConfig, TrackingState
from drrobot_ros.rendering.overlay import overlay_image

Matrix = NDArray[np.float64]
Image = NDArray[np.uint8]

_ACCELERATION = 6.0  # rad/s^2: of motions worth imitating
_NEAR_RAD = 0.1  # how wrong the first image's joints may be, once searched
_AGAIN_RAD = 0.3  # how far they are searched again, once the camera is known
_SEEN = 0.3  # share of the images that must show the robot
_VAGUE_RAD = 0.5  # an estimate less sure than this says nothing

#: Told of (what is done, fraction, doubt 0..1, motion so far [T,nq]); returns False to stop.
Told = Callable[[str, float, float, Matrix], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class VideoMotion:
    """What a video shows.

    Attributes:
        q: smoothed joint positions [T,nq].
        q_std: their standard deviations [T,nq].
        raw: image by image [T,nq]; NaN where the robot was lost.
        times_s: [T].
        T_base_camera: where the camera was [4,4].
        agreement: of silhouettes and images, mean, 0..1.
        believed: share of the images whose estimate is believed.
        overlay: the last image with the robot as found.
        stop_reason: why it stopped.
        curve: 1 - agreement, image by image: (step, value).
    """

    q: Matrix
    q_std: Matrix
    raw: Matrix
    times_s: NDArray[np.float64]
    T_base_camera: NDArray[np.float64]
    agreement: float
    believed: float
    overlay: Image | None
    stop_reason: StopReason
    curve: tuple[tuple[int, float], ...]


def joints_from_video(
    to: Imitator,
    goal: VideoGoal,
    told: Told | None = None,
    search: PictureSearch | None = None,
) -> VideoMotion:
    """Return the joint positions that a video shows, image by image.

    Args:
        to: the robot and its camera: intrinsics, and the pose, roughly or exactly as the goal says;
            the first image shows the robot near `start`, by `config.start_spread`.
        goal: the video.
        told: of progress, at every image; returns False to stop.
        search: finds the joints of the first image; made if None.

    Raises:
        InputError: the images are not of the viewpoint's size, or show no robot.
    """
    view = to.view
    height, width = goal.images[0].shape[:2]
    if (width, height) != (view.camera.width, view.camera.height):
        raise InputError(
            f"the video is {width}x{height}, the viewpoint {view.camera.width}x{view.camera.height}"
        )
    return _Run(to, goal, told, search or PictureSearch(to.model, to.gaussians)).solve()


class _Run:
    def __init__(
        self, to: Imitator, goal: VideoGoal, told: Told | None, search: PictureSearch
    ) -> None:
        self._model, self._gaussians, self._goal, self._view = to.model, to.gaussians, goal, to.view
        self._start, self._limits, self._free = to.start, to.limits, to.free
        self._config, self._told, self._search = to.config, told, search
        self._times = np.arange(len(goal.images)) / goal.rate_hz
        budget_s = to.config.budget_s
        self._end = time.perf_counter() + budget_s if budget_s else None
        self._curve: list[tuple[int, float]] = []
        self._q = np.tile(to.start, (len(goal.images), 1))

    def solve(self) -> VideoMotion:
        reason, T = StopReason.CONVERGED, self._view.T_base_camera
        estimates: list[Estimate] = []
        try:
            start, spread = self._start, self._config.start_spread
            if not self._goal.camera_known:
                first = self._first(T, start, spread)
                estimates = self._pass(T, True, first, _NEAR_RAD, 0.0)
                T = _middle_pose(estimates)
                start, spread = estimates[0].q, min(spread, _AGAIN_RAD)
            estimates = self._pass(T, False, self._first(T, start, spread), _NEAR_RAD, 0.5)
        except StoppedError as stopped:
            reason = stopped.reason
        return self._told_of(estimates, T, reason)

    def _first(
        self, T: NDArray[np.float64], start: NDArray[np.float64], spread: float
    ) -> NDArray[np.float64]:
        """Return the joint positions of the first image, searched around a start."""
        picture = PictureGoal(np.ascontiguousarray(self._goal.images[0]))
        config = dataclasses.replace(self._config, start_spread=max(spread, 0.05), budget_s=0.0)

        def told(what: str, fraction: float, score: float, q: NDArray[np.float64]) -> bool:
            self._q[:] = q
            del what, fraction, score
            late = self._end is not None and time.perf_counter() > self._end
            return not late and (self._told is None or self._told("searching", 0.0, 1.0, self._q))

        view = Viewpoint(self._view.camera, T)
        found = self._search.find(picture, view, start, self._limits, self._free, config, told)
        if found.stop_reason is StopReason.CANCELED:
            late = self._end is not None and time.perf_counter() > self._end
            raise StoppedError(StopReason.BUDGET if late else StopReason.CANCELED)
        return found.q

    def _tracker(self, camera: bool, spread: float) -> Tracker:
        sigma = min(max(spread, 0.05), 3.0)
        config = TrackerConfig(
            estimate_camera=camera,
            budget_ms=0.0,
            start_sigma_rad=sigma,
            search_hypotheses=2000,
            # What is held has encoders, so to speak; more exact ones would narrow the search for
            # the others too.
            encoder_sigma_rad=0.0 if self._free.all() else 0.4 * sigma,
        )
        return Tracker(self._model, self._gaussians, config)

    def _pass(
        self,
        T: NDArray[np.float64],
        camera: bool,
        start: NDArray[np.float64],
        spread: float,
        done: float,
    ) -> list[Estimate]:
        """Go through the video once; return an estimate per image."""
        tracker = self._tracker(camera, spread)
        tracker.reset(start, T)
        readings = None if self._free.all() else np.where(self._free, np.nan, self._start)
        found: list[Estimate] = []
        images = self._goal.images
        for t, image in enumerate(images):
            observation = Observation(
                np.ascontiguousarray(image), self._view.camera, float(self._times[t]), readings
            )
            estimate = tracker.update(observation)
            found.append(estimate)
            self._q[t:] = estimate.q
            doubt = 1 - float(np.mean([e.agreement for e in found]))
            self._curve.append((len(self._curve), 1 - estimate.agreement))
            what = "reading joints and camera" if camera else "reading joints"
            share = done + (1 - done if done or not camera else 0.5) * (t + 1) / len(images)
            if self._told is not None and not self._told(what, share, doubt, self._q):
                raise StoppedError(StopReason.CANCELED)
            if self._end is not None and time.perf_counter() > self._end:
                raise StoppedError(StopReason.BUDGET)
        self._check(found)
        self._tracker_used = tracker
        return found

    def _check(self, estimates: Sequence[Estimate]) -> None:
        lost = sum(e.state is TrackingState.LOST for e in estimates)
        believed = sum(e.state is TrackingState.TRACKING for e in estimates)
        if lost > (1 - _SEEN) * len(estimates) or not believed:
            raise InputError(
                f"the video shows no such robot: of {len(estimates)} images {believed} are "
                f"believed, in {lost} it is lost. Is the viewpoint roughly where the video's "
                "camera was, and the start near the first pose?"
            )

    def _told_of(
        self, estimates: Sequence[Estimate], T: NDArray[np.float64], reason: StopReason
    ) -> VideoMotion:
        n = self._model.nq
        if not estimates:
            std = np.full_like(self._q, np.nan)
            return VideoMotion(
                self._q, std, self._q, self._times, T, 0.0, 0.0, None, reason, tuple(self._curve)
            )
        raw = np.stack([e.q for e in estimates])
        believed = np.array([e.state is TrackingState.TRACKING for e in estimates])
        usable = np.array([e.state is not TrackingState.LOST for e in estimates])
        covariance = np.stack([e.covariance[:n, :n] for e in estimates])
        # An image that is doubted counts less, and silhouettes err by more than pixels' noise.
        covariance = covariance * np.where(believed, 1.0, 16.0)[:, None, None]
        covariance = covariance + 1e-6 * np.eye(n)
        vague = np.sqrt(np.einsum("tii->ti", covariance)).max(1) > _VAGUE_RAD
        seen = raw.copy()
        seen[~usable | (vague & ~believed)] = np.nan
        if not np.isfinite(seen).any():
            seen = raw
        q, _, spread = smooth(seen, covariance, self._times, _ACCELERATION)
        velocity = np.asarray(self._model.velocity_limit, float)
        fastest = np.where(np.isfinite(velocity), velocity, 10.0)
        q = within_limits(
            q,
            self._times,
            fastest,
            np.full(n, 5 * _ACCELERATION),
            self._limits.lower,
            self._limits.upper,
        )
        q = np.where(self._free, np.clip(q, self._limits.lower, self._limits.upper), self._start)
        std = np.sqrt(np.maximum(np.einsum("tii->ti", spread)[:, :n], 0))
        last = estimates[-1]
        rgb, alpha, _ = self._tracker_used.render(last, self._view.camera)
        return VideoMotion(
            q,
            std,
            seen,
            self._times,
            T,
            float(np.mean([e.agreement for e in estimates])),
            float(believed.mean()),
            overlay_image(np.asarray(self._goal.images[-1]), rgb, alpha),
            reason,
            tuple(self._curve),
        )


def _middle_pose(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """Return the camera pose that the later, believed images agree on: the median of each."""
    from scipy.spatial.transform import Rotation

    late = [e for e in estimates[len(estimates) // 2 :] if e.state is TrackingState.TRACKING]
    poses = np.stack([e.T_base_camera for e in late or estimates])
    T = np.eye(4)
    T[:3, :3] = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    T[:3, 3] = np.median(poses[:, :3, 3], axis=0)
    return T
