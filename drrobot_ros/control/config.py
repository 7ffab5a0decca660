"""Settings of what stands between an optimizer and an arm, declared once."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError


@dataclasses.dataclass(frozen=True)
class SafetyConfig:
    """Limits of every commanded motion; those of the robot's own description hold as well."""

    velocity_scale: float = setting(
        0.5, "share of the robot's own velocity limits that is used", minimum=1e-3, maximum=1.0
    )
    max_velocity: float = setting(
        1.0,
        "velocity limit of joints, also of those whose description has none",
        unit="rad/s or m/s",
        minimum=1e-3,
        maximum=100.0,
    )
    max_acceleration: float = setting(
        2.0, "acceleration limit of joints", unit="rad/s^2 or m/s^2", minimum=1e-3, maximum=1e4
    )
    max_jerk: float = setting(
        20.0, "jerk limit of joints", unit="rad/s^3 or m/s^3", minimum=1e-2, maximum=1e6
    )
    position_margin: float = setting(
        0.02,
        "distance kept from the position limits",
        unit="rad or m",
        minimum=0.0,
        maximum=1.0,
    )
    collision_margin_m: float = setting(
        0.01,
        "distance kept between links that are not neighbours, and from obstacles",
        unit="m",
        minimum=1e-3,
        maximum=0.2,
    )
    corridor: float = setting(
        0.0,
        "farthest any joint may be from the straight line between start and end; 0: any",
        unit="rad or m",
        minimum=0.0,
        maximum=10.0,
    )
    workspace: tuple[float, ...] = setting(
        (),
        "box in the base frame that moving links must not leave: x y z of one corner, then of the "
        "opposite one [m]; empty: any",
    )
    rate_hz: float = setting(
        100.0, "samples of a trajectory per second", unit="Hz", minimum=10.0, maximum=1000.0
    )

    def __post_init__(self) -> None:
        validate(self)
        box = self.workspace
        if len(box) not in (0, 6) or any(a >= b for a, b in zip(box[:3], box[3:], strict=False)):
            raise InputError(
                f"workspace must be empty or two corners, the lower one first; got {list(box)}"
            )
