"""Parameters made from configuration classes."""

import dataclasses
import math

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import rclpy
from rcl_interfaces.msg import ParameterType
from rclpy.parameter import Parameter

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError
from drrobot_ros.ros.parameters import Parameters, fit, warn_of_unknown
from drrobot_ros.ros.settings import CameraSettings, PoseEstimatorSettings, SimulatedRobotSettings


@dataclasses.dataclass(frozen=True)
class Inner:
    gain: float = setting(1.0, "of the loop", unit="1/s", minimum=0.0)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True)
class Config:
    low: float = setting(0.0, "lower end")
    high: float = setting(1.0, "upper end")
    count: int = setting(3, "how many", minimum=1, maximum=10)
    mode: str = setting("a", "how", choices=("a", "b"))
    robot: str = setting("arm", "which", read_only=True)
    numbers: tuple[float, ...] = setting((), "a list")
    paths: tuple[str, ...] = setting(("x",), "folders", read_only=True)
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        validate(self)
        if self.low >= self.high:
            raise InputError(f"low is {self.low}, which is not below high, {self.high}")


@dataclasses.dataclass(frozen=True)
class Single:
    low: float = setting(0.0, "a number")
    word: str = setting("w", "a word")


@pytest.fixture
def make(ros):
    nodes = []

    def start(prefix="", on_change=None, **overrides):
        given = [Parameter(k.replace("__", "."), value=v) for k, v in overrides.items()]
        node = rclpy.create_node("parameters", parameter_overrides=given)
        nodes.append(node)
        return node, Parameters(node, Config, prefix, on_change)

    yield start
    for node in nodes:
        node.destroy_node()


def set_one(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_declared_with_descriptors(make):
    node, parameters = make()
    assert parameters.config == Config()
    gain = node.describe_parameter("inner.gain")
    assert gain.type == ParameterType.PARAMETER_DOUBLE
    assert gain.description == "of the loop [1/s]"
    assert gain.floating_point_range[0].from_value == 0.0
    assert gain.floating_point_range[0].to_value == math.inf
    count = node.describe_parameter("count")
    assert (count.integer_range[0].from_value, count.integer_range[0].to_value) == (1, 10)
    assert node.describe_parameter("mode").additional_constraints == "one of: a, b"
    assert node.describe_parameter("robot").read_only
    assert node.describe_parameter("numbers").type == ParameterType.PARAMETER_DOUBLE_ARRAY
    assert node.get_parameter("numbers").value == []
    assert node.describe_parameter("paths").read_only
    assert list(node.get_parameter("paths").value) == ["x"]


def test_start_values(make):
    node, parameters = make(inner__gain=2.0, numbers=[1.0, 2.0], mode="b", paths=["y", "z"])
    expected = Config(mode="b", numbers=(1.0, 2.0), paths=("y", "z"), inner=Inner(2.0))
    assert parameters.config == expected
    assert node.get_parameter("inner.gain").value == 2.0


def test_words_that_yaml_takes_for_booleans(make):
    assert fit(Parameter("mode", value=False), Parameter.Type.STRING).value == "no"
    assert fit(Parameter("mode", value=True), Parameter.Type.STRING).value == "yes"
    with pytest.raises(InputError, match=r"mode.*'yes'.*a, b"):
        make(mode=True)


def test_defaults_of_an_object(make):
    node, _ = make(**{"inner__gain": 2.0, "left__low": -3.0})
    given = Single(low=-1.0, word="x")
    left = Parameters(node, Single, "left.", defaults=given)
    assert left.config == Single(low=-3.0, word="x")
    assert node.get_parameter("left.word").value == "x"
    assert Parameters(node, Single, "right.").config == Single()


def test_whole_numbers_do_for_doubles(make):
    node, parameters = make(inner__gain=2, numbers=[1, 2])
    assert parameters.config.inner.gain == 2.0
    assert parameters.config.numbers == (1.0, 2.0)
    assert set_one(node, "high", 5).successful
    assert parameters.config.high == 5.0
    assert node.get_parameter("high").value == 5.0
    assert set_one(node, "numbers", [3, 4]).successful
    assert parameters.config.numbers == (3.0, 4.0)
    assert node.set_parameters([Parameter("numbers", Parameter.Type.BYTE_ARRAY, [])])[0].successful
    assert parameters.config.numbers == ()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"inner__gain": -1.0}, r"gain is -1.0"),
        ({"count": "many"}, r"'count' must be a integer, got 'many'"),
        ({"mode": "c"}, r"mode is 'c'; valid: a, b"),
        ({"low": 3.0}, r"low is 3.0, which is not below"),
        ({"inner__gain": [1.0]}, r"'inner.gain' must be a double"),
    ],
)
def test_unusable_start_values(make, overrides, words):
    with pytest.raises(InputError, match=words):
        make(**overrides)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("inner.gain", -1.0, "range"),
        ("count", 11, "range"),
        ("mode", "c", "valid: a, b"),
        ("low", 3.0, "not below high"),
        ("robot", "leg", "read-only"),
        ("paths", ["q"], "read-only"),
        ("count", "many", "type"),
        ("inner.gain", math.nan, "gain"),
    ],
)
def test_says_no_and_keeps_what_was(make, name, value, words):
    changes = []
    node, parameters = make(on_change=changes.append)
    before = parameters.config
    result = set_one(node, name, value)
    assert not result.successful
    assert words in result.reason
    assert parameters.config is before
    assert not changes


def test_changes_are_one_new_object(make):
    changes = []
    node, parameters = make(on_change=changes.append)
    result = node.set_parameters_atomically(
        [Parameter("low", value=5.0), Parameter("high", value=6.0)]
    )
    assert result.successful
    assert parameters.config == Config(low=5.0, high=6.0)
    assert changes == [parameters.config]
    # One by one the first would cross the other.
    assert not set_one(node, "high", 4.0).successful


def test_prefix(make):
    node, parameters = make(prefix="p.", p__count=4)
    assert parameters.config.count == 4
    assert set_one(node, "p.inner.gain", 9).successful
    assert parameters.config.inner.gain == 9.0


def test_two_classes_on_one_node(make):
    node, parameters = make()
    inner = Parameters(node, Inner, "second.")
    assert set_one(node, "second.gain", 7).successful
    assert set_one(node, "inner.gain", 8).successful
    assert (inner.config.gain, parameters.config.inner.gain) == (7.0, 8.0)
    seen = []
    node.add_post_set_parameters_callback(lambda given: seen.extend(p.name for p in given))
    assert set_one(node, "inner.gain", 8.5).successful
    assert seen == ["inner.gain"]  # once
    assert set_one(node, "inner.gain", 8).successful
    # And those that are not ours.
    assert set_one(node, "use_sim_time", True).successful
    both = [Parameter("second.gain", value=1), Parameter("high", value=2)]
    assert node.set_parameters_atomically(both).successful
    assert (inner.config.gain, parameters.config.high) == (1.0, 2.0)


def test_misspelt_parameters_are_named(make):
    node, _ = make(inner__gian=2.0, colour="red", count=2)
    warnings = warn_of_unknown(node)
    assert len(warnings) == 2
    assert "'inner.gian'" in warnings[0] and "did you mean inner.gain" in warnings[0]
    assert "'colour'" in warnings[1] and "did you mean" not in warnings[1]


@pytest.mark.parametrize(
    ("cls", "values", "words"),
    [
        (CameraSettings, {"initial_camera_pose": (1.0, 2.0)}, "7 numbers"),
        (CameraSettings, {"initial_camera_pose": (0.0,) * 7}, "zero quaternion"),
        (PoseEstimatorSettings, {"initial_joint_positions": (math.nan,)}, "finite"),
        (PoseEstimatorSettings, {"cameras": ("front", "front")}, "different names"),
        (PoseEstimatorSettings, {"cameras": ("tracker",)}, "cannot be a camera's name"),
        (PoseEstimatorSettings, {"package_paths": (1,)}, "list of str"),
        (PoseEstimatorSettings, {"robot": "ur5e.npz"}, "splats"),
        (CameraSettings, {"image_rectified": "maybe"}, "auto, yes, no"),
        (SimulatedRobotSettings, {"camera_pose": (1.0,)}, "7 numbers"),
        (SimulatedRobotSettings, {"rate_hz": 0.0}, "rate_hz"),
    ],
)
def test_settings_of_the_nodes(cls, values, words):
    with pytest.raises(InputError, match=words):
        cls(**values)
    assert CameraSettings(initial_camera_pose=(1, 2, 3, 0, 0, 0)).initial_camera_pose[0] == 1
