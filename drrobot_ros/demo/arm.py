"""The arm of the demonstration: a UR5e with gripper and camera, from ``airo-models``."""

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
_CAMERA = "cameras/realsense/d435/d435.urdf"
_TOOL = "tool0"
#: The wrist camera beside the gripper, and what holds it, in the tool's frame: place and size, m.
_CAMERA_AT_M = (-0.0325, 0.068, 0.055)
_BRACKET_AT_M, _BRACKET_M = (0.0, 0.054, 0.03), (0.04, 0.044, 0.008)


def arm_urdf() -> str:
    """Return the URDF of a UR5e with a Robotiq 2F-85 and a RealSense D435; mesh paths are absolute.

    The gripper stays open: its joints are fixed. Without anything at the arm's end no image would
    tell how far the last joint is turned; a gripper alone looks the same after half a turn.

    Raises:
        BackendError: the package ``airo-models`` is not installed.
    """
    folder = models_folder()
    if folder is None:
        raise BackendError(f"the arm's model is not installed: pip install {PACKAGE}")
    robot = Element("robot", name="ur5e_gripper")
    robot.extend(_parts(folder / _ARM))
    for urdf, prefix, place in (
        (_GRIPPER, "gripper_", (0.0, 0.0, 0.0)),
        (_CAMERA, "camera_", _CAMERA_AT_M),
    ):
        for part in _parts(folder / urdf):
            _fix(part, prefix)
            robot.append(part)
        robot.append(_fixed_joint(f"{prefix}mount", f"{prefix}base_link", place))
    robot.append(_bracket())
    robot.append(_fixed_joint("bracket_mount", "bracket", _BRACKET_AT_M))
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


def _fix(part: Element, prefix: str) -> None:
    """Give a part that is mounted names of its own, and fix its joint."""
    for element in (part, *part.findall("parent"), *part.findall("child")):
        for key in ("name", "link"):
            if key in element.attrib:
                element.set(key, prefix + element.attrib[key])
    if part.tag == "joint":
        part.set("type", "fixed")
        for extra in [e for e in part if e.tag in ("mimic", "limit", "dynamics")]:
            part.remove(extra)


def _fixed_joint(name: str, child: str, place: tuple[float, ...]) -> Element:
    joint = Element("joint", name=name, type="fixed")
    ElementTree.SubElement(joint, "parent", link=_TOOL)
    ElementTree.SubElement(joint, "child", link=child)
    ElementTree.SubElement(joint, "origin", xyz=_words(place))
    return joint


def _bracket() -> Element:
    link = Element("link", name="bracket")
    visual = ElementTree.SubElement(link, "visual")
    geometry = ElementTree.SubElement(visual, "geometry")
    ElementTree.SubElement(geometry, "box", size=_words(_BRACKET_M))
    material = ElementTree.SubElement(visual, "material", name="bracket")
    ElementTree.SubElement(material, "color", rgba="0.75 0.76 0.78 1")
    return link


def _words(numbers: tuple[float, ...]) -> str:
    return " ".join(str(number) for number in numbers)
