"""ROS parameters made from configuration classes: typed, described, validated, changeable."""

import dataclasses
import difflib
import math
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from drrobot_ros.configuration import Setting, settings_of
from drrobot_ros.errors import InputError
from drrobot_ros.ros.declarations import nested_settings

Config = TypeVar("Config")
Type = Parameter.Type

_SCALARS = {bool: Type.BOOL, int: Type.INTEGER, float: Type.DOUBLE, str: Type.STRING}
_ARRAYS = {float: Type.DOUBLE_ARRAY, int: Type.INTEGER_ARRAY, str: Type.STRING_ARRAY}
_INT64 = (-(2**63), 2**63 - 1)


def parameter_type(setting: Setting) -> Parameter.Type:
    """Return the ROS type of a setting: a leaf type, or an array for ``tuple[type, ...]``."""
    if get_origin(setting.type) is tuple:
        return _ARRAYS[get_args(setting.type)[0]]
    return _SCALARS[setting.type]


def describe(name: str, setting: Setting) -> ParameterDescriptor:
    """Return the descriptor of a setting."""
    info = setting.info
    kind = parameter_type(setting)
    descriptor = ParameterDescriptor(
        name=name, type=kind.value, description=info.text(), read_only=info.read_only
    )
    if info.choices is not None:
        descriptor.additional_constraints = "one of: " + ", ".join(map(str, info.choices))
    if info.minimum is not None or info.maximum is not None:
        low = -math.inf if info.minimum is None else info.minimum
        high = math.inf if info.maximum is None else info.maximum
        if kind == Type.DOUBLE:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif kind == Type.INTEGER:
            whole = int(max(low, _INT64[0])), int(min(high, _INT64[1]))
            descriptor.integer_range = [IntegerRange(from_value=whole[0], to_value=whole[1])]
    return descriptor


def fit(parameter: Parameter, kind: Parameter.Type) -> Parameter:
    """Return the parameter with whole numbers turned into doubles where doubles are declared.

    And yes and no, which yaml takes for booleans, into the words where a string is declared.
    """
    value: Any = parameter.value
    if kind == Type.STRING and parameter.type_ == Type.BOOL:
        return Parameter(parameter.name, kind, "yes" if value else "no")
    if kind == Type.DOUBLE and parameter.type_ == Type.INTEGER:
        return Parameter(parameter.name, kind, float(value))
    if kind == Type.DOUBLE_ARRAY and parameter.type_ == Type.INTEGER_ARRAY:
        return Parameter(parameter.name, kind, [float(v) for v in value])
    empty = value is None or (not isinstance(value, (str, bool, int, float)) and not len(value))
    if empty and kind in _ARRAYS.values():  # an empty list in yaml or on a service has no type
        return Parameter(parameter.name, kind, [])
    return parameter


class Parameters(Generic[Config]):
    """Declares a configuration class on a node and keeps the current object.

    Args:
        node: whose parameters they are.
        cls: a frozen dataclass, which may have others nested in it.
        prefix: put before the names, e.g. ``"tracker."``.
        on_change: called with the new object after it is in place.
        read_only: none can be changed while the node runs.
        defaults: an object of the class, whose values are the start where none is given; None: the
            class's own defaults.

    Attributes:
        config: the current object. It is replaced as a whole: read it once and use that.

    Raises:
        InputError: the start values (yaml, command line) are not valid; the message says why.
    """

    def __init__(
        self,
        node: Node,
        cls: type[Config],
        prefix: str = "",
        on_change: Callable[[Config], None] | None = None,
        *,
        read_only: bool = False,
        defaults: Config | None = None,
    ) -> None:
        self._node, self._cls, self._prefix, self._on_change = node, cls, prefix, on_change
        self._settings = dict(nested_settings(cls, prefix, read_only=read_only))
        self._kinds = {name: parameter_type(item) for name, item in self._settings.items()}
        self._lock = threading.Lock()
        overrides = node._parameter_overrides  # rclpy has no public way to read them
        start = {name: self._start_value(overrides, name) for name in self._settings}
        if defaults is not None:
            own = {name: getattr(defaults, name.removeprefix(prefix)) for name in self._settings}
            start.update({name: own[name] for name in own if name not in overrides})
        self._values = start
        self.config: Config = build(cls, start, prefix)
        for name in self._settings:
            self._declare(name, start[name])
        _fit_before_setting(node, self._kinds)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def _start_value(self, overrides: dict[str, Parameter], name: str) -> Any:
        if name not in overrides:
            return self._settings[name].default
        parameter = fit(overrides[name], self._kinds[name])
        if parameter.type_ != self._kinds[name]:
            wanted = self._kinds[name].name.lower().replace("_", " ")
            raise InputError(f"parameter {name!r} must be a {wanted}, got {parameter.value!r}")
        return _plain(parameter.value)

    def _declare(self, name: str, value: Any) -> None:
        descriptor = describe(name, self._settings[name])
        kind = self._kinds[name]
        if kind not in _ARRAYS.values():
            self._node.declare_parameter(name, value, descriptor, ignore_override=True)
            return
        # rclpy cannot tell the type of an empty list, so the value comes after the declaration.
        descriptor.read_only = False
        self._node.declare_parameter(name, kind, descriptor, ignore_override=True)
        self._node.set_parameters([Parameter(name, kind, list(value))])
        if self._settings[name].info.read_only:
            self._node.set_descriptor(name, describe(name, self._settings[name]))

    def _candidate(self, parameters: list[Parameter]) -> dict[str, Any]:
        changed = {p.name: _plain(p.value) for p in parameters if p.name in self._settings}
        return {**self._values, **changed}

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            build(self._cls, self._candidate(parameters), self._prefix)
        except (InputError, TypeError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        with self._lock:
            self._values = self._candidate(parameters)
            config = build(self._cls, self._values, self._prefix)
            changed = config != self.config
            self.config = config
        if changed and self._on_change is not None:
            self._on_change(config)


_kinds_by_node: WeakKeyDictionary[Node, dict[str, Parameter.Type]] = WeakKeyDictionary()


def _fit_before_setting(node: Node, kinds: dict[str, Parameter.Type]) -> None:
    """Have :func:`fit` applied to whatever is set on a node."""
    first = node not in _kinds_by_node
    known = _kinds_by_node.setdefault(node, {})
    known.update(kinds)
    # One callback for all classes: rclpy joins what several return, so each would come twice.
    if first:
        node.add_pre_set_parameters_callback(
            lambda given: [fit(p, known[p.name]) if p.name in known else p for p in given]
        )


def build(cls: type[Config], values: dict[str, Any], prefix: str = "") -> Config:
    """Return a configuration object from values by full name; its class checks them."""
    hints = get_type_hints(cls)
    own = {item.name for item in settings_of(cls)}
    arguments = {}
    for field in dataclasses.fields(cls):  # pyright: ignore[reportArgumentType]
        if field.name in own:
            arguments[field.name] = values[prefix + field.name]
        elif dataclasses.is_dataclass(hints[field.name]):
            arguments[field.name] = build(hints[field.name], values, f"{prefix}{field.name}.")
    return cls(**arguments)


def warn_of_unknown(node: Node) -> list[str]:
    """Warn of every given parameter that nobody declared, naming the close ones.

    Call it when everything is declared, subscriptions with ``qos_overrides`` too.

    Returns:
        The warnings.
    """
    known = list(node._parameters)
    warnings = []
    for name in node._parameter_overrides:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        warnings.append(f"parameter {name!r} is not known and has no effect{hint}")
        node.get_logger().warning(warnings[-1])
    return warnings


def _plain(value: Any) -> Any:
    """Return a parameter's value as configuration classes have it: tuples for arrays."""
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    return tuple(value)
