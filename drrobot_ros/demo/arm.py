"""The arm of the demonstration: a UR5e with a gripper, from the package ``airo-models``."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from drrobot_ros.errors import BackendError
from drrobot_ros.robot.urdf_xml import parse_xml

PACKAGE = "airo-models"
_ARM = "arms/ur5e/ur5e.urdf"
_GRIPPER = "grippers/robotiq_2f_85/urdf/robotiq_2f_85.urdf"
_PREFIX = "gripper_"


def arm_urdf() -> str:
    """Return the URDF of a UR5e with a Robotiq 2F-85; its mesh paths are absolute.

    The gripper stays open: its joints are fixed. Without anything at the arm's end no image would
    tell how far the last joint is turned.

    Raises:
        BackendError: the package ``airo-models`` is not installed.
    """
    folder = models_folder()
    if folder is None:
        raise BackendError(f"the arm's model is not installed: pip install {PACKAGE}")
    robot = Element("robot", name="ur5e_gripper")
    robot.extend(_parts(folder / _ARM))
    for part in _parts(folder / _GRIPPER):
        _fix(part)
        robot.append(part)
    joint = ElementTree.SubElement(robot, "joint", name="tool0_gripper", type="fixed")
    ElementTree.SubElement(joint, "parent", link="tool0")
    ElementTree.SubElement(joint, "child", link=f"{_PREFIX}base_link")
    return ElementTree.tostring(robot, encoding="unicode")


def models_folder() -> Path | None:
    """Return the folder of the package ``airo-models``, or None if it is not installed."""
    spec = importlib.util.find_spec("airo_models")
    return Path(spec.origin).parent if spec and spec.origin else None


def _parts(urdf: Path) -> Iterator[Element]:
    """Yield the links and joints of a URDF, without what only simulators read."""
    for part in parse_xml(urdf.read_text()):
        if part.tag not in ("link", "joint"):
            continue
        for extra in [e for e in part if e.tag in ("collision", "safety_controller")]:
            part.remove(extra)
        for mesh in part.iter("mesh"):
            # The base's cable hangs below it, where the table is.
            name = mesh.attrib["filename"].replace("base_cable_labels", "base")
            mesh.set("filename", str((urdf.parent / name).resolve()))
        yield part


def _fix(part: Element) -> None:
    """Give a part of the gripper names of its own, and fix its joint."""
    for element in (part, *part.findall("parent"), *part.findall("child")):
        for key in ("name", "link"):
            if key in element.attrib:
                element.set(key, _PREFIX + element.attrib[key])
    if part.tag == "joint":
        part.set("type", "fixed")
        for extra in [e for e in part if e.tag in ("mimic", "limit", "dynamics")]:
            part.remove(extra)
