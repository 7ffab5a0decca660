"""From the messages of one camera to arrays: decoded, checked, without lens distortion."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.geometry.raw_view import RawView
from drrobot_ros.ros import conversions, images
from drrobot_ros.ros.diagnostics import WARN, Diagnostics
from drrobot_ros.ros.frame_errors import FrameError, NotReadyError
from drrobot_ros.ros.settings import CameraSettings
from drrobot_ros.ros.synchronizer import Frame


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of one camera, and what belongs to it.

    Attributes:
        name: of the camera; empty where there is one only.
        frame: the messages.
        raw: the image as it came, uint8 [H, W, 3].
        image: the image without lens distortion, of the same size.
        camera: intrinsics of `image`.
        view: how the robot, once rendered, looks in `raw`.
        planes: depth_m, mask, ignore_mask [H, W] as far as they came, without distortion.
        stamp_ns: of the image.
        time_offset_s: joint states belong to the image at its stamp plus this.
    """

    name: str
    frame: Frame
    raw: NDArray[np.uint8]
    image: NDArray[np.uint8]
    camera: PinholeCamera
    view: RawView
    planes: dict[str, NDArray[np.float32]]
    stamp_ns: int
    time_offset_s: float

    @property
    def optical_frame(self) -> str:
        """The frame that the image's header names."""
        return self.frame.image.header.frame_id

    @property
    def joints_s(self) -> float:
        """When the joint states that belong to it were stamped, s."""
        return self.stamp_ns * 1e-9 + self.time_offset_s


class CameraReader:
    """Reads the frames of one camera; used from one thread.

    Args:
        name: of the camera; empty where there is one only.
        settings: returns the camera's current settings.
        diagnostics: is told what is wrong with what the camera sends.
        rectified: whether the images are.
    """

    def __init__(
        self,
        name: str,
        settings: Callable[[], CameraSettings],
        diagnostics: Diagnostics,
        *,
        rectified: bool,
    ) -> None:
        self.name, self._settings = name, settings
        self._diagnostics, self._rectified = diagnostics, rectified
        self._calibration: tuple[Any, ...] | None = None
        self._last_stamp_ns: int | None = None
        self._optical_frame = ""

    @property
    def settings(self) -> CameraSettings:
        """The camera's current settings."""
        return self._settings()

    def topic(self, what: str) -> str:
        """Return what diagnostics call a topic, or another matter, of this camera."""
        return f"{self.name}/{what}" if self.name else what

    @property
    def optical_frame(self) -> str:
        """The frame of the images: as the settings say, or as the last header did."""
        return self.settings.optical_frame or self._optical_frame

    def read(self, frame: Frame) -> Picture:
        """Return a frame as arrays.

        Raises:
            FrameError: it cannot be used (NotReadyError: not yet).
        """
        raw = self._decode("image", images.image_to_rgb, frame.image)
        self._use_calibration(frame)
        camera = self._lens.camera
        height, width = raw.shape[:2]
        if (camera.width, camera.height) != (width, height):
            raise FrameError(
                self.topic("camera_info"),
                f"image is {width}x{height}, but camera_info says "
                f"{camera.width}x{camera.height} (binning and region of interest applied)",
            )
        stamp_ns = self._check_stamp(frame)
        self._optical_frame = frame.image.header.frame_id
        return Picture(
            name=self.name,
            frame=frame,
            raw=raw,
            image=self._lens.rectify(raw),
            camera=camera,
            view=self._view,
            planes=self._planes(frame),
            stamp_ns=stamp_ns,
            time_offset_s=self.settings.time_offset_s,
        )

    def used(self, picture: Picture) -> None:
        """Take note that a picture was used: its stamp is not to come again."""
        self._last_stamp_ns = picture.stamp_ns
        for what in ("image", "camera_info", "start"):
            self._diagnostics.good(self.topic(what))

    def _decode(self, what: str, read: Callable[[Any], Any], message: Any) -> Any:
        try:
            return read(message)
        except InputError as error:
            raise FrameError(self.topic(what), str(error)) from error

    def _use_calibration(self, frame: Frame) -> None:
        if frame.info is None:
            raise NotReadyError(self.topic("camera_info"), "waiting for camera_info")
        calibration = _calibration(frame.info)
        if calibration == self._calibration:
            return
        lens = self._decode("camera_info", self._lens_of, frame.info)
        self._lens, self._view = lens, RawView(lens)
        size = (lens.camera.height, lens.camera.width)
        # Beyond its edge a raw image says nothing about a rectified one.
        self._outside = lens.rectify_plane(np.ones(size, np.uint8)) == 0
        self._calibration = calibration

    def _lens_of(self, info: Any) -> Lens:
        return lens_from_info(info, rectified=self._rectified)

    def _check_stamp(self, frame: Frame) -> int:
        topic = self.topic("image")
        stamp_ns = conversions.stamp_to_ns(frame.image.header.stamp)
        if stamp_ns == 0:
            raise FrameError(topic, "the image has no stamp")
        last = self._last_stamp_ns
        if last is None:
            return stamp_ns
        if stamp_ns == last:
            raise FrameError(topic, f"a second image of stamp {stamp_ns * 1e-9:.6f}")
        ahead_s = (stamp_ns - last) * 1e-9
        if ahead_s < 0:
            self._diagnostics.fault(
                self.topic("stamps"),
                f"image stamps jumped back by {-ahead_s:.3f} s; going on from there",
                WARN,
                cause="back",
            )
            # The tracker sees the jump itself and forgets the motion, not the pose; the joints'
            # history forgets when their stamps jump.
        return stamp_ns

    def _planes(self, frame: Frame) -> dict[str, NDArray[np.float32]]:
        found: dict[str, NDArray[np.float32]] = {}
        size = (self._lens.camera.height, self._lens.camera.width)
        for topic, message in frame.extras.items():
            read = images.image_to_depth if topic == "depth" else images.image_to_mask
            try:
                array = read(message)
                if array.shape != size:
                    raise InputError(
                        f"{topic} is {array.shape[1]}x{array.shape[0]}, but image is "
                        f"{size[1]}x{size[0]}"
                    )
            except InputError as error:
                self._diagnostics.fault(self.topic(topic), f"{error}; going on without it")
                continue
            key = "depth_m" if topic == "depth" else topic
            found[key] = self._lens.rectify_plane(array)
            self._diagnostics.good(self.topic(topic))
        if self._outside.any():
            given = found.get("ignore_mask", np.zeros(size, np.float32))
            found["ignore_mask"] = np.maximum(given, self._outside.astype(np.float32))
        return found


def lens_from_info(info: Any, *, rectified: bool) -> Lens:
    """Return what is to be taken out of the images that a CameraInfo belongs to.

    Raises:
        InputError: it is not calibrated, or of a model that is not known.
    """
    camera = conversions.camera_from_info(info, rectified=rectified)
    if rectified:
        return Lens(camera)
    return Lens(camera, tuple(info.d), info.distortion_model)


def _calibration(info: Any) -> tuple[Any, ...]:
    """Return what of a CameraInfo makes the camera."""
    roi = info.roi
    return (
        info.width,
        info.height,
        tuple(info.k),
        tuple(info.p),
        tuple(info.d),
        info.distortion_model,
        (info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
        info.header.frame_id,
    )
