"""Named controllers of arms, from a yaml file; imports no ROS."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drrobot_ros.errors import InputError, unknown_name

INTERFACES = ("action", "topic")


@dataclasses.dataclass(frozen=True)
class Controller:
    """What follows joint trajectories.

    Attributes:
        name: of the entry.
        interface: action (FollowJointTrajectory) or topic (JointTrajectory).
        topic: name of the action or the topic.
        joints: in its order; empty: all of the robot's.
    """

    name: str
    interface: str
    topic: str
    joints: tuple[str, ...] = ()

    def order(self, joint_names: Sequence[str]) -> tuple[str, ...]:
        """Return the joints it moves, in its order.

        Raises:
            InputError: it names joints that the robot does not have.
        """
        for joint in self.joints:
            if joint not in joint_names:
                raise InputError(
                    f"controller {self.name!r} is not this robot's: "
                    f"{unknown_name('joint', joint, joint_names)}"
                )
        return self.joints or tuple(joint_names)


def read_controllers(path: str | Path) -> dict[str, Controller]:
    """Return the controllers of a file by name.

    Raises:
        InputError: it cannot be read, or an entry is wrong.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot read controllers from {path}: {error}") from error
    entries = data.get("controllers") if isinstance(data, Mapping) else None
    if not isinstance(entries, Mapping) or not entries:
        raise InputError(f"{path} must hold a mapping 'controllers'")
    return {str(name): _controller(str(name), entry, path) for name, entry in entries.items()}


def find_controller(name: str, path: str | Path = "") -> Controller:
    """Return a controller by name; of the package's own file where none is given.

    Raises:
        InputError: there is none of this name; the message names those there are.
    """
    known = read_controllers(path or own_file())
    if name not in known:
        raise unknown_name("controller", name, known)
    return known[name]


def own_file() -> Path:
    """Return the package's own file of controllers, in the checkout or installed.

    Raises:
        InputError: it is in neither.
    """
    roots = (Path(__file__).resolve().parents[2], Path(sys.prefix) / "share" / "drrobot_ros")
    for root in roots:
        if (root / "config" / "controllers.yaml").is_file():
            return root / "config" / "controllers.yaml"
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory("drrobot_ros")) / "config" / "controllers.yaml"
    except Exception as error:
        raise InputError(
            "config/controllers.yaml is not installed; set controllers_file"
        ) from error


def _controller(name: str, entry: object, path: str | Path) -> Controller:
    where = f"{path}: controller {name!r}"
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} must be a mapping, got {entry!r}")
    unknown = set(entry) - {"interface", "name", "joints"}
    if unknown:
        raise InputError(
            f"{where} has unknown keys {sorted(unknown)}; valid: interface, name, joints"
        )
    interface, topic = str(entry.get("interface", "action")), str(entry.get("name", ""))
    joints = entry.get("joints") or ()
    if interface not in INTERFACES:
        raise InputError(f"{where}: {unknown_name('interface', interface, INTERFACES)}")
    if not topic:
        raise InputError(f"{where} has no name of an action or a topic")
    if isinstance(joints, str) or not all(isinstance(j, str) for j in joints):
        raise InputError(f"{where}: joints must be a list of names, got {joints!r}")
    if len(set(joints)) < len(joints):
        raise InputError(f"{where} names a joint twice: {', '.join(joints)}")
    return Controller(name, interface, topic, tuple(joints))
