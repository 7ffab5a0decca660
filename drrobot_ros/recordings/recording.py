"""What a recording is, whatever it was read from."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.joint_track import JointTrack

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Planes:
    """The pixels of one moment as they were recorded, distortion included.

    Attributes:
        image: [H,W,3] uint8 RGB.
        depth_m: [H,W] float32 m, NaN where unknown, or None.
        mask: [H,W] probability 0..1 of the robot, or None.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None = None
    mask: NDArray[np.float32] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One image of a recording; its pixels are read when asked for.

    Attributes:
        name: of the file, or number in the bag.
        stamp_s: when it was taken, s.
        positions: joint positions by name, rad or m.
        speed: of the fastest joint, rad/s or m/s; NaN where not known.
        planes: reads the pixels.
        lens: of the camera.
    """

    name: str
    stamp_s: float
    positions: dict[str, float]
    speed: float
    planes: Callable[[], Planes]
    lens: Lens

    def q(self, model: Any) -> Vector:
        """Return the readings [nq] in a model's order.

        Raises:
            InputError: joints of the model that were not read.
        """
        missing = [n for n in model.joint_names if n not in self.positions]
        if missing:
            raise InputError(
                f"{self.name}: no position of joint {', '.join(missing)}; recorded: "
                f"{', '.join(self.positions)}"
            )
        return model.q_from_mapping({n: self.positions[n] for n in model.joint_names}).numpy()

    def observation(self, model: Any) -> Observation:
        """Return the rectified image and the readings in a model's order.

        Raises:
            InputError: a plane of another size than the camera's, or joints that were not read.
        """
        planes, lens = self.planes(), self.lens
        try:
            image = np.ascontiguousarray(lens.rectify(planes.image))
            depth, mask = planes.depth_m, planes.mask
            return Observation(
                image,
                lens.camera,
                self.stamp_s,
                self.q(model),
                None if depth is None else lens.rectify_plane(depth),
                None if mask is None else lens.rectify_plane(mask),
            )
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """A camera's images of a robot, with what its joints read.

    Attributes:
        source: what it was read from, for messages.
        lens: of the camera.
        joint_names: joints that were read.
        count: number of images.
        read: yields the frames in order of time; may be called again.
        joints: readings over time, where there are stamps; None: one reading per image.
        description: robot_description found with it, URDF, or "".
        camera_frame: name of the camera's optical frame, or "".
        static_transforms: (parent, child) -> T_parent_child, of tf_static.
        notes: what was chosen or left out, in words.
    """

    source: str
    lens: Lens
    joint_names: tuple[str, ...]
    count: int
    read: Callable[[], Iterator[Frame]]
    joints: JointTrack | None = None
    description: str = ""
    camera_frame: str = ""
    static_transforms: dict[tuple[str, str], Matrix] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def check_joints(self, model: Any) -> None:
        """Check that all joints of a model were read.

        Raises:
            InputError: one was not; the message names those that were.
        """
        if model.nq != len(model.joint_names):
            raise InputError(
                f"{model.name!r} has ball or floating joints; recordings have one number per joint"
            )
        for name in model.joint_names:
            if name not in self.joint_names:
                raise InputError(
                    f"no joint {name!r} in {self.source}; recorded: {', '.join(self.joint_names)}. "
                    "If it stood still, say where: --held"
                )
