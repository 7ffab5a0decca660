"""Settings: types, ranges and choices, named when they are wrong."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.configuration import setting, settings_of, validate
from drrobot_ros.errors import InputError


@dataclasses.dataclass(frozen=True)
class Example:
    gain: float = setting(1.0, "a number", unit="rad", minimum=0.0, maximum=2.0)
    count: int = setting(3, "a whole number", minimum=1)
    kind: str = setting("a", "a choice", choices=("a", "b"))
    on: bool = setting(True, "a switch")

    def __post_init__(self) -> None:
        validate(self)


def test_numbers_of_other_kinds_are_taken_over():
    example = Example(gain=2, count=np.int64(4))
    assert type(example.gain) is float and type(example.count) is int
    assert type(Example(gain=np.float32(0.5)).gain) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gain": 3.0}, r"Example\.gain is 3\.0; valid: 0\.0 to 2\.0 rad"),
        ({"gain": float("nan")}, "must be finite"),
        ({"gain": "1"}, "must be a float"),
        ({"gain": True}, "must be a float"),
        ({"count": 1.5}, "must be a int"),
        ({"count": 0}, r"count is 0; valid: 1 to None"),
        ({"kind": "c"}, "valid: a, b"),
        ({"on": 1}, "must be a bool"),
    ],
)
def test_wrong_values_are_named(change, message):
    with pytest.raises(InputError, match=message):
        Example(**change)


def test_settings_are_listed_in_order():
    found = list(settings_of(Example))
    assert [s.name for s in found] == ["gain", "count", "kind", "on"]
    assert found[0].default == 1.0 and found[0].type is float
    assert found[0].info.text() == "a number [rad]"
    assert found[2].info.text() == "a choice one of: a, b"
