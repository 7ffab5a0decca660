"""Reading URDF into plain data, with errors that say what is wrong and where.

Frames, units and defaults are those of the URDF specification; besides its joint types, ``ball``
(or ``spherical``) is understood. Nothing is compiled and no mesh is opened here.
"""

import dataclasses
from xml.etree.ElementTree import Element

import numpy as np

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.urdf_xml import choice, name_of, numbers, origin, parse_xml

JOINT_TYPES = (
    "revolute",
    "continuous",
    "prismatic",
    "fixed",
    "floating",
    "planar",
    "ball",
    "spherical",
)
SHAPES = ("mesh", "box", "cylinder", "sphere", "capsule")


@dataclasses.dataclass(frozen=True, eq=False)
class UrdfShape:
    """Geometry of a link: a mesh file with its scale, or a simple shape with its sizes.

    `size` is the scale [3] of a mesh, the full sizes [3] of a box (m), else (radius, length).
    """

    kind: str
    T_link_shape: np.ndarray
    size: np.ndarray
    where: str
    filename: str = ""
    rgba: np.ndarray | None = None
    texture: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class UrdfInertial:
    """Mass in kg, centre of mass [3] in m, inertia [3, 3] about it, all in link axes."""

    mass: float
    com: np.ndarray
    inertia: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class UrdfLink:
    """One link."""

    name: str
    inertial: UrdfInertial | None
    visuals: tuple[UrdfShape, ...]
    collisions: tuple[UrdfShape, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class UrdfJoint:
    """One joint; limits are infinite where none is given."""

    name: str
    type: str
    parent: str
    child: str
    T_parent_joint: np.ndarray
    axis: np.ndarray
    lower: float = -np.inf
    upper: float = np.inf
    velocity: float = np.inf
    effort: float = np.inf
    damping: float = 0.0
    friction: float = 0.0
    mimic: tuple[str, float, float] | None = None  # leader, multiplier, offset


@dataclasses.dataclass(frozen=True, eq=False)
class Urdf:
    """A whole robot: links by name, and joints in an order where parents come first."""

    name: str
    root: str
    links: dict[str, UrdfLink]
    joints: tuple[UrdfJoint, ...]


def parse_urdf(text: str, where: str = "robot_description") -> Urdf:
    """Return the robot a URDF string describes.

    Args:
        text: the URDF, with xacro already expanded.
        where: what to call it in errors, e.g. the file name.

    Raises:
        ModelError: it is not XML, not a URDF, still has xacro in it, or describes no tree.
    """
    try:
        return _parse(parse_xml(text))
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error.__cause__


def _parse(root: Element) -> Urdf:
    if root.tag != "robot":
        raise ModelError(f"not a URDF: the outermost tag is <{root.tag}>; valid: <robot>")
    materials = _materials(root)
    links: dict[str, UrdfLink] = {}
    for element in root.findall("link"):
        link = _link(element, materials)
        if link.name in links:
            raise ModelError(f"link {link.name!r} is defined twice")
        links[link.name] = link
    if not links:
        raise ModelError("the robot has no links")
    joints: dict[str, UrdfJoint] = {}
    for element in root.findall("joint"):
        joint = _joint(element, links)
        if joint.name in joints:
            raise ModelError(f"joint {joint.name!r} is defined twice")
        joints[joint.name] = joint
    _check_mimics(joints)
    base, ordered = _order(links, joints)
    return Urdf(root.get("name") or "robot", base, links, ordered)


def _materials(root: Element) -> dict[str, tuple[np.ndarray | None, str]]:
    """Return (rgba, texture) of the named materials, those of the robot and then of its links."""
    found: dict[str, tuple[np.ndarray | None, str]] = {}
    for element in [*root.findall("material"), *root.iterfind("link/visual/material")]:
        rgba, texture = _look(element)
        if rgba is not None or texture:
            found.setdefault(element.get("name", ""), (rgba, texture))
    return found


def _look(material: Element) -> tuple[np.ndarray | None, str]:
    where = f"material {material.get('name')!r}"
    color, texture = material.find("color"), material.find("texture")
    rgba = None
    if color is not None:
        rgba = np.clip(numbers(color, "rgba", 4, where), 0, 1)
    return rgba, "" if texture is None else texture.get("filename", "")


def _link(element: Element, materials: dict[str, tuple[np.ndarray | None, str]]) -> UrdfLink:
    name = name_of(element)
    where = f"link {name!r}"
    shapes: dict[str, tuple[UrdfShape, ...]] = {}
    for tag in ("visual", "collision"):
        found = element.findall(tag)
        shapes[tag] = tuple(
            _shape(e, f"{where}, {tag} {i + 1}", materials) for i, e in enumerate(found)
        )
    inertial = element.find("inertial")
    return UrdfLink(
        name,
        None if inertial is None else _inertial(inertial, where),
        shapes["visual"],
        shapes["collision"],
    )


def _shape(
    element: Element, where: str, materials: dict[str, tuple[np.ndarray | None, str]]
) -> UrdfShape:
    geometry = element.find("geometry")
    if geometry is None or len(geometry) == 0:
        raise ModelError(f"{where}: no <geometry>")
    shape = geometry[0]
    kind = choice(shape.tag, SHAPES, f"{where}: geometry")
    filename = ""
    if kind == "mesh":
        filename = shape.get("filename", "")
        if not filename:
            raise ModelError(f"{where}: <mesh> has no filename")
        size = numbers(shape, "scale", 3, where, default=(1.0, 1.0, 1.0))
        if (size == 0).any():
            raise ModelError(f"{where}: scale must not be zero, got {shape.get('scale')!r}")
    elif kind == "box":
        size = numbers(shape, "size", 3, where)
    else:
        radius = numbers(shape, "radius", 1, where)
        length = np.zeros(1) if kind == "sphere" else numbers(shape, "length", 1, where)
        size = np.concatenate([radius, length])
    if kind != "mesh" and ((size < 0).any() or size[0] == 0):
        raise ModelError(f"{where}: sizes of a {kind} must be positive, got {size.tolist()}")
    rgba, texture = None, ""
    material = element.find("material")
    if material is not None:
        rgba, texture = _look(material)
        if rgba is None and not texture:
            rgba, texture = materials.get(material.get("name", ""), (None, ""))
    return UrdfShape(kind, origin(element, where), size, where, filename, rgba, texture)


def _inertial(element: Element, where: str) -> UrdfInertial:
    where = f"{where}, inertial"
    mass, inertia = element.find("mass"), element.find("inertia")
    value = 0.0 if mass is None else float(numbers(mass, "value", 1, where)[0])
    if value < 0:
        raise ModelError(f"{where}: mass must not be negative, got {value}")
    matrix = np.zeros((3, 3))
    if inertia is not None:
        for row, column, key in (
            (0, 0, "ixx"),
            (1, 1, "iyy"),
            (2, 2, "izz"),
            (0, 1, "ixy"),
            (0, 2, "ixz"),
            (1, 2, "iyz"),
        ):
            entry = numbers(inertia, key, 1, where, default=(0.0,))[0]
            matrix[row, column] = matrix[column, row] = entry
    T = origin(element, where)
    return UrdfInertial(value, T[:3, 3], T[:3, :3] @ matrix @ T[:3, :3].T)


def _joint(element: Element, links: dict[str, UrdfLink]) -> UrdfJoint:
    name = name_of(element)
    where = f"joint {name!r}"
    kind = choice(element.get("type", ""), JOINT_TYPES, f"{where}: type")
    ends = []
    for tag in ("parent", "child"):
        end = element.find(tag)
        link = "" if end is None else end.get("link", "")
        ends.append(choice(link, links, f"{where}: {tag} link"))
    axis = np.array([1.0, 0.0, 0.0])
    if (found := element.find("axis")) is not None:
        axis = numbers(found, "xyz", 3, where, default=(1.0, 0.0, 0.0))
    if kind in ("revolute", "continuous", "prismatic", "planar"):
        if not axis.any():
            raise ModelError(f"{where}: axis must not be zero")
        axis = axis / np.linalg.norm(axis)
    values: dict[str, float] = {}
    if (limit := element.find("limit")) is not None:
        for key in ("velocity", "effort"):
            # Zero is what exporters write where they know no limit.
            values[key] = abs(_number(limit, key, where, 0.0)) or np.inf
        if kind in ("revolute", "prismatic"):
            values["lower"] = _number(limit, "lower", where, 0.0)
            values["upper"] = _number(limit, "upper", where, 0.0)
            if values["lower"] > values["upper"]:
                raise ModelError(
                    f"{where}: lower limit {values['lower']} is above upper {values['upper']}"
                )
    if (dynamics := element.find("dynamics")) is not None:
        for key in ("damping", "friction"):
            values[key] = max(0.0, _number(dynamics, key, where, 0.0))
    mimic = None
    if (follow := element.find("mimic")) is not None:
        leader = follow.get("joint", "")
        multiplier = _number(follow, "multiplier", where, 1.0)
        mimic = (leader, multiplier, _number(follow, "offset", where, 0.0))
    return UrdfJoint(
        name, kind, ends[0], ends[1], origin(element, where), axis, **values, mimic=mimic
    )


def _number(element: Element, key: str, where: str, default: float) -> float:
    return float(numbers(element, key, 1, where, default=(default,))[0])


def _check_mimics(joints: dict[str, UrdfJoint]) -> None:
    single = ("revolute", "continuous", "prismatic")
    valid = [name for name, joint in joints.items() if joint.type in single]
    for joint in joints.values():
        seen = [joint.name]
        while (mimic := joints[seen[-1]].mimic) is not None:
            here = joints[seen[-1]]
            if here.type == "fixed":
                break  # left behind where a gripper was frozen
            if here.type not in single:
                raise ModelError(f"joint {here.name!r}: a {here.type} joint cannot mimic")
            leader = choice(mimic[0], valid, f"joint {here.name!r}: mimic joint")
            if leader in seen:
                raise ModelError(f"mimic joints follow each other: {' -> '.join([*seen, leader])}")
            seen.append(leader)


def _order(
    links: dict[str, UrdfLink], joints: dict[str, UrdfJoint]
) -> tuple[str, tuple[UrdfJoint, ...]]:
    """Return the root link and the joints depth first; they must make one tree."""
    above: dict[str, UrdfJoint] = {}
    below: dict[str, list[UrdfJoint]] = {name: [] for name in links}
    for joint in joints.values():
        if joint.child in above:
            raise ModelError(
                f"link {joint.child!r} is the child of two joints, "
                f"{above[joint.child].name!r} and {joint.name!r}; a URDF must be a tree"
            )
        above[joint.child] = joint
        below[joint.parent].append(joint)
    for name in links:
        loop = [name]
        while loop[-1] in above and above[loop[-1]].parent not in loop:
            loop.append(above[loop[-1]].parent)
        if loop[-1] in above:
            start = loop.index(above[loop[-1]].parent)
            names = " -> ".join([*reversed(loop[start:]), loop[-1]])
            raise ModelError(f"the links make a loop: {names}")
    roots = [name for name in links if name not in above]
    if len(roots) > 1:
        raise ModelError(
            f"the links are not connected; without a parent joint are: {', '.join(roots)}"
        )
    ordered: list[UrdfJoint] = []
    stack = below[roots[0]][::-1]
    while stack:
        joint = stack.pop()
        ordered.append(joint)
        stack += below[joint.child][::-1]
    return roots[0], tuple(ordered)
