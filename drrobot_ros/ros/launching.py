"""What the launch files have in common: declared arguments, and one of our nodes set up by them."""

# launch comes with ROS 2 only; without it there is nothing to check this file against.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext

#: name, default and description of each argument of a launch file
Arguments = Sequence[tuple[str, str, str]]


def share() -> Path:
    """Return the package's installed share folder."""
    return Path(get_package_share_directory("drrobot_ros"))


def declare(arguments: Arguments) -> list[DeclareLaunchArgument]:
    """Return the declarations of a launch file's arguments."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in arguments
    ]


def given(context: LaunchContext, arguments: Arguments) -> dict[str, str]:
    """Return what the arguments are in this launch, by name."""
    return {name: LaunchConfiguration(name).perform(context) for name, _, _ in arguments}


def is_true(text: str) -> bool:
    """Return a switch's meaning.

    Raises:
        ValueError: it is neither a word for true nor one for false.
    """
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"expected true or false, got {text!r}")


def words(values: Mapping[str, str], names: Iterable[str]) -> dict[str, ParameterValue]:
    """Return the string parameters that were given; a value of digits only is a word all the same.

    What is empty is left to the parameter file.
    """
    return {
        name: ParameterValue(values[name], value_type=str) for name in names if values.get(name)
    }


def camera_pose(
    values: Mapping[str, str], parameter: str = "initial_camera_pose"
) -> dict[str, list[float]]:
    """Return the parameter of the camera's pose, where one was given."""
    numbers = [float(word) for word in values["camera_pose"].split()]
    return {parameter: numbers} if numbers else {}


def camera_topics(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the remappings of the image, of the calibration beside it and of the description."""
    image = values["image"]
    info = values["camera_info"] or "/".join([*image.split("/")[:-1], "camera_info"])
    return [
        ("image", image),
        ("camera_info", info),
        ("robot_description", values["robot_description_topic"]),
    ]


def optional_topics(
    values: Mapping[str, str], topics: Iterable[str]
) -> tuple[list[tuple[str, str]], dict[str, bool]]:
    """Return remappings and switches of the topics that were given a name."""
    named = [topic for topic in topics if values[topic]]
    return [(t, values[t]) for t in named], {f"subscribe_{t}": True for t in named}


def node(
    executable: str,
    values: Mapping[str, str],
    parameters: Mapping[str, Any],
    remappings: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> Node:
    """Return one of the package's nodes.

    Args:
        executable: its name.
        values: the launch file's arguments, with namespace, params_file, use_sim_time, log_level.
        parameters: what goes before the parameter file.
        remappings: from, to.
        more: for `launch_ros.actions.Node`.
    """
    own = {"use_sim_time": is_true(values["use_sim_time"]), **parameters}
    return Node(
        package="drrobot_ros",
        executable=executable,
        namespace=values["namespace"],
        parameters=[values["params_file"], own],
        remappings=list(remappings),
        arguments=["--ros-args", "--log-level", values["log_level"]],
        output="screen",
        **more,
    )
