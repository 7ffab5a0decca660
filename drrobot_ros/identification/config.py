"""Settings of an identification."""

import dataclasses

from drrobot_ros.configuration import setting, validate


@dataclasses.dataclass(frozen=True)
class IdentificationConfig:
    """How parameters are fitted."""

    cutoff_hz: float = setting(
        10.0, "low-pass of positions where velocities are missing", unit="Hz", minimum=0.1
    )
    prior_std: float = setting(
        1.0,
        "how wrong the model may be at first; 1 is about 100 %. Less holds unexcited parameters "
        "closer to the model",
        minimum=0.01,
        maximum=100.0,
    )
    joint_offsets: bool = setting(False, "also find offsets of the joints' zero positions")
    offset_std: float = setting(
        0.05, "usual size of a joint offset", unit="rad or m", minimum=1e-6, maximum=1.0
    )
    folds: int = setting(4, "parts of the recording for cross-validation", minimum=2, maximum=20)

    def __post_init__(self) -> None:
        validate(self)
