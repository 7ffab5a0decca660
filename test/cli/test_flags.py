"""Command-line flags made from configuration classes."""

import argparse
import dataclasses

import pytest

from drrobot_ros.commands.flags import add_flags, from_flags
from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.estimation import TrackerConfig


@dataclasses.dataclass(frozen=True)
class Config:
    size_px: int = setting(3, "of it", unit="px", minimum=1, maximum=9)
    weight: float = setting(0.5, "of 100 %")
    name: str = setting("a", "of it")
    kind: str = setting("x", "of it", choices=("x", "y"))
    on: bool = setting(True, "or off")
    paths: tuple[str, ...] = setting((), "to look in")
    pose: tuple[float, ...] = setting((1.0,), "of it")

    def __post_init__(self):
        validate(self)


def parse(words, cls=Config, prefix=""):
    parser = argparse.ArgumentParser()
    add_flags(parser, cls, prefix)
    return from_flags(cls, parser.parse_args(words), prefix)


def test_defaults_are_those_of_the_class():
    assert parse([]) == Config()
    assert parse([], TrackerConfig, "tracker-") == TrackerConfig()


def test_every_kind_of_value_is_read():
    words = ["--size-px=4", "--weight=1", "--name=b", "--kind=y", "--no-on"]
    words += ["--paths", "p", "q", "--pose", "1", "2.5"]
    config = parse(words)
    assert config == Config(4, 1.0, "b", "y", False, ("p", "q"), (1.0, 2.5))
    assert isinstance(config.weight, float)


def test_prefixed_flags():
    assert parse(["--t-size-px", "5"], prefix="t-").size_px == 5


def test_out_of_range_names_the_range():
    with pytest.raises(InputError, match=r"size_px is 10; valid: 1 to 9 px"):
        parse(["--size-px", "10"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--size-px", "1.5"], "invalid whole number value: '1.5'"),
        (["--weight", "heavy"], "invalid number value: 'heavy'"),
        (["--kind", "z"], "invalid choice: 'z'"),
    ],
)
def test_wrong_words_are_refused(words, complaint, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(words)
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err


def test_help_names_range_and_unit():
    parser = argparse.ArgumentParser()
    add_flags(parser, Config)
    text = " ".join(parser.format_help().split())
    assert "of it [px]; 1 to 9" in text
    assert "of 100 %" in text
