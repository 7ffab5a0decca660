"""Settings of the demonstration."""

import dataclasses
from pathlib import Path

from drrobot_ros.configuration import setting, validate


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """What the demonstration shows."""

    robot: str = setting(
        "", "URDF or MJCF file or menagerie name; empty: a UR5e with a gripper from airo-models"
    )
    output: str = setting("demo", "folder for the results")
    seconds: float = setting(12.0, "of motion", unit="s", minimum=3.0, maximum=600.0)
    offset_deg: float = setting(
        10.0, "how wrong every joint is at the start", unit="deg", minimum=0.0, maximum=45.0
    )
    width: int = setting(320, "of the camera's images", unit="px", minimum=64, maximum=1920)
    height: int = setting(240, "of the camera's images", unit="px", minimum=48, maximum=1080)
    rate_hz: float = setting(30.0, "of the camera", unit="Hz", minimum=1.0, maximum=120.0)
    background: str = setting("room", "of the scene", choices=("plain", "room", "clutter"))
    shadows: bool = setting(True, "cast shadows; that is most of the simulator's work")
    estimate_camera: bool = setting(
        False, "the camera pose is not known but estimated too, from 2 cm and 2 deg off"
    )
    seed: int = setting(0, "of the signs of the start's errors", minimum=0)
    video: bool = setting(True, "write overlay.mp4")

    def __post_init__(self) -> None:
        validate(self)

    @property
    def folder(self) -> Path:
        """The folder for the results."""
        return Path(self.output)
