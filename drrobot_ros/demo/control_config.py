"""Settings of the demonstration of control by sight."""

import dataclasses
from pathlib import Path

from drrobot_ros.configuration import setting, validate


@dataclasses.dataclass(frozen=True)
class ControlDemoConfig:
    """What the demonstration of control by sight shows."""

    robot: str = setting(
        "", "URDF or MJCF file or menagerie name; empty: a UR5e with a gripper from airo-models"
    )
    output: str = setting("demo-control", "folder for the results")
    offset_deg: float = setting(
        5.0, "how wrong every encoder is", unit="deg", minimum=0.0, maximum=15.0
    )
    turn_deg: float = setting(
        20.0, "how far every joint is from its goal", unit="deg", minimum=1.0, maximum=60.0
    )
    width: int = setting(320, "of the camera's images", unit="px", minimum=64, maximum=1920)
    height: int = setting(240, "of the camera's images", unit="px", minimum=48, maximum=1080)
    rate_hz: float = setting(10.0, "of the camera", unit="Hz", minimum=1.0, maximum=120.0)
    speed: float = setting(
        0.3, "of the arm's joints, at most", unit="rad/s", minimum=0.01, maximum=3.0
    )
    seed: int = setting(1, "of the signs of the errors and of the goal", minimum=0)
    video: bool = setting(True, "write control.mp4")

    def __post_init__(self) -> None:
        validate(self)

    @property
    def folder(self) -> Path:
        """The folder for the results."""
        return Path(self.output)
