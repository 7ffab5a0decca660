"""How far and how fast each joint may move."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]

_MARGIN_SHARE = 0.05  # of a joint's range that the margin takes at most


@dataclasses.dataclass(frozen=True, eq=False)
class MotionLimits:
    """Limits of every joint.

    Attributes:
        joint_names: [nq].
        lower: [nq] rad or m, -inf where there is none.
        upper: [nq].
        velocity: [nq] per s.
        acceleration: [nq] per s^2.
        jerk: [nq] per s^3.
    """

    joint_names: tuple[str, ...]
    lower: Vector
    upper: Vector
    velocity: Vector
    acceleration: Vector
    jerk: Vector

    @classmethod
    def of(cls, model: RobotModel, config: SafetyConfig | None = None) -> "MotionLimits":
        """Return the stricter of a robot's own limits and the settings'.

        Raises:
            InputError: the robot has ball or floating joints.
        """
        config = config or SafetyConfig()
        if model.nq != len(model.joint_names) or model.nv != model.nq:
            raise InputError(f"{model.name!r} has ball or floating joints; no motion is planned")
        # Of a joint of little range, as a gripper's finger, the margin takes a share.
        span = np.asarray(model.upper, float) - np.asarray(model.lower, float)
        margin = np.minimum(config.position_margin, _MARGIN_SHARE * np.maximum(span, 0.0))
        lower = np.asarray(model.lower, float) + margin
        upper = np.asarray(model.upper, float) - margin
        n = model.nq
        own = np.asarray(model.velocity_limit, float) * config.velocity_scale
        return cls(
            model.joint_names,
            lower,
            upper,
            np.minimum(own, config.max_velocity),
            np.full(n, config.max_acceleration),
            np.full(n, config.max_jerk),
        )

    def check_position(self, q: Vector, what: str) -> None:
        """Raise InputError if a configuration [nq] is of wrong size, not finite or out of range."""
        if np.shape(q) != self.lower.shape:
            raise InputError(
                f"{what} must be {len(self.lower)} numbers: {', '.join(self.joint_names)}; "
                f"got shape {list(np.shape(q))}"
            )
        for name, x, low, high in zip(self.joint_names, q, self.lower, self.upper, strict=True):
            if not low - 1e-6 <= x <= high + 1e-6:
                raise InputError(
                    f"{what}: joint {name!r} at {x:.4f}; valid: {low:.4f} to {high:.4f}"
                )
