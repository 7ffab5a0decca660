"""Reading values out of URDF's XML."""

import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.mj_math import transform

_XACRO = "http://www.ros.org/wiki/xacro"
_XACRO_ADVICE = "expand it first: `xacro file.urdf.xacro > file.urdf`"


def parse_xml(text: str) -> Element:
    """Return the outermost element.

    Raises:
        ModelError: not XML, naming the line; or xacro that was not expanded.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if not text:
        raise ModelError("it is empty")
    try:
        root = ElementTree.fromstring(_declare_prefixes(text))
    except ElementTree.ParseError as error:
        line, column = error.position
        lines = text.splitlines()
        shown = lines[line - 1].strip()[:80] if line <= len(lines) else ""
        raise ModelError(
            f"not XML: {error.msg.split(':')[0]} in line {line}, column {column + 1}: {shown!r}"
        ) from error
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.startswith(f"{{{_XACRO}}}"):
            tag = element.tag.partition("}")[2]
            raise ModelError(f"there is still xacro in it, <xacro:{tag}>; {_XACRO_ADVICE}")
        for key, value in element.attrib.items():
            if "${" in value or "$(" in value:
                raise ModelError(
                    f"there is still xacro in it, {key}={value!r} of <{element.tag}>; "
                    f"{_XACRO_ADVICE}"
                )
    return root


def _declare_prefixes(text: str) -> str:
    """Declare the namespaces of extensions (``drake:``, ``gz:``) that files use undeclared."""
    used = set(re.findall(r"<\s*([A-Za-z_][\w.-]*):[A-Za-z_]", text))
    used |= set(re.findall(r"\s([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*\s*=\s*[\"']", text))
    declared = set(re.findall(r"xmlns:([\w.-]+)\s*=", text)) | {"xml", "xmlns"}
    names = "".join(
        f' xmlns:{p}="{_XACRO if p == "xacro" else p}"' for p in sorted(used - declared)
    )
    return re.sub(r"<robot(?=[\s>])", f"<robot{names}", text, count=1) if names else text


def name_of(element: Element) -> str:
    """Return the name of a link or joint, which it must have."""
    name = element.get("name", "")
    if not name:
        raise ModelError(f"a <{element.tag}> has no name")
    return name


def choice(value: str, valid: Iterable[str], where: str) -> str:
    """Return value if it is one of the valid ones."""
    if value not in valid:
        raise ModelError(f"{where} {value!r} is unknown; valid: {', '.join(valid)}")
    return value


def numbers(
    element: Element, key: str, count: int, where: str, default: Sequence[float] | None = None
) -> np.ndarray:
    """Return the finite numbers [count] of an attribute."""
    text = element.get(key)
    if text is None:
        if default is None:
            raise ModelError(f"{where}: <{element.tag}> has no {key}")
        return np.array(default, dtype=np.float64)
    try:
        values = np.array([float(part) for part in text.split()])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ModelError(
            f"{where}: {key} of <{element.tag}> must be {count} finite number(s), got {text!r}"
        )
    return values


def origin(element: Element, where: str) -> np.ndarray:
    """Return T [4, 4] of the ``<origin xyz rpy>`` of an element; fixed axes roll, pitch, yaw."""
    found = element.find("origin")
    if found is None:
        return np.eye(4)
    T = transform(numbers(found, "xyz", 3, where, default=(0.0, 0.0, 0.0)))
    if found.get("quat_xyzw") is not None:
        x, y, z, w = numbers(found, "quat_xyzw", 4, where)
        return transform(T[:3, 3], np.array([w, x, y, z]))
    T[:3, :3] = rpy_to_matrix(numbers(found, "rpy", 3, where, default=(0.0, 0.0, 0.0)))
    return T


def rpy_to_matrix(rpy: np.ndarray) -> np.ndarray:
    """Return Rz(yaw) Ry(pitch) Rx(roll) [3, 3] of roll, pitch, yaw in rad."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
