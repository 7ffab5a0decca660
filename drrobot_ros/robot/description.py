"""Editing the text of a robot description, URDF or MJCF: what several corrections share."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot.sources import find_file, is_mjcf, read_text
from drrobot_ros.robot.tree import JointType, KinematicTree
from drrobot_ros.robot.xml_edit import Node, XmlText

Array = NDArray[np.float64]


def open_description(source: str | Path) -> tuple[XmlText, Path | None, bool]:
    """Return the text, the folder it is in (None: given as text), and whether it is MJCF.

    Args:
        source: path, Menagerie name, or the text itself.

    Raises:
        ModelError: it cannot be read, or is no XML.
    """
    text, origin = str(source), None
    if "<" not in text:
        path = find_file(text)
        text, origin = read_text(path), path.resolve().parent
    return XmlText(text, str(source) if origin else "the description"), origin, is_mjcf(text)


def file_name(name: str, suffix: str, mjcf: bool) -> str:
    """Return the name of a file for a robot's description."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return f"{safe}_{suffix}{'.xml' if mjcf else '.urdf'}"


def numbers(values: Array) -> str:
    """Return numbers as XML attributes hold them."""
    return " ".join(f"{x:.12g}" for x in np.atleast_1d(values))


def nodes(xml: XmlText, tags: Sequence[str]) -> dict[str, Node]:
    """Return the named elements of some tags, by name."""
    return {
        n.attributes["name"]: n for n in xml.root.walk() if n.tag in tags and "name" in n.attributes
    }


def find(named: dict[str, Node], name: str, what: str) -> Node:
    """Return an element by name.

    Raises:
        ModelError: it is not in the text itself.
    """
    if name not in named:
        raise ModelError(
            f"{what} {name!r} is not in the description itself (included, attached or without a "
            f"name?), so it cannot be corrected; valid: {', '.join(named)}"
        )
    return named[name]


def turned_origin(joint: Node, shift: float) -> dict[str, str | None]:
    """Return a URDF joint's origin, moved along the joint by rad or m.

    The turn comes after the origin's own rotation: it is about the joint's axis.
    """
    from scipy.spatial.transform import Rotation

    origin, axis = joint.child("origin"), joint.child("axis")
    given = origin.attributes if origin is not None else {}
    xyz, rpy = (np.array([float(x) for x in given.get(k, "0 0 0").split()]) for k in ("xyz", "rpy"))
    words = axis.attributes.get("xyz", "1 0 0") if axis is not None else "1 0 0"
    direction = np.array([float(x) for x in words.split()])
    direction /= np.linalg.norm(direction)
    R = Rotation.from_euler("xyz", rpy)
    if joint.attributes.get("type") == "prismatic":
        xyz = xyz + R.apply(direction * shift)
    else:
        R = R * Rotation.from_rotvec(direction * shift)
    return {"xyz": numbers(xyz), "rpy": numbers(R.as_euler("xyz"))}


def shifted_reference(xml: XmlText, tree: KinematicTree, row: int, offset: float) -> str:
    """Return ``ref`` of an MJCF joint whose total offset (``mimic_offset``) is to be another.

    Raises:
        InputError: the joint is coupled to another.
    """
    if np.sum(tree.v_index == tree.v_index[row]) > 1:
        raise InputError(
            f"joint {tree.joint_names[row]!r} is coupled to another: its offset cannot be "
            "written to MJCF"
        )
    compilers = [n.attributes for n in xml.root.walk() if n.tag == "compiler"]
    degrees = not any(c.get("angle") == "radian" for c in compilers)
    hinge = tree.joint_type[row] == JointType.REVOLUTE
    return f"{np.rad2deg(-offset) if degrees and hinge else -offset:.12g}"


def move_files(xml: XmlText, origin: Path, folder: Path, mjcf: bool) -> None:
    """Let relative names of files start at another folder."""

    def moved(name: str) -> str:
        return os.path.relpath(origin / name, folder)

    if not mjcf:
        for node in xml.root.walk():
            name = node.attributes.get("filename", "")
            relative = name and "://" not in name and not os.path.isabs(name)
            if node.tag in ("mesh", "texture") and relative:
                xml.set(node, {"filename": moved(name)})
        return
    for node in xml.root.walk():
        if node.tag == "include" and "file" in node.attributes:
            xml.set(node, {"file": moved(node.attributes["file"])})
    compilers = [n for n in xml.root.children if n.tag == "compiler"]
    given = {k: n for n in compilers for k in n.attributes if k.endswith("dir")}
    for key, node in given.items():
        if not os.path.isabs(node.attributes[key]):
            xml.set(node, {key: moved(node.attributes[key])})
    lacking = {k: moved(".") for k in ("meshdir", "texturedir") if k not in given}
    if lacking and "assetdir" not in given:
        xml.set_child(xml.root, "compiler", lacking)
