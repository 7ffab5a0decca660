"""Settings of planning, declared once for Python, the command line and ROS."""

import dataclasses

from drrobot_ros.configuration import setting, validate
from drrobot_ros.control.optimizers import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class PlanConfig(OptimizerConfig):
    """How joint targets are looked for, and what is asked of them besides the goal."""

    method: str = setting(
        "auto",
        "gauss_newton: for pictures and tracks alone; adam: any goals; auto: the better one",
        choices=("auto", "adam", "gauss_newton"),
    )
    rate_hz: float = setting(
        30.0, "time steps per second of tracks without times", unit="Hz", minimum=0.1, maximum=1e3
    )
    joint_limits: float = setting(1.0, "weight of keeping off the joint limits", minimum=0.0)
    self_collision: float = setting(
        0.01, "weight of keeping links apart, per cm^2 of intrusion", minimum=0.0
    )
    obstacles: float = setting(
        0.01, "weight of keeping off obstacles, per cm^2 of intrusion", minimum=0.0
    )
    stay_near: float = setting(
        1e-3, "weight of staying near the start, per rad^2 or m^2", minimum=0.0
    )
    smoothness: float = setting(
        1e-3, "weight of a motion's squared accelerations, per (rad/s^2)^2", minimum=0.0
    )
    manipulability: float = setting(
        0.0, "weight of room to move: minus the log of Yoshikawa's measure", minimum=0.0
    )
    tip_link: str = setting("", "link whose manipulability counts; empty: the last one")

    def __post_init__(self) -> None:
        validate(self)
