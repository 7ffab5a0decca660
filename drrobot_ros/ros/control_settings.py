"""Settings of the nodes that move an arm by sight; imports no ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.ros.declarations import check_pose, check_tuples
from drrobot_ros.ros.settings import RobotSettings


@dataclasses.dataclass(frozen=True)
class ArmNodeSettings(RobotSettings):
    """What the nodes that move an arm share."""

    controller: str = setting(
        "simulated", "name of the arm's controller in controllers_file", read_only=True
    )
    controllers_file: str = setting(
        "", "yaml file of controllers; empty: the package's config/controllers.yaml", read_only=True
    )
    obstacles_file: str = setting(
        "", "yaml file of what stands around the arm; empty: nothing", read_only=True
    )
    allowed_collisions: tuple[str, ...] = setting(
        (), "pairs of links that may touch: names with a colon between", read_only=True
    )
    camera_pose: tuple[float, ...] = setting(
        (),
        "pose of the camera's optical frame in the base frame, x y z qx qy qz qw or x y z roll "
        "pitch yaw [m, rad]; empty: as the pose estimator says, or tf",
    )
    seen_patience_s: float = setting(
        0.5,
        "an arm in motion is stopped when the estimator has not seen it for so long",
        unit="s",
        minimum=0.05,
        maximum=10.0,
        read_only=True,
    )
    preview_width: int = setting(
        320, "width of the pictures in feedback and result; 0: none", unit="px", minimum=0,
        maximum=4096,
    )  # fmt: skip
    threads: int = setting(
        0, "threads of the rasterizer; 0: one per core", minimum=0, maximum=64, read_only=True
    )

    def __post_init__(self) -> None:
        validate(self)
        check_tuples(self)
        check_pose("camera_pose", self.camera_pose, may_be_empty=True)
        for pair in self.allowed_collisions:
            if len(pair.split(":")) != 2:
                raise InputError(f"allowed_collisions: {pair!r} is not two links with a colon")

    @property
    def allowed_pairs(self) -> list[tuple[str, str]]:
        """Names of links that may touch each other."""
        return [
            (first, second) for first, second in (p.split(":") for p in self.allowed_collisions)
        ]


@dataclasses.dataclass(frozen=True)
class SightedSettings(ArmNodeSettings):
    """What the nodes visual_control and visual_servo share: their goals may be pictures."""

    image_rectified: str = setting(
        "auto",
        "yes: the camera's images, and pictures, tracks and videos of goals, are rectified and P "
        "of camera_info is used; no: K is used, and what D says is taken out of all of them; "
        "auto: yes, unless the name of the topic image says raw",
        choices=("auto", "yes", "no"),
        read_only=True,
    )


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How trajectories are sent."""

    lead_s: float = setting(
        0.03,
        "how long before it begins a trajectory is sent; the arm goes on as before until then",
        unit="s",
        minimum=0.0,
        maximum=0.5,
    )
    use_stamps: bool = setting(
        True,
        "trajectories say when they begin; the controller's clock has to be this node's. false: "
        "they begin when they arrive",
    )
    settle_s: float = setting(
        0.3, "from a motion's end to when it counts as done", unit="s", minimum=0.0, maximum=10.0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class VisualControlSettings(SightedSettings):
    """Settings of the node ``visual_control``, without those of planning, safety and execution."""

    estimate: str = setting(
        "auto",
        "whether the pose estimator says where the arm is, and by how much its encoders are off; "
        "yes: without it no motion begins and one under way is stopped; auto: once it was heard",
        choices=("auto", "yes", "no"),
        read_only=True,
    )
    text_model: str = setting(
        "",
        "text-image model for sentences: a name or folder of transformers or open_clip; empty: "
        "the project's own small one",
        read_only=True,
    )
    feedback_rate_hz: float = setting(
        4.0, "feedback messages a second", unit="Hz", minimum=0.1, maximum=50.0
    )
    preview_rate_hz: float = setting(
        1.0, "pictures among them; 0: none", unit="Hz", minimum=0.0, maximum=10.0
    )


@dataclasses.dataclass(frozen=True)
class VisualServoSettings(SightedSettings):
    """Settings of the node ``visual_servo``, without those of the law, safety and execution."""

    feedback_rate_hz: float = setting(
        10.0, "feedback messages a second", unit="Hz", minimum=0.1, maximum=50.0
    )
    command_rate_hz: float = setting(
        50.0, "how often the law is asked for a correction", unit="Hz", minimum=1.0, maximum=200.0
    )
    compare_pictures: bool = setting(
        True,
        "a goal that is a picture: subscribe to image, and read the last bit of the error from the "
        "difference of the two pictures; false: the estimates have the last word",
    )
    picture_patience_s: float = setting(
        2.0,
        "an arm at rest waits so long for a picture that can be compared, then the estimates have "
        "the last word",
        unit="s",
        minimum=0.1,
        maximum=60.0,
    )
