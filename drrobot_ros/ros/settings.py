"""Settings of the nodes, declared once (see :mod:`drrobot_ros.configuration`); imports no ROS."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

from drrobot_ros.configuration import Setting, setting, settings_of, validate
from drrobot_ros.errors import InputError


def nested_settings(
    cls: type, prefix: str = "", *, read_only: bool = False
) -> Iterator[tuple[str, Setting]]:
    """Yield (full name, setting) of a configuration class and of the classes nested in it.

    Args:
        cls: the class.
        prefix: put before the names.
        read_only: none can be changed while the node runs, whatever the class says.
    """
    hints = get_type_hints(cls)
    direct = {item.name: item for item in settings_of(cls)}
    for field in dataclasses.fields(cls):
        if field.name in direct:
            item = direct[field.name]
            info = dataclasses.replace(item.info, read_only=read_only or item.info.read_only)
            yield prefix + field.name, dataclasses.replace(item, info=info)
        elif dataclasses.is_dataclass(hints[field.name]):
            inner = f"{prefix}{field.name}."
            yield from nested_settings(hints[field.name], inner, read_only=read_only)


def check_tuples(config: Any) -> None:
    """Check and convert the settings that are tuples of numbers or strings.

    Raises:
        InputError: an element of the wrong type, or not finite.
    """
    for item in settings_of(type(config)):
        if get_origin(item.type) is not tuple:
            continue
        kind = get_args(item.type)[0]
        values = tuple(getattr(config, item.name))
        if kind is float:
            if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                raise InputError(f"{item.name} must be finite numbers, got {list(values)}")
            values = tuple(float(v) for v in values)
        elif not all(isinstance(v, kind) for v in values):
            raise InputError(f"{item.name} must be a list of {kind.__name__}, got {list(values)}")
        object.__setattr__(config, item.name, values)


def check_pose(name: str, numbers: tuple[float, ...], *, may_be_empty: bool) -> None:
    """Raise an InputError unless the numbers can be a pose (see ``matrix_from_numbers``)."""
    if not numbers and may_be_empty:
        return
    if len(numbers) not in (6, 7):
        raise InputError(
            f"{name} is x y z qx qy qz qw (7 numbers) or x y z roll pitch yaw (6 numbers), "
            f"got {len(numbers)}: {list(numbers)}"
        )
    if len(numbers) == 7 and math.hypot(*numbers[3:]) < 1e-6:
        raise InputError(f"{name} has a zero quaternion: {list(numbers)}")


@dataclasses.dataclass(frozen=True)
class PoseEstimatorSettings:
    """Settings of the node ``pose_estimator``, without those of the tracker."""

    robot: str = setting(
        "",
        "URDF or MJCF file, or menagerie name of the robot; empty: the topic robot_description",
        read_only=True,
    )
    splats: str = setting(
        "",
        "file of the robot's Gaussians; empty: they are sampled on its visual meshes",
        read_only=True,
    )
    splat_count: int = setting(
        10000,
        "Gaussians to sample when there is no splats file",
        minimum=100,
        maximum=1000000,
        read_only=True,
    )
    package_paths: tuple[str, ...] = setting(
        (), "folders in which package:// mesh paths are looked up, besides installed packages"
    )
    base_link: str = setting(
        "", "link whose frame is the base frame; empty: the root of the model", read_only=True
    )
    base_frame: str = setting(
        "", "name of the base frame on tf and in messages; empty: the base link's", read_only=True
    )
    joint_prefix: str = setting(
        "", "what joint states put before the model's joint names", read_only=True
    )
    subscribe_joint_states: bool = setting(
        True,
        "subscribe to joint_states; tracker.encoder_sigma_rad says how far they are trusted, "
        "0: only for the start",
        read_only=True,
    )
    subscribe_depth: bool = setting(
        False, "subscribe to depth (aligned with image, same stamp)", read_only=True
    )
    subscribe_mask: bool = setting(
        False,
        "subscribe to mask (mono8, 255 where the robot is, same stamp as image)",
        read_only=True,
    )
    subscribe_ignore_mask: bool = setting(
        False,
        "subscribe to ignore_mask (mono8, 255 where the image is not to be used, same stamp)",
        read_only=True,
    )
    image_rectified: str = setting(
        "auto",
        "whether image is rectified: P of camera_info is used, else K; auto: unless the topic's "
        "name says raw",
        choices=("auto", "yes", "no"),
        read_only=True,
    )
    initial_joint_positions: tuple[float, ...] = setting(
        (),
        "start, one number per position of the model [rad or m]; empty: joint_states, "
        "or the model's neutral configuration",
    )
    initial_camera_pose: tuple[float, ...] = setting(
        (),
        "start: pose of the optical frame in the base frame, x y z qx qy qz qw or "
        "x y z roll pitch yaw [m, rad]; empty: from tf",
    )
    publish_tf: bool = setting(True, "publish the camera pose on tf")
    overlay_rate_hz: float = setting(
        10.0, "most overlay images a second; 0: none", unit="Hz", minimum=0.0, maximum=1000.0
    )
    overlay_opacity: float = setting(
        0.6, "opacity of the rendered robot on the overlay", minimum=0.0, maximum=1.0
    )
    stale_timeout_s: float = setting(
        1.0, "without images for this long the state is STALE", unit="s", minimum=0.05, maximum=60.0
    )
    max_stamp_age_s: float = setting(
        1.0,
        "warn when images are older than this, by their stamps and the node's clock",
        unit="s",
        minimum=0.01,
        maximum=1e6,
    )
    threads: int = setting(
        0, "threads of the rasterizer; 0: one per core", minimum=0, maximum=64, read_only=True
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_pose("initial_camera_pose", self.initial_camera_pose, may_be_empty=True)
        if self.robot.endswith(".npz"):
            raise InputError(
                f"robot is {self.robot!r}; a file of Gaussians goes into the parameter splats, "
                "robot is a URDF or MJCF file or a menagerie name"
            )


@dataclasses.dataclass(frozen=True)
class SimulatedRobotSettings:
    """Settings of the node ``simulated_robot``."""

    robot: str = setting(
        "universal_robots_ur5e",
        "URDF or MJCF file, or menagerie name of the robot",
        read_only=True,
    )
    package_paths: tuple[str, ...] = setting(
        (), "folders in which package:// mesh paths are looked up", read_only=True
    )
    base_link: str = setting(
        "", "link whose frame is the base frame; empty: the root of the model", read_only=True
    )
    joint_prefix: str = setting(
        "", "what joint states put before the model's joint names", read_only=True
    )
    rate_hz: float = setting(
        30.0, "images a second", unit="Hz", minimum=0.1, maximum=200.0, read_only=True
    )
    joint_rate_hz: float = setting(
        120.0, "joint states a second", unit="Hz", minimum=1.0, maximum=1000.0, read_only=True
    )
    width: int = setting(320, "of the image", unit="px", minimum=16, maximum=4096, read_only=True)
    height: int = setting(240, "of the image", unit="px", minimum=16, maximum=4096, read_only=True)
    vertical_fov_deg: float = setting(
        45.0, "field of view", unit="deg", minimum=1.0, maximum=170.0, read_only=True
    )
    camera_pose: tuple[float, ...] = setting(
        (),
        "pose of the optical frame in the base frame, x y z qx qy qz qw or "
        "x y z roll pitch yaw [m, rad]; empty: one that sees the whole robot",
        read_only=True,
    )
    camera_frame: str = setting(
        "camera_link", "frame of the camera's body; empty: no such frame on tf", read_only=True
    )
    optical_frame: str = setting("camera_optical_frame", "frame of the images", read_only=True)
    publish_camera_tf: bool = setting(
        True,
        "publish the camera's pose on tf, as for a calibrated camera; false: only the frames of "
        "the camera itself",
        read_only=True,
    )
    publish_depth: bool = setting(True, "publish depth, where it is subscribed", read_only=True)
    publish_description: bool = setting(
        True, "publish the robot's URDF, if it is one, on robot_description", read_only=True
    )
    motion: str = setting(
        "sway",
        "what the arm does without a trajectory: sway smoothly, or hold its start",
        choices=("sway", "hold"),
    )
    motion_amplitude: float = setting(
        0.35, "of the sway, at most half of a joint's range", unit="rad", minimum=0.0, maximum=3.0
    )
    motion_period_s: float = setting(
        8.0, "of the slowest joint's sway", unit="s", minimum=0.5, maximum=1000.0
    )
    start_positions: tuple[float, ...] = setting(
        (),
        "start, one number per position of the model [rad or m]; empty: the model's home",
        read_only=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_pose("camera_pose", self.camera_pose, may_be_empty=True)


@dataclasses.dataclass(frozen=True)
class RobotIdentifierSettings:
    """Settings of the node ``robot_identifier``, without those of the fit."""

    robot: str = setting(
        "",
        "URDF or MJCF file, or menagerie name of the robot; empty: the topic robot_description",
        read_only=True,
    )
    package_paths: tuple[str, ...] = setting(
        (), "folders in which package:// mesh paths are looked up, besides installed packages"
    )
    base_link: str = setting(
        "", "link whose frame is the base frame; empty: the root of the model", read_only=True
    )
    joint_prefix: str = setting(
        "", "what joint states put before the model's joint names", read_only=True
    )
    folder: str = setting(
        "identify", "where each fit writes a folder of its own: report, description, recording"
    )
    held_joints: tuple[str, ...] = setting(
        (), "joints of the model that stand still and need not be in the joint states"
    )
    held_positions: tuple[float, ...] = setting(
        (), "where they stand, one number per held joint [rad or m]"
    )
    max_duration_s: float = setting(
        600.0, "longest recording", unit="s", minimum=1.0, maximum=36000.0
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        if len(self.held_joints) != len(self.held_positions):
            raise InputError(
                f"held_joints has {len(self.held_joints)} names, held_positions has "
                f"{len(self.held_positions)} numbers"
            )
        if not self.folder:
            raise InputError("folder must not be empty")
