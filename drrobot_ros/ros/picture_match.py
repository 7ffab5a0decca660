"""What a camera shows compared with a goal picture, for the loop that is closed by sight."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.picture_difference import joints_between
from drrobot_ros.control.servo import VisualServo
from drrobot_ros.errors import InputError
from drrobot_ros.estimation.levels import reduced
from drrobot_ros.ros.camera_pictures import CameraPictures
from drrobot_ros.ros.camera_reader import CameraReader
from drrobot_ros.ros.conversions import stamp_to_s
from drrobot_ros.ros.joint_input import JointInput
from drrobot_ros.ros.smooth_clock import SmoothClock
from drrobot_ros.ros.synchronizer import Frame

Vector = NDArray[np.float64]
Picture = NDArray[np.uint8]

_NEAR_S = 0.1  # an image that was lost is replaced by its neighbour: the arm rests
_WIDEST_PX = 640  # larger pictures take longer and hardly tell more


class PictureMatch:
    """Gives a servo that wants it the difference of the camera's picture and the goal's.

    The pictures are compared at the size of the smaller one. Not for the thread of an executor:
    a comparison takes a while.

    Args:
        model: the robot.
        gaussians: its splats.
        goal: the picture, without lens distortion, uint8 [H,W,3].
        T_base_camera: [4,4] where the camera is.
        reader: of the camera's images.
        pictures: those images.
        joints: what the encoders said.
        observed: the joints that count [nq].
        clock: the servo's.
        patience_s: an arm at rest waits so long for a picture that can be compared.

    Attributes:
        seen: stamp of the newest estimate, s by the node's clock, and the joints by it [nq].
        compared: how many pictures were.
        why: no more pictures are compared; empty: they are.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        goal: Picture,
        T_base_camera: Vector,
        *,
        reader: CameraReader,
        pictures: CameraPictures,
        joints: JointInput,
        observed: NDArray[np.bool_],
        clock: SmoothClock,
        patience_s: float,
    ) -> None:
        self._model, self._gaussians, self._goal, self._T = model, gaussians, goal, T_base_camera
        self._reader, self._pictures, self._joints = reader, pictures, joints
        self._observed, self._clock, self._patience_s = observed, clock, patience_s
        self._since_s: float | None = None
        self._done: Image | None = None
        self._trouble = ""
        self.seen: tuple[float, Vector] | None = None
        self.compared = 0
        self.why = ""

    def serve(self, servo: VisualServo, motion: CommandedMotion, info: CameraInfo | None) -> None:
        """Tell a servo that wants it what the newest picture shows, or that none can be compared.

        Args:
            servo: wants it or not.
            motion: what the arm is told.
            info: of the camera.
        """
        if not servo.wants_match or self.seen is None:
            return
        stamp_s, q = self.seen
        if not motion.is_at_rest(self._clock.from_ros_s(stamp_s)):
            self._since_s = None
            return
        if self._since_s is None:
            self._since_s, self._trouble = time.monotonic(), ""
        image = self._pictures.near(stamp_s, _NEAR_S)
        if image is not None and info is not None and image is not self._done:
            self._done = image
            self._trouble = self._compare(servo, motion, image, info, q)
            if not self._trouble:
                self._since_s = time.monotonic()
        if time.monotonic() - self._since_s > self._patience_s:
            self.why = self._trouble or self._silence()
            servo.unmatched()

    def _compare(
        self,
        servo: VisualServo,
        motion: CommandedMotion,
        image: Image,
        info: CameraInfo,
        q: Vector,
    ) -> str:
        """Tell the servo what an image shows; return why that cannot be."""
        stamp_s = stamp_to_s(image.header.stamp)
        at_s = self._clock.from_ros_s(stamp_s)
        if not motion.is_at_rest(at_s):
            return "the arm moved"
        # The servo leaves alone what it is not told of.
        encoders = np.where(self._observed, self._joints.at(stamp_s), np.nan)
        if not np.isfinite(encoders[self._observed]).all():
            return "there are no joint states of an image's moment"
        try:
            picture = self._reader.read(Frame(image, info, {}))
        except InputError as error:
            return str(error)
        camera = picture.camera
        size = min((camera.width, camera.height), self._goal.shape[1::-1])
        if size[0] > _WIDEST_PX:
            size = _WIDEST_PX, round(size[1] * _WIDEST_PX / size[0])
        found = joints_between(
            self._model,
            self._gaussians,
            reduced(picture.image, size),
            reduced(self._goal, size),
            Viewpoint(camera.resized(*size), self._T),
            q,
        )
        if found is None:
            return "too little of the robot is in both the goal picture and the camera's"
        servo.match(at_s, found.q, found.sigma, encoders)
        self.compared += 1
        return ""

    def _silence(self) -> str:
        if not self._pictures.received:
            return f"no image came on {self._pictures.topic}"
        return f"no image on {self._pictures.topic} has a stamp near an estimate's"
