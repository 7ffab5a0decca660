"""Settings of finding and planning grasps, declared once."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError


@dataclasses.dataclass(frozen=True)
class GripperConfig:
    """What to take of a gripper instead of what is found in the robot's description."""

    joints: tuple[str, ...] = setting(
        (), "joints that open and close it; empty: they are found", read_only=True
    )
    palm: str = setting("", "link that carries the fingers; empty: it is found", read_only=True)
    approach_axis: tuple[float, ...] = setting(
        (),
        "direction of the fingers in the palm's frame; empty: from the palm to their tips",
        read_only=True,
    )
    max_gap_m: float = setting(
        0.0,
        "widest opening that is used; 0: as far as the joint goes",
        unit="m",
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        if len(self.joints) > 2:
            raise InputError(f"gripper.joints must be one or two names, got {list(self.joints)}")
        if len(self.approach_axis) not in (0, 3):
            raise InputError(f"approach_axis must be 3 numbers, got {list(self.approach_axis)}")


@dataclasses.dataclass(frozen=True)
class GraspConfig:
    """How grasps are looked for, judged and carried out."""

    samples: int = setting(
        500, "points on an object at which a finger is tried", minimum=10, maximum=20000
    )
    turns: int = setting(
        16, "directions of approach about each pair of contacts", minimum=1, maximum=180
    )
    friction: float = setting(
        0.5, "between pads and objects, that a grasp has to do with", minimum=0.05, maximum=2.0
    )
    clearance_m: float = setting(
        0.004,
        "free space kept around the hand",
        unit="m",
        minimum=0.0,
        maximum=0.05,
    )
    side_clearance_m: float = setting(
        0.0015,
        "least free space on either side of what it closes on; more is better",
        unit="m",
        minimum=0.0,
        maximum=0.05,
    )
    ground_clearance_m: float = setting(
        0.005, "free space kept above the support", unit="m", minimum=0.0, maximum=0.1
    )
    steepest_deg: float = setting(
        75.0, "largest angle between approach and straight down", unit="deg", minimum=0.0,
        maximum=120.0,
    )  # fmt: skip
    approach_m: float = setting(
        0.10, "length of the straight approach", unit="m", minimum=0.01, maximum=0.5
    )
    lift_m: float = setting(0.12, "height of the lift", unit="m", minimum=0.01, maximum=1.0)
    force_n: float = setting(
        35.0, "with which each pad presses", unit="N", minimum=1.0, maximum=500.0
    )
    ranked: int = setting(
        60, "best candidates for which the arm's reach is computed", minimum=1, maximum=1000
    )
    tried: int = setting(
        8, "best ones within reach that are tried in physics", minimum=1, maximum=100
    )
    physics: bool = setting(True, "try grasps in physics; false: rank them by geometry alone")
    hold_margin: float = setting(
        0.6,
        "share of the trials in physics that a grasp must hold",
        minimum=0.0,
        maximum=1.0,
    )
    min_confidence: float = setting(
        0.5, "least confidence of a reconstruction that is acted on", minimum=0.0, maximum=1.0
    )
    unseen_weight: float = setting(
        0.5,
        "worth of a contact on a side that no camera saw, against one on the seen side",
        minimum=0.0,
        maximum=1.0,
    )
    pose_error_m: float = setting(
        0.004,
        "error of the hand against the object that the trials in physics vary",
        unit="m",
        minimum=0.0,
        maximum=0.05,
    )
    speed: float = setting(
        0.15, "of the tool on straight lines", unit="m/s", minimum=0.005, maximum=1.0
    )
    near_margin_m: float = setting(
        0.002,
        "distance kept from obstacles on the straight approach and lift; elsewhere "
        "collision_margin_m",
        unit="m",
        minimum=0.001,
        maximum=0.05,
    )
    seed: int = setting(0, "of what is random", minimum=0)

    def __post_init__(self) -> None:
        validate(self)
