"""Command-line flags made from configuration classes."""

import argparse
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, get_args, get_origin

from drrobot_ros.configuration import Setting, settings_of

Config = TypeVar("Config")


def add_flags(parser: Any, cls: type, prefix: str = "", skip: Collection[str] = ()) -> None:
    """Add a flag for each setting of a configuration class: ``fine_width`` is ``--fine-width``.

    Args:
        parser: a parser or a group of one.
        cls: the frozen dataclass.
        prefix: put before the names, e.g. ``"tracker-"``.
        skip: settings that get no flag.
    """
    for item in settings_of(cls):
        if item.name in skip:
            continue
        name = f"--{prefix}{item.name}".replace("_", "-")
        dest = f"{prefix}{item.name}".replace("-", "_")
        help_text = (item.info.text() + _range(item)).replace("%", "%%")
        common = {"dest": dest, "default": item.default, "help": help_text}
        if item.type is bool:
            parser.add_argument(name, action=argparse.BooleanOptionalAction, **common)
        elif get_origin(item.type) is tuple:
            kind = get_args(item.type)[0]
            parser.add_argument(name, type=_of(kind), nargs="*", metavar=_word(kind), **common)
        else:
            common["choices"] = item.info.choices
            if item.info.choices is None:
                common["metavar"] = item.info.unit or _word(item.type)
            parser.add_argument(name, type=_of(item.type), **common)


def from_flags(
    cls: type[Config],
    options: argparse.Namespace,
    prefix: str = "",
    given: Mapping[str, Any] | None = None,
) -> Config:
    """Return a configuration with the values of the flags that `add_flags` made.

    Args:
        cls: the frozen dataclass.
        options: the parsed command line.
        prefix: as for `add_flags`.
        given: values of settings that have no flag.

    Raises:
        InputError: a value outside its range.
    """
    values = dict(given or {})
    for item in settings_of(cls):
        if item.name in values:
            continue
        value = getattr(options, f"{prefix}{item.name}".replace("-", "_"))
        values[item.name] = tuple(value) if get_origin(item.type) is tuple else value
    return cls(**values)


def _range(item: Setting) -> str:
    low, high = item.info.minimum, item.info.maximum
    if low is None and high is None:
        return ""
    if high is None:
        return f"; at least {low:g}"
    return f"; at most {high:g}" if low is None else f"; {low:g} to {high:g}"


def _word(kind: type) -> str:
    return {float: "number", int: "count", str: "text"}[kind]


def _of(kind: type) -> Callable[[str], Any]:
    """Return the converter, under a name that reads well in argparse's complaint."""

    def convert(text: str) -> Any:
        return kind(text)

    convert.__name__ = {float: "number", int: "whole number", str: "text"}[kind]
    return convert
