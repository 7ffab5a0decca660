"""From messages to estimates: what the pose estimator does with each frame, without a node."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.ros.camera_reader import CameraReader, Picture
from drrobot_ros.ros.camera_start import check_view, parent_frame, start_pose
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.frame_errors import FrameError, NotReadyError
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.library import Library
from drrobot_ros.ros.settings import PoseEstimatorSettings
from drrobot_ros.ros.synchronizer import Frame

Matrix = NDArray[np.float64]

#: How long a start waits for joint states where somebody publishes the topic.
JOINTS_WAIT_S = 1.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the images of a moment gave.

    Attributes:
        pictures: those that were used, in the order of the cameras.
        estimate: the tracker's.
        solve_time_s: time spent in the tracker.
        refused: why the images of other cameras were not used, by the camera's name.
    """

    pictures: tuple[Picture, ...]
    estimate: Any
    solve_time_s: float
    refused: Mapping[str, str]

    @property
    def header(self) -> Any:
        """Header of the first image."""
        return self.pictures[0].frame.image.header


class Pipeline:
    """Turns frames into estimates; used from one thread, but for :meth:`add_joint_state`.

    Args:
        library: loader, tracker and observation classes.
        settings: returns the node's current settings.
        config: returns the tracker's current configuration.
        diagnostics: is told what is wrong and what is well.
        camera_from_tf: (base frame or link, optical frame) -> pose [4, 4] or None.
        readers: one per camera.
    """

    def __init__(
        self,
        *,
        library: Library,
        settings: Callable[[], PoseEstimatorSettings],
        config: Callable[[], Any],
        diagnostics: Diagnostics,
        camera_from_tf: Callable[[str, str], Matrix | None],
        readers: Sequence[CameraReader],
    ) -> None:
        self._library, self._settings, self._config = library, settings, config
        self._diagnostics, self._camera_from_tf = diagnostics, camera_from_tf
        self.readers = {reader.name: reader for reader in readers}
        self._tracker: Any = None
        self._tracker_config: Any = None
        self._joints: JointInput | None = None
        self._started = False
        self._placed: set[str] = set()
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
        mounts = {
            name: self._library.mount(
                link=reader.settings.camera_link or None,
                estimate={"yes": True, "no": False}.get(reader.settings.estimate_pose),
            )
            for name, reader in self.readers.items()
        }
        try:
            tracker = self._library.tracker(model, gaussians, config, mounts)
        except InputError as error:
            self.load_problem = f"cannot use the cameras with this robot: {error}"
            raise
        joints = JointInput(model, settings.joint_prefix, self._diagnostics)
        self._joints = joints
        self._tracker, self._tracker_config, self.names = tracker, config, joints.names
        self.base_frame = settings.base_frame or model.base_link
        self.model = model
        self.restart()

    def restart(self) -> None:
        """Start afresh at the next frame, from the initial values."""
        self._started = False
        self._placed.clear()
        self._waiting_since_s = None

    def parent_frame(self, name: str) -> str:
        """Return the frame that a camera is fixed to: its link or the base."""
        return parent_frame(self.readers[name], self.base_frame)

    def add_joint_state(self, message: Any) -> None:
        """Take a joint state; says what is wrong with it."""
        joints = self._joints
        if joints is not None:
            joints.add(message)

    def process(self, frames: Mapping[str, Frame]) -> Outcome:
        """Return what the frames of a moment give, one of some or all cameras by name.

        Those that cannot be used are left out, as long as there is another.

        Raises:
            FrameError: none can be used (NotReadyError: not yet); the first one's reason.
        """
        if self._tracker is None:
            # A description that cannot be loaded is a fault of its own.
            raise NotReadyError("robot_description", self.load_problem, fault=False)
        refused: dict[str, FrameError] = {}
        pictures = self._each(frames, lambda n, frame: self.readers[n].read(frame), refused)
        self._use_current_config()
        pictures = self._start(pictures, refused)
        if not pictures:
            raise next(iter(refused.values()))
        for error in refused.values():
            self._diagnostics.fault(error.topic, f"{error}; going on without this camera", WARN)
        seen = tuple(pictures[n] for n in self.readers if n in pictures)
        observations = [self._observation(picture) for picture in seen]
        begin = time.perf_counter()
        estimate = self._tracker.update(observations)
        solve_time_s = time.perf_counter() - begin
        self._diagnostics.good("start")
        for picture in seen:
            self.readers[picture.name].used(picture)
        return Outcome(seen, estimate, solve_time_s, {n: str(e) for n, e in refused.items()})

    def render(self, outcome: Outcome, picture: Picture, camera: Any) -> tuple[Any, Any, Any]:
        """Return the robot at an estimate as a camera of a picture's pose renders it.

        Args:
            outcome: the estimate.
            picture: which camera.
            camera: intrinsics to render with.

        Returns:
            Colours [H, W, 3] 0..1, alpha [H, W] 0..1, depth [H, W] m (0: nothing).
        """
        return self._tracker.render(outcome.estimate, camera, picture.name)

    @staticmethod
    def _each(
        items: Mapping[str, Any],
        call: Callable[[str, Any], Any],
        refused: dict[str, FrameError],
    ) -> dict[str, Any]:
        """Return what a call gives for each camera; the cameras it fails for go to refused."""
        out = {}
        for name, item in items.items():
            try:
                out[name] = call(name, item)
            except FrameError as error:
                refused[name] = error
        return out

    def _observation(self, picture: Picture) -> Any:
        return self._library.observation(
            image=picture.image,
            camera=picture.camera,
            stamp_s=picture.stamp_ns * 1e-9,
            joint_positions=self._joints.known(picture.joints_s) if self._joints else None,
            camera_name=picture.name,
            **picture.planes,
        )

    def _use_current_config(self) -> None:
        config = self._config()
        if config is not self._tracker_config:
            self._tracker.config = self._tracker_config = config

    def _start(
        self, pictures: dict[str, Picture], refused: dict[str, FrameError]
    ) -> dict[str, Picture]:
        """Give the tracker what it has to start from; return the pictures of placed cameras."""
        new = {n: p for n, p in pictures.items() if n not in self._placed}
        if self._started and not new:
            return pictures
        if not self._started and pictures:
            first = next(iter(pictures.values()))
            self._start_q = self._initial_joints(self._settings(), first.joints_s)
        poses = self._each(new, lambda _, picture: self._initial_pose(picture), refused)
        if self._started:
            for name, T in poses.items():
                self._tracker.place(name, T)
        elif poses:
            self._tracker.reset(q=self._start_q, T_base_camera=poses)
            self._started = True
        self._placed |= poses.keys()
        return {n: p for n, p in pictures.items() if n in self._placed}

    def _initial_pose(self, picture: Picture) -> Matrix:
        """Return where a camera starts, in the frame it is fixed to."""
        reader = self.readers[picture.name]
        T = start_pose(reader, self.base_frame, self._camera_from_tf)
        check_view(reader, picture, T, self.model, self._start_q)
        return T

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
        if not settings.subscribe_joint_states or self._joints is None:
            return q
        measured = self._joints.at(stamp_s)
        if not np.isfinite(measured).any() and self.expect_joint_states():
            # The publisher may be another robot's, so there is an end to it.
            self._waiting_since_s = self._waiting_since_s or time.monotonic()
            if time.monotonic() - self._waiting_since_s < JOINTS_WAIT_S:
                raise NotReadyError("start", "waiting for the first joint_states", fault=False)
        return np.where(np.isfinite(measured), measured, q)
