"""What a recording is, whatever it was read from."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.observation import Observation
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.recordings.static_transforms import find_transform

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
        planes: reads the pixels.
        lens: of the camera.
        velocities: of the joints by name, rad/s or m/s; None where not known.
    """

    name: str
    stamp_s: float
    positions: Mapping[str, float]
    planes: Callable[[], Planes]
    lens: Lens
    velocities: Mapping[str, float] | None = None

    @property
    def speed(self) -> float | None:
        """Of the fastest joint, rad/s or m/s; None where not known."""
        found = self.velocities
        return None if found is None else max((abs(v) for v in found.values()), default=0.0)

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
        planes, lens, known = self.planes(), self.lens, self.velocities
        speeds = None
        if known is not None and model.nv == len(model.joint_names):
            speeds = np.zeros(model.nv)
            for name in model.joint_names:
                speeds[model.joint_v_index(name)] = known.get(name, 0.0)
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
                None if lens.valid.all() else ~lens.valid,
                joint_velocities=speeds,
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
        description: robot_description found with it, URDF, or "".
        camera_frame: name of the camera's optical frame, or "".
        static_transforms: (parent, child) -> T_parent_child, of tf_static.
        notes: what was chosen or left out, in words.
        continuous: whether it ran while the robot moved; false: images picked by hand.
    """

    source: str
    lens: Lens
    joint_names: tuple[str, ...]
    count: int
    read: Callable[[], Iterator[Frame]]
    description: str = ""
    camera_frame: str = ""
    static_transforms: dict[tuple[str, str], Matrix] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    continuous: bool = False

    def fixed(self, target: str, source: str) -> Matrix | None:
        """Return T_target_source [4,4] by the fixed frames; None where they do not connect."""
        return find_transform(self.static_transforms, target, source)

    def adapted(self, prefix: str = "", held: Mapping[str, float] | None = None) -> "Recording":
        """Return the recording with other joints.

        Args:
            prefix: put before the joints' names by whoever recorded them; taken away.
            held: positions of joints that stood still and were not read, rad or m.

        Raises:
            InputError: no joint has that prefix, or a held joint was read as well.
        """
        held = dict(held or {})
        names = tuple(n.removeprefix(prefix) for n in self.joint_names)
        if prefix and names == self.joint_names:
            raise InputError(
                f"no joint in {self.source} is called {prefix}*; recorded: {', '.join(names)}"
            )
        both = [n for n in held if n in names]
        if both:
            raise InputError(f"joint {both[0]!r} is held and recorded; it can be only one of both")
        if not prefix and not held:
            return self

        def named(values: Mapping[str, float]) -> dict[str, float]:
            return {n.removeprefix(prefix): v for n, v in values.items()}

        def read() -> Iterator[Frame]:
            for frame in self.read():
                velocities = None if frame.velocities is None else named(frame.velocities)
                positions = named(frame.positions) | held
                yield dataclasses.replace(frame, positions=positions, velocities=velocities)

        return dataclasses.replace(self, joint_names=(*names, *held), read=read)

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
                ends = [n for n in self.joint_names if n.endswith(name)]
                hint = "If it stood still, say where: --held"
                if ends:
                    hint = f"{ends[0]!r} ends like it: --joint-prefix {ends[0].removesuffix(name)}"
                elif not set(model.joint_names) & set(self.joint_names):
                    known = ", ".join(model.joint_names)
                    hint = f"None is called as one of the robot's: {known}. Rename the columns"
                raise InputError(
                    f"no joint {name!r} in {self.source}; recorded: "
                    f"{', '.join(self.joint_names)}. {hint}"
                )
