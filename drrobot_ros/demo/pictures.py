"""Picture and video of a recorded session: camera images, and the robot as it was estimated."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.demo import drawing
from drrobot_ros.demo.analysis import joint_errors
from drrobot_ros.demo.recording import Recording
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.overlay import overlay_image
from drrobot_ros.rendering.robot import render_robot

Image = NDArray[np.uint8]

IMAGES_FILE = "images.rgb"
VIDEO_HZ = 30.0
_PANEL_PX = 640
_OPACITY = 0.75
#: The video shows the wrong start for so long before the first estimate, s.
_LEAD_S = 1.2


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the pictures are made of.

    Attributes:
        recording: of the session.
        folder: of the recording, for the images.
        model: the robot.
        gaussians: its splats.
        camera: of the images.
        q_start: where the estimator was told to start [nq].
        T_start: the camera pose that it was given [4, 4].
        columns: of the model's positions in the recording [nq].
    """

    recording: Recording
    folder: Path
    model: Any
    gaussians: Any
    camera: PinholeCamera
    q_start: NDArray[np.float64]
    T_start: NDArray[np.float64]
    columns: list[int]

    def images(self) -> NDArray[np.uint8]:
        """Return the camera's images [n, H, W, 3], read as they are used."""
        shape = (len(self.recording.image_stamp), self.camera.height, self.camera.width, 3)
        return np.memmap(self.folder / IMAGES_FILE, np.uint8, "r", shape=shape)

    def large(self) -> PinholeCamera:
        """Return the camera of the panels."""
        width = max(_PANEL_PX, self.camera.width)
        return self.camera.resized(width, round(width * self.camera.height / self.camera.width))

    def panel(self, image: Image, q: Any, T: Any) -> Image:
        """Return an image with the robot drawn over it at q, seen by a camera at T."""
        camera = self.large()
        with torch.no_grad():
            rgb, alpha, _ = render_robot(self.model, self.gaussians, q, T, camera)
        solid = alpha.clamp(min=1e-3)[..., None]
        plain = drawing.enlarge(image, camera.width, camera.height)
        return overlay_image(plain, rgb / solid, alpha, _OPACITY)

    def estimate_at(self, index: int) -> tuple[Any, Any]:
        """Return joint positions and camera pose of an estimate."""
        recording = self.recording
        row = int(np.argmin(np.abs(recording.camera_stamp - recording.estimate_stamp[index])))
        return recording.estimate[index][self.columns], recording.camera[row]


def picture(shown: Shown, at_s: float) -> Image:
    """Return camera image, wrong start and estimate beside each other, at a time."""
    recording, camera = shown.recording, shown.large()
    index = max(0, int(np.searchsorted(recording.estimate_stamp, at_s)) - 1)
    stamp = recording.estimate_stamp[index]
    image = np.array(shown.images()[int(np.argmin(np.abs(recording.image_stamp - stamp)))])
    panels = [
        drawing.caption(drawing.enlarge(image, camera.width, camera.height), "camera image"),
        drawing.caption(shown.panel(image, shown.q_start, shown.T_start), "start"),
        drawing.caption(shown.panel(image, *shown.estimate_at(index)), "estimate"),
    ]
    return drawing.side_by_side(panels)


def frames(shown: Shown, until_s: float) -> Iterator[Image]:
    """Yield the video's images, VIDEO_HZ of them a second."""
    recording, images, camera = shown.recording, shown.images(), shown.large()
    errors = np.rad2deg(joint_errors(recording))
    arrived = recording.estimate_received
    begin = arrived[0] - _LEAD_S
    for time_s in np.arange(begin, until_s, 1 / VIDEO_HZ):
        now = max(0, int(np.searchsorted(recording.image_stamp, time_s)) - 1)
        newest = int(np.searchsorted(arrived, time_s)) - 1
        if newest < 0:
            image = np.array(images[now])
            drawn = shown.panel(image, shown.q_start, shown.T_start)
            text, bars = "start, wrong in every joint", _start_errors(shown, now)
        else:
            # The image that belongs to the estimate, not the newest one: both show one moment.
            stamp = recording.estimate_stamp[newest]
            image = np.array(images[int(np.argmin(np.abs(recording.image_stamp - stamp)))])
            drawn = shown.panel(image, *shown.estimate_at(newest))
            text, bars = "estimated from the image alone", errors[newest]
        plain = drawing.enlarge(image, camera.width, camera.height)
        panels = [drawing.caption(plain, "camera image"), drawing.caption(drawn, text)]
        both = drawing.side_by_side(panels)
        strip = drawing.error_bars(recording.joint_names, bars, both.shape[1], "joint error")
        yield drawing.stack([both, strip])


def frame_count(shown: Shown, until_s: float) -> int:
    """Return how many images `frames` yields."""
    begin = shown.recording.estimate_received[0] - _LEAD_S
    return len(np.arange(begin, until_s, 1 / VIDEO_HZ))


def _start_errors(shown: Shown, image: int) -> NDArray[np.float64]:
    recording = shown.recording
    stamp = recording.image_stamp[image]
    truth = recording.truth[int(np.argmin(np.abs(recording.truth_stamp - stamp)))]
    errors = np.zeros(len(truth))
    errors[shown.columns] = np.abs(truth[shown.columns] - shown.q_start)
    return np.rad2deg(errors)
