"""What the nodes' settings share: walking through them, and checks; imports no ROS."""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

from drrobot_ros.configuration import Setting, settings_of
from drrobot_ros.errors import InputError


def nested_settings(
    cls: type, prefix: str = "", *, read_only: bool = False
) -> Iterator[tuple[str, Setting]]:
    """Yield (full name, setting) of a configuration class and of the classes nested in it.

    Args:
        cls: the class.
        prefix: put before the names.
        read_only: none can be changed while the node runs, whatever the class says.
    """
    hints = get_type_hints(cls)
    direct = {item.name: item for item in settings_of(cls)}
    for field in dataclasses.fields(cls):
        if field.name in direct:
            item = direct[field.name]
            info = dataclasses.replace(item.info, read_only=read_only or item.info.read_only)
            yield prefix + field.name, dataclasses.replace(item, info=info)
        elif dataclasses.is_dataclass(hints[field.name]):
            inner = f"{prefix}{field.name}."
            yield from nested_settings(hints[field.name], inner, read_only=read_only)


def check_tuples(config: Any) -> None:
    """Check and convert the settings that are tuples of numbers or strings.

    Raises:
        InputError: an element of the wrong type, or not finite.
    """
    for item in settings_of(type(config)):
        if get_origin(item.type) is not tuple:
            continue
        kind = get_args(item.type)[0]
        values = tuple(getattr(config, item.name))
        if kind is float:
            if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
                raise InputError(f"{item.name} must be finite numbers, got {list(values)}")
            values = tuple(float(v) for v in values)
        elif not all(isinstance(v, kind) for v in values):
            raise InputError(f"{item.name} must be a list of {kind.__name__}, got {list(values)}")
        object.__setattr__(config, item.name, values)


def check_pose(name: str, numbers: tuple[float, ...], *, may_be_empty: bool) -> None:
    """Raise an InputError unless the numbers can be a pose (see ``matrix_from_numbers``)."""
    if not numbers and may_be_empty:
        return
    if len(numbers) not in (6, 7):
        raise InputError(
            f"{name} is x y z qx qy qz qw (7 numbers) or x y z roll pitch yaw (6 numbers), "
            f"got {len(numbers)}: {list(numbers)}"
        )
    if len(numbers) == 7 and math.hypot(*numbers[3:]) < 1e-6:
        raise InputError(f"{name} has a zero quaternion: {list(numbers)}")


def check_cameras(names: tuple[str, ...]) -> None:
    """Raise an InputError unless the names can be those of several cameras."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in ("tracker", "solver"):
            raise InputError(
                f"{name!r} cannot be a camera's name: letters, digits and _, and not tracker"
            )
    if len(set(names)) < len(names):
        raise InputError(f"cameras must have different names, got {', '.join(names)}")
