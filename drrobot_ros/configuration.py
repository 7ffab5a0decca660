"""Settings declared once, as fields of frozen dataclasses.

The Python API, the command line, the ROS parameters, the yaml files in ``config/`` and the tables
in ``docs/`` are all made from the same declaration.
"""

import dataclasses
import math
import numbers
from collections.abc import Iterator
from typing import Any, get_type_hints

from drrobot_ros.errors import InputError

LEAF_TYPES = (bool, int, float, str)


@dataclasses.dataclass(frozen=True)
class SettingInfo:
    """What is known of one setting: what ROS calls a parameter descriptor."""

    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    read_only: bool = False

    def text(self) -> str:
        """Return the description with unit and valid values, on one line."""
        parts = [self.description]
        if self.unit:
            parts.append(f"[{self.unit}]")
        if self.choices is not None:
            parts.append("one of: " + ", ".join(map(str, self.choices)))
        return " ".join(parts)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One field of a configuration class: its name, type, default and description."""

    name: str
    type: type
    default: Any
    info: SettingInfo


def setting(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] | None = None,
    read_only: bool = False,
) -> Any:
    """Declare one setting of a frozen dataclass.

    Args:
        default: the value used when nothing else is said; its type must be a leaf type.
        description: one sentence.
        unit: of the value, e.g. ``"rad"``.
        minimum: smallest valid number, included.
        maximum: largest valid number, included.
        choices: the only valid values, if they can be listed.
        read_only: true when a running node cannot change it.
    """
    info = SettingInfo(description, unit, minimum, maximum, choices, read_only)
    return dataclasses.field(default=default, metadata={"setting": info})


def settings_of(cls: type) -> Iterator[Setting]:
    """Yield every setting of a configuration class, in the order of declaration."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        info = field.metadata.get("setting")
        if info is not None:
            yield Setting(field.name, hints[field.name], field.default, info)


def validate(config: Any) -> None:
    """Check every setting of a configuration object; call it from ``__post_init__``.

    Raises:
        InputError: a value of the wrong type, not finite, or outside its range or choices.
    """
    for item in settings_of(type(config)):
        value = getattr(config, item.name)
        where = f"{type(config).__name__}.{item.name}"
        if item.type in LEAF_TYPES:
            # A whole number does for a real one, and NumPy's numbers for Python's.
            kinds = numbers.Real if item.type is float else numbers.Integral
            wanted = kinds if item.type in (float, int) else item.type
            if not isinstance(value, wanted) or (item.type is not bool and isinstance(value, bool)):
                raise InputError(f"{where} must be a {item.type.__name__}, got {value!r}")
            convert: Any = item.type
            value = convert(value)
            object.__setattr__(config, item.name, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where} must be finite, got {value!r}")
        if item.info.choices is not None and value not in item.info.choices:
            valid = ", ".join(map(str, item.info.choices))
            raise InputError(f"{where} is {value!r}; valid: {valid}")
        low, high = item.info.minimum, item.info.maximum
        if isinstance(value, str):
            continue
        if (low is not None and value < low) or (high is not None and value > high):
            raise InputError(
                f"{where} is {value!r}; valid: {low} to {high} {item.info.unit}".rstrip()
            )
