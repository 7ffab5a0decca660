"""What a simulated scene looks like and how good its sensors are."""

import dataclasses
import math

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError

BACKGROUNDS = ("plain", "room", "clutter")
SUPPORTS = ("table", "floor")


@dataclasses.dataclass(frozen=True)
class SceneConfig:
    """Surroundings, light and camera noise of a simulated scene."""

    background: str = setting(
        "room",
        "plain colour, a furnished room, or the room with loose objects",
        choices=BACKGROUNDS,
    )
    support: str = setting("table", "what the robot stands on in a room", choices=SUPPORTS)
    background_grey: float = setting(0.85, "of the plain background", minimum=0.0, maximum=1.0)
    shadows: bool = setting(True, "the lamp casts shadows")
    ambient: float = setting(0.52, "light from everywhere", minimum=0.0, maximum=1.0)
    headlight: float = setting(0.12, "light from the camera", minimum=0.0, maximum=1.0)
    lamp: float = setting(0.42, "light from a lamp above", minimum=0.0, maximum=2.0)
    lamp_azimuth_rad: float = setting(
        -0.2, "where the lamp is, around the vertical axis of the base", unit="rad"
    )
    brightness: float = setting(1.0, "of all lights; low in a dim room", minimum=0.0, maximum=2.0)
    warmth: float = setting(
        0.0, "tint of all lights: blue below 0, yellow above", minimum=-1.0, maximum=1.0
    )
    gloss: float = setting(0.25, "of the robot's surface", minimum=0.0, maximum=1.0)
    occluders: int = setting(
        0, "boxes that float between the camera and the robot", minimum=0, maximum=10
    )
    second_robot: bool = setting(False, "another robot of the same kind stands beside it")
    person: bool = setting(False, "somebody stands in the room, and can be moved")
    noise: float = setting(
        0.0, "standard deviation of a pixel's colours, of 1", minimum=0.0, maximum=1.0
    )
    depth_noise: float = setting(
        0.0, "standard deviation of depth at 1 m, growing with its square", unit="m", minimum=0.0
    )
    samples: int = setting(0, "per pixel, for smooth edges", choices=(0, 2, 4, 8))
    shadow_map_px: int = setting(
        2048, "sharpness of shadows; much of the time of an image", choices=(256, 512, 1024, 2048)
    )
    coarseness_m: float = setting(
        0.0,
        "corners of the robot's meshes nearer than this are drawn as one, which is faster; "
        "0: meshes as they are",
        unit="m",
        minimum=0.0,
        maximum=0.1,
    )
    seed: int = setting(0, "of noise, loose objects and occluders", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """How wrong the joint positions are that a simulated robot reports."""

    bias: float = setting(
        0.0, "standard deviation of each joint's constant error", unit="rad or m", minimum=0.0
    )
    noise: float = setting(
        0.0, "standard deviation of each reading's error", unit="rad or m", minimum=0.0
    )
    offsets: tuple[float, ...] = setting(
        (),
        "constant error of each joint, one number per position [rad or m], by which a controller "
        "goes too: told to be somewhere, the arm is there by its encoders; empty: none",
    )
    seed: int = setting(0, "of the errors", minimum=0)

    def __post_init__(self) -> None:
        validate(self)
        if not all(math.isfinite(x) for x in self.offsets):
            raise InputError(f"offsets must be finite numbers, got {list(self.offsets)}")
