"""Settings of the nodes, declared once (see :mod:`drrobot_ros.configuration`); imports no ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.ros.declarations import check_cameras, check_pose, check_tuples


@dataclasses.dataclass(frozen=True)
class CameraSettings:
    """Settings of one camera, for the nodes that look at images."""

    camera_link: str = setting(
        "",
        "link of the robot that carries the camera (eye in hand); empty: it stands still in the "
        "base frame",
        read_only=True,
    )
    optical_frame: str = setting(
        "", "frame of the images; empty: the frame in their headers", read_only=True
    )
    estimate_pose: str = setting(
        "auto",
        "whether the camera's pose is estimated; auto: as tracker.estimate_camera says",
        choices=("auto", "yes", "no"),
        read_only=True,
    )
    initial_camera_pose: tuple[float, ...] = setting(
        (),
        "start: pose of the optical frame in the base frame, or in camera_link, "
        "x y z qx qy qz qw or x y z roll pitch yaw [m, rad]; empty: from tf",
    )
    image_rectified: str = setting(
        "auto",
        "yes: the images are rectified and P of camera_info is used; no: K is used, and what D "
        "says is taken out; auto: yes, unless the topic's name says raw",
        choices=("auto", "yes", "no"),
        read_only=True,
    )
    time_offset_s: float = setting(
        0.0,
        "joint states belong to an image at its stamp plus this",
        unit="s",
        minimum=-1.0,
        maximum=1.0,
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

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_pose("initial_camera_pose", self.initial_camera_pose, may_be_empty=True)


@dataclasses.dataclass(frozen=True)
class RobotSettings:
    """Which robot a node renders, and what its frames and joints are called."""

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


@dataclasses.dataclass(frozen=True)
class PoseEstimatorSettings(RobotSettings):
    """Settings of the node ``pose_estimator``, without those of its cameras and of the tracker."""

    subscribe_joint_states: bool = setting(
        True,
        "subscribe to joint_states; tracker.encoder_sigma_rad says how far they are trusted, "
        "0: only for the start",
        read_only=True,
    )
    initial_joint_positions: tuple[float, ...] = setting(
        (),
        "start, one number per position of the model [rad or m]; empty: joint_states, "
        "or the model's neutral configuration",
    )
    cameras: tuple[str, ...] = setting(
        (),
        "names of several cameras: each has the topics <name>/image, <name>/camera_info and so on, "
        "and the parameters of a camera (camera_link to subscribe_ignore_mask) as <name>.*; empty: "
        "one camera",
        read_only=True,
    )
    sync_tolerance_s: float = setting(
        0.02,
        "images of several cameras belong together when their stamps differ by no more",
        unit="s",
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    )
    publish_tf: bool = setting(True, "publish the camera pose on tf")
    overlay_rate_hz: float = setting(
        10.0, "most overlay images a second; 0: none", unit="Hz", minimum=0.0, maximum=1000.0
    )
    overlay_opacity: float = setting(
        0.6, "opacity of the rendered robot on the overlay", minimum=0.0, maximum=1.0
    )
    filter_margin_px: int = setting(
        4,
        "depth_without_robot: the robot is taken to be larger by so much",
        unit="px",
        minimum=0,
        maximum=100,
    )
    filter_margin_m: float = setting(
        0.05,
        "depth_without_robot: what is nearer than the robot by more than this is not the robot",
        unit="m",
        minimum=0.0,
        maximum=10.0,
    )
    stale_timeout_s: float = setting(
        1.0,
        "a camera without images for this long is dark; the state is STALE when all are",
        unit="s",
        minimum=0.05,
        maximum=60.0,
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
        check_cameras(self.cameras)
        if self.robot.endswith(".npz"):
            raise InputError(
                f"robot is {self.robot!r}; a file of Gaussians goes into the parameter splats, "
                "robot is a URDF or MJCF file or a menagerie name"
            )


@dataclasses.dataclass(frozen=True)
class CalibratorSettings(RobotSettings):
    """Settings of the node ``calibrator``, without those of its cameras and of the calibration."""

    cameras: tuple[str, ...] = setting(
        (),
        "names of several cameras: each has the topics <name>/image, <name>/camera_info and so on, "
        "and the parameters of a camera (camera_link to subscribe_ignore_mask) as <name>.*; empty: "
        "one camera",
        read_only=True,
    )
    sync_tolerance_s: float = setting(
        0.02,
        "images of several cameras belong together when their stamps differ by no more",
        unit="s",
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    )
    fixed_joints: tuple[str, ...] = setting(
        (), "joints of the model whose encoders are believed: no offset is looked for"
    )
    folder: str = setting(
        "calibrate", "where each calibration writes a folder of its own, unless the goal says"
    )
    still_timeout_s: float = setting(
        20.0,
        "a goal fails when the robot has not moved for this long from its start",
        unit="s",
        minimum=0.1,
        maximum=3600.0,
    )
    preview_width: int = setting(
        480, "width of the pictures in the feedback; 0: none", unit="px", minimum=0, maximum=4096
    )
    threads: int = setting(
        0, "threads of the rasterizer; 0: one per core", minimum=0, maximum=64, read_only=True
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_cameras(self.cameras)
        if not self.folder:
            raise InputError("folder must not be empty")


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
