"""Robots put together from two URDF files, e.g. an arm and a gripper."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from drrobot_ros.errors import InputError, ModelError, unknown_name
from drrobot_ros.robot.urdf_xml import parse_xml


def mount(
    arm: str | Path,
    tool: str | Path,
    link: str,
    *,
    xyz: Sequence[float] = (0.0, 0.0, 0.0),
    rpy: Sequence[float] = (0.0, 0.0, 0.0),
    prefix: str = "tool_",
) -> str:
    """Return one URDF with a tool fixed to a link of an arm.

    Args:
        arm: path of the arm's URDF.
        tool: path of the tool's URDF; its links, joints and materials get the prefix.
        link: of the arm.
        xyz: of the tool's root link in that link, m.
        rpy: its roll, pitch and yaw, rad.
        prefix: of the tool's names.

    Returns:
        URDF text; mesh files are named by absolute paths where they were relative.

    Raises:
        InputError: the arm has no such link.
        ModelError: a file cannot be read.
    """
    body, hand = _read(arm), _read(tool)
    names = [e.attrib.get("name", "") for e in body.findall("link")]
    if link not in names:
        raise unknown_name("link", link, names)
    children = {e.attrib.get("link") for e in hand.iterfind("joint/child")}
    roots = [e.attrib["name"] for e in hand.findall("link") if e.attrib["name"] not in children]
    if len(roots) != 1:
        raise ModelError(f"{tool} must have one root link, it has: {', '.join(roots) or 'none'}")
    _add_prefix(hand, prefix)
    taken = {(e.tag, e.attrib.get("name")) for e in body}
    clash = [e.attrib.get("name", "") for e in hand if (e.tag, e.attrib.get("name")) in taken]
    if clash:
        raise InputError(f"prefix {prefix!r} leaves names twice: {', '.join(clash)}")
    body.extend(hand)
    joint = ET.SubElement(body, "joint", name=f"{prefix}mount", type="fixed")
    ET.SubElement(joint, "parent", link=link)
    ET.SubElement(joint, "child", link=prefix + roots[0])
    ET.SubElement(
        joint, "origin", xyz=" ".join(map(repr, map(float, xyz))), rpy=" ".join(map(str, rpy))
    )
    return ET.tostring(body, encoding="unicode")


def _read(path: str | Path) -> ET.Element:
    path = Path(path)
    try:
        root = parse_xml(path.read_text())
    except OSError as error:
        raise ModelError(f"cannot read the URDF {path}: {error}") from error
    for element in root.iter():
        name = element.attrib.get("filename", "")
        if element.tag in ("mesh", "texture") and name and "://" not in name:
            element.set("filename", str((path.parent / name).resolve()))
    return root


def _add_prefix(root: ET.Element, prefix: str) -> None:
    for element in root.iter():
        keys = {
            "link": ("name",),
            "joint": ("name",),
            "material": ("name",),
            "parent": ("link",),
            "child": ("link",),
            "mimic": ("joint",),
        }.get(element.tag, ())
        for key in keys:
            if element.attrib.get(key):
                element.set(key, prefix + element.attrib[key])
