"""From messages to estimates: what the pose estimator does with each frame, without a node."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.ros import conversions, images
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.joints import JointHistory, JointNames
from drrobot_ros.ros.library import Library
from drrobot_ros.ros.settings import PoseEstimatorSettings
from drrobot_ros.ros.synchronizer import Frame

Matrix = NDArray[np.float64]

#: How long a start waits for joint states where somebody publishes the topic.
JOINTS_WAIT_S = 1.0


class FrameError(InputError):
    """A frame that cannot be used; ``topic`` says whose fault it is."""

    def __init__(self, topic: str, message: str) -> None:
        super().__init__(message)
        self.topic = topic


class NotReadyError(FrameError):
    """A frame that cannot be used yet; ``topic`` says what is still missing.

    Attributes:
        fault: whether somebody has to do something about it.
    """

    def __init__(self, topic: str, message: str, *, fault: bool = True) -> None:
        super().__init__(topic, message)
        self.fault = fault


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a frame gave: the tracker's estimate, what it was made from, and the time spent."""

    frame: Frame
    image: NDArray[np.uint8]
    camera: Any
    estimate: Any
    solve_time_s: float


class Pipeline:
    """Turns frames into estimates; used from one thread, but for :meth:`add_joint_state`.

    Args:
        library: loader, tracker and observation classes.
        settings: returns the node's current settings.
        config: returns the tracker's current configuration.
        diagnostics: is told what is wrong and what is well.
        camera_from_tf: (base frame, optical frame) -> T_base_camera or None.
        rectified: whether the images are.
    """

    def __init__(
        self,
        *,
        library: Library,
        settings: Callable[[], PoseEstimatorSettings],
        config: Callable[[], Any],
        diagnostics: Diagnostics,
        camera_from_tf: Callable[[str, str], Matrix | None],
        rectified: bool,
    ) -> None:
        self._library, self._settings, self._config = library, settings, config
        self._diagnostics, self._camera_from_tf = diagnostics, camera_from_tf
        self._rectified = rectified
        self._tracker: Any = None
        self._tracker_config: Any = None
        self._last_stamp_ns: int | None = None
        self._info_camera: tuple[Any, Any] | None = None
        self._history: JointHistory | None = None
        self._started = False
        self._waiting_since_s: float | None = None
        self.expect_joint_states: Callable[[], bool] = lambda: False
        self.load_problem = "waiting for a robot description"
        self.model: Any = None
        self.names: JointNames | None = None
        self.base_frame = ""

    def load(self, description: str | None) -> None:
        """Load the robot, from its description or as the settings say.

        Raises:
            InputError: it cannot be loaded; the robot there was before is kept.
        """
        settings = self._settings()
        try:
            model, gaussians = self._library.load_robot(settings, description)
        except Exception as error:
            self.load_problem = f"cannot load the robot: {error}"
            raise
        config = self._config()
        tracker = self._library.tracker(model, gaussians, config)
        names = JointNames.of(model, settings.joint_prefix)
        self._history = JointHistory(model.nq)
        self._tracker, self._tracker_config, self.names = tracker, config, names
        self.base_frame = settings.base_frame or model.base_link
        self.model = model
        self.restart()

    def restart(self) -> None:
        """Start afresh at the next frame, from the initial values."""
        self._started = False
        self._waiting_since_s = None

    def add_joint_state(self, message: Any) -> None:
        """Take a joint state; says what is wrong with it."""
        names, history = self.names, self._history
        if names is None or history is None:
            return
        topic = "joint_states"
        try:
            q, velocity = names.read(message)
        except InputError as error:
            self._diagnostics.fault(topic, str(error))
            return
        if message.name and names.index.keys().isdisjoint(message.name):
            return  # another robot's
        if history.add(conversions.stamp_to_s(message.header.stamp), q, velocity):
            self._diagnostics.fault(topic, "stamps jumped back; starting afresh from there", WARN)
        missing = names.missing(history.latest())
        bad = [n for n in message.name if n in names.index and np.isnan(q[names.index[n]])]
        if bad:
            text = f"no finite position for joint {', '.join(bad)}"
            self._diagnostics.fault(topic, text, cause="not finite")
        elif missing:
            text = f"no position was ever given for joint {', '.join(missing)}"
            self._diagnostics.fault(topic, text, WARN)
        else:
            self._diagnostics.good(topic)

    def process(self, frame: Frame) -> Outcome:
        """Return what a frame gives.

        Raises:
            FrameError: it cannot be used (NotReadyError: not yet).
        """
        if self._tracker is None:
            # A description that cannot be loaded is a fault of its own.
            raise NotReadyError("robot_description", self.load_problem, fault=False)
        image = self._read("image", images.image_to_rgb, frame.image)
        camera = self._camera(frame, image)
        stamp_ns = self._check_stamp(frame)
        stamp_s = stamp_ns * 1e-9
        observation = self._library.observation(
            image=image,
            camera=camera,
            stamp_s=stamp_s,
            joint_positions=self._joints(stamp_s),
            **self._extras(frame, image),
        )
        self._use_current_config()
        if not self._started:
            self._start(frame.image.header.frame_id, stamp_s)
        begin = time.perf_counter()
        estimate = self._tracker.update(observation)
        solve_time_s = time.perf_counter() - begin
        self._last_stamp_ns = stamp_ns
        for topic in ("image", "camera_info", "start"):
            self._diagnostics.good(topic)
        return Outcome(frame, image, camera, estimate, solve_time_s)

    def render(self, outcome: Outcome) -> tuple[Any, Any]:
        """Return the rendered robot at an estimate: colours [H, W, 3] 0..1, alpha [H, W]."""
        rgb, alpha, _ = self._tracker.render(outcome.estimate, outcome.camera)
        return rgb, alpha

    def _read(self, topic: str, read: Callable[[Any], Any], message: Any) -> Any:
        try:
            return read(message)
        except InputError as error:
            raise FrameError(topic, str(error)) from error

    def _camera(self, frame: Frame, image: NDArray[np.uint8]) -> Any:
        info = frame.info
        if info is None:
            raise NotReadyError("camera_info", "waiting for camera_info")
        if self._info_camera is None or self._info_camera[0] != _calibration(info):
            camera = self._read(
                "camera_info",
                lambda i: conversions.camera_from_info(i, rectified=self._rectified),
                info,
            )
            self._info_camera = (_calibration(info), camera)
            if not self._rectified and conversions.is_distorted(info):
                self._diagnostics.fault(
                    "calibration",
                    "the image is not rectified and the lens distorts it (d = "
                    f"{list(info.d)}), which is not modelled; rectify it, e.g. with image_proc",
                    WARN,
                )
        camera = self._info_camera[1]
        height, width = image.shape[:2]
        if (camera.width, camera.height) != (width, height):
            raise FrameError(
                "camera_info",
                f"image is {width}x{height}, but camera_info says "
                f"{camera.width}x{camera.height} (binning and region of interest applied)",
            )
        return camera

    def _check_stamp(self, frame: Frame) -> int:
        stamp_ns = conversions.stamp_to_ns(frame.image.header.stamp)
        if stamp_ns == 0:
            raise FrameError("image", "the image has no stamp")
        last = self._last_stamp_ns
        if last is None:
            return stamp_ns
        if stamp_ns == last:
            raise FrameError("image", f"a second image of stamp {stamp_ns * 1e-9:.6f}")
        ahead_s = (stamp_ns - last) * 1e-9
        if ahead_s < 0:
            self._diagnostics.fault(
                "stamps",
                f"image stamps jumped back by {-ahead_s:.3f} s; going on from there",
                WARN,
                cause="back",
            )
            # The tracker sees the jump itself and forgets the motion, not the pose; the joints'
            # history forgets when their stamps jump.
        return stamp_ns

    def _joints(self, stamp_s: float) -> NDArray[np.float64] | None:
        if self._history is None:
            return None
        q = self._history.at(stamp_s)
        if np.isfinite(q).any():
            self._diagnostics.good("joint_states age")
            return q
        newest_s = self._history.newest_s()
        if newest_s is not None:
            self._diagnostics.fault(
                "joint_states age",
                f"the newest joint state is {stamp_s - newest_s:.3f} s older than the image; "
                "going on without",
                WARN,
                cause="old",
            )
        return None

    def _extras(self, frame: Frame, image: NDArray[np.uint8]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for topic, message in frame.extras.items():
            read = images.image_to_depth if topic == "depth" else images.image_to_mask
            try:
                array = read(message)
                if array.shape != image.shape[:2]:
                    raise InputError(
                        f"{topic} is {array.shape[1]}x{array.shape[0]}, but image is "
                        f"{image.shape[1]}x{image.shape[0]}"
                    )
            except InputError as error:
                self._diagnostics.fault(topic, f"{error}; going on without it")
                continue
            found["depth_m" if topic == "depth" else topic] = array
            self._diagnostics.good(topic)
        return found

    def _use_current_config(self) -> None:
        config = self._config()
        if config is not self._tracker_config:
            self._tracker.config = self._tracker_config = config

    def _start(self, optical_frame: str, stamp_s: float) -> None:
        settings = self._settings()
        q = self._initial_joints(settings, stamp_s)
        if settings.initial_camera_pose:
            T = conversions.matrix_from_numbers(settings.initial_camera_pose)
        else:
            T = self._camera_from_tf(self.base_frame, optical_frame)
        if T is None:
            raise NotReadyError(
                "start",
                f"no camera pose to start from: set initial_camera_pose, or connect "
                f"{self.base_frame!r} with {optical_frame!r} on tf",
            )
        self._tracker.reset(q=q, T_base_camera=T)
        self._started = True

    def _initial_joints(
        self, settings: PoseEstimatorSettings, stamp_s: float
    ) -> NDArray[np.float64]:
        q = np.asarray(self.model.neutral()).astype(np.float64)
        given = settings.initial_joint_positions
        if given:
            if len(given) != self.model.nq:
                raise FrameError(
                    "start",
                    f"initial_joint_positions has {len(given)} numbers, the model has "
                    f"{self.model.nq}: {', '.join(self.model.joint_names)}",
                )
            return np.array(given)
        if not settings.subscribe_joint_states or self._history is None:
            return q
        measured = self._history.at(stamp_s)
        if not np.isfinite(measured).any() and self.expect_joint_states():
            # The publisher may be another robot's, so there is an end to it.
            self._waiting_since_s = self._waiting_since_s or time.monotonic()
            if time.monotonic() - self._waiting_since_s < JOINTS_WAIT_S:
                raise NotReadyError("start", "waiting for the first joint_states", fault=False)
        return np.where(np.isfinite(measured), measured, q)


def _calibration(info: Any) -> tuple[Any, ...]:
    """Return what of a CameraInfo makes the camera."""
    roi = info.roi
    return (
        info.width,
        info.height,
        tuple(info.k),
        tuple(info.p),
        tuple(info.d),
        (info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
        info.header.frame_id,
    )
