"""From the cameras' messages to the observations of a calibration."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from drrobot_ros.ros import tf
from drrobot_ros.ros.calibration_run import CalibrationRun
from drrobot_ros.ros.camera_reader import CameraReader, Picture
from drrobot_ros.ros.camera_start import check_view, parent_frame, start_pose
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.frame_errors import FrameError
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.library import CalibrationLibrary
from drrobot_ros.ros.synchronizer import Frame


class CalibrationIntake:
    """Feeds a calibration with what the cameras see; used from one thread.

    Args:
        library: observation and camera classes.
        calibration: is fed.
        readers: of the cameras, by name.
        robot: the model and the name of its base frame.
        joints: the measured joints.
        frames: tf, as heard.
        diagnostics: is told of images that cannot be used.
    """

    def __init__(
        self,
        library: CalibrationLibrary,
        calibration: CalibrationRun,
        readers: Mapping[str, CameraReader],
        *,
        robot: tuple[Any, str],
        joints: JointInput,
        frames: tf.FrameTree,
        diagnostics: Diagnostics,
    ) -> None:
        self._library, self._calibration, self._readers = library, calibration, readers
        self._model, self._base_frame = robot
        self._joints, self._frames, self._diagnostics = joints, frames, diagnostics

    def take(self, frames: Mapping[str, Frame]) -> None:
        """Offer what the cameras saw at one moment, as far as it can be used."""
        pictures = []
        for name, frame in frames.items():
            reader = self._readers[name]
            try:
                picture = reader.read(frame)
                self._place(reader, picture)
            except FrameError as error:
                self._diagnostics.fault(error.topic, str(error), WARN)
                self._calibration.refuse(f"{error.topic}: {error}")
                continue
            reader.used(picture)
            pictures.append(picture)
        if pictures:
            self._calibration.offer(pictures, [self._observation(p) for p in pictures])

    def _place(self, reader: CameraReader, picture: Picture) -> None:
        """Say where a camera starts, with its first picture."""
        if self._calibration.knows(reader.name):
            return
        T = start_pose(reader, self._base_frame, self._frames.lookup)
        q = self._joints.at(picture.joints_s)
        q = np.where(np.isfinite(q), q, self._model.neutral())
        check_view(reader, picture, T, self._model, q)
        settings = reader.settings
        known = self._library.camera(
            T=T,
            link=settings.camera_link or None,
            estimate=False if settings.estimate_pose == "no" else None,
            lag_s=settings.time_offset_s,
        )
        parent = parent_frame(reader, self._base_frame)
        body = tf.camera_body(self._frames, parent, reader.optical_frame)
        names = self._library.frames(reader.optical_frame, *(body or ()))
        self._calibration.place(reader.name, known, names)

    def _observation(self, picture: Picture) -> Any:
        # The lag that is looked for contains the offset that is known: joints are read at the
        # image's own stamp.
        stamp_s = picture.stamp_ns * 1e-9
        return self._library.observation(
            image=picture.image,
            camera=picture.camera,
            stamp_s=stamp_s,
            joint_positions=self._joints.known(stamp_s),
            joint_velocities=self._joints.velocity(stamp_s),
            camera_name=picture.name,
            **picture.planes,
        )
