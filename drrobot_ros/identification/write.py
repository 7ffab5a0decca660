"""Writing identified numbers into the robot's own description, URDF or MJCF."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.identification.identify import IdentificationResult
from drrobot_ros.identification.linear import matrix
from drrobot_ros.identification.xml_edit import Node, XmlText
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.sources import find_file, is_mjcf, read_text
from drrobot_ros.robot.tree import JointType

Array = NDArray[np.float64]

_ROTATIONS = ("quat", "axisangle", "euler", "xyaxes", "zaxis")


def write_description(
    result: IdentificationResult,
    source: str | Path,
    folder: str | Path,
    package_paths: Sequence[str | Path] = (),
) -> tuple[Path, list[str]]:
    """Write the corrected description beside a report and load it again to compare.

    Changes masses, centres of mass, inertias, damping, friction, armature (MJCF) and joint offsets
    of what was identified, and relative names of files, which from now on start at `folder`; all
    other text stays.

    Args:
        result: of `identify`.
        source: what the model was loaded from: path, Menagerie name, or the text itself.
        folder: where ``<name>_identified.urdf`` or ``.xml`` goes.
        package_paths: as for `RobotModel.load`.

    Returns:
        the file, and what could not be written, in words.

    Raises:
        ModelError: a link or joint is not in the text (it may be in an included file), or what was
            written does not come back when loaded.
    """
    text, origin = str(source), None
    if "<" not in text:
        path = find_file(text)
        text, origin = read_text(path), path.resolve().parent
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    mjcf = is_mjcf(text)
    xml = XmlText(text, str(source) if origin else "the description")
    warnings: list[str] = []
    if mjcf:
        _edit_mjcf(xml, result)
    else:
        _edit_urdf(xml, result, warnings)
    if origin is not None and origin != folder:
        _move_files(xml, origin, folder, mjcf)
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in result.model.name)
    target = folder / f"{name}_identified{'.xml' if mjcf else '.urdf'}"
    target.write_text(xml.text())
    paths = [*package_paths, *([origin, *origin.parents[:4]] if origin else [])]
    _check(result, target, paths, armature=mjcf)
    return target, warnings


def _numbers(values: Array) -> str:
    return " ".join(f"{x:.12g}" for x in np.atleast_1d(values))


def _nodes(xml: XmlText, tags: Sequence[str]) -> dict[str, Node]:
    return {
        n.attributes["name"]: n for n in xml.root.walk() if n.tag in tags and "name" in n.attributes
    }


def _find(nodes: dict[str, Node], name: str, what: str) -> Node:
    if name not in nodes:
        raise ModelError(
            f"{what} {name!r} is not in the description itself (included, attached or without a "
            f"name?), so it cannot be corrected; valid: {', '.join(nodes)}"
        )
    return nodes[name]


def _edit_urdf(xml: XmlText, result: IdentificationResult, warnings: list[str]) -> None:
    tree = result.tree
    links = {n.attributes.get("name", ""): n for n in xml.root.children if n.tag == "link"}
    joints = {n.attributes.get("name", ""): n for n in xml.root.children if n.tag == "joint"}
    for i in result.layout.links:
        inertia = {k: f"{tree.inertia[i, a, b]:.12g}" for k, (a, b) in _SIX.items()}
        origin = {"xyz": _numbers(tree.com[i]), "rpy": "0 0 0"}
        link = _find(links, tree.link_names[i], "link")
        node = link.child("inertial")
        if node is None:
            raise ModelError(f"link {tree.link_names[i]!r} has no <inertial> in the description")
        xml.set_child(node, "origin", origin)
        xml.set_child(node, "mass", {"value": f"{tree.mass[i]:.12g}"})
        xml.set_child(node, "inertia", inertia)
    for k, i in enumerate(result.layout.joints):
        joint = _find(joints, tree.joint_names[i], "joint")
        values = {"damping": tree.damping[i], "friction": tree.frictionloss[i]}
        xml.set_child(joint, "dynamics", {n: f"{x:.12g}" for n, x in values.items()})
        shift = tree.mimic_offset[i] - result.model.tree.mimic_offset[i]
        if shift:
            xml.set_child(joint, "origin", _turned_origin(joint, shift))
        if tree.armature[i] > 1e-3 * result.layout.scale[result.layout.count + k]:
            warnings.append(
                f"armature {tree.armature[i]:.4g} of joint {tree.joint_names[i]!r} has no place in "
                "URDF"
            )


_SIX = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}


def _turned_origin(joint: Node, shift: float) -> dict[str, str | None]:
    """Return a URDF joint's origin, moved along the joint by rad or m."""
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
    return {"xyz": _numbers(xyz), "rpy": _numbers(R.as_euler("xyz"))}


def _edit_mjcf(xml: XmlText, result: IdentificationResult) -> None:
    tree, before = result.tree, result.model.tree
    bodies, joints = _nodes(xml, ("body",)), _nodes(xml, ("joint",))
    for i in result.layout.links:
        full = tree.inertia[i][[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        values: dict[str, str | None] = {
            "pos": _numbers(tree.com[i]),
            "mass": f"{tree.mass[i]:.12g}",
            "diaginertia": None,
            "fullinertia": _numbers(full),
            **dict.fromkeys(_ROTATIONS),
        }
        xml.set_child(_find(bodies, tree.link_names[i], "body"), "inertial", values)
    compilers = [n.attributes for n in xml.root.walk() if n.tag == "compiler"]
    degrees = not any(c.get("angle") == "radian" for c in compilers)
    for i in result.layout.joints:
        joint = _find(joints, tree.joint_names[i], "joint")
        words: dict[str, str | None] = {
            "armature": f"{tree.armature[i]:.12g}",
            "damping": f"{tree.damping[i]:.12g}",
            "frictionloss": f"{tree.frictionloss[i]:.12g}",
        }
        if tree.mimic_offset[i] != before.mimic_offset[i]:
            if np.sum(tree.v_index == tree.v_index[i]) > 1:
                raise InputError(
                    f"joint {tree.joint_names[i]!r} is coupled to another: its offset cannot be "
                    "written to MJCF"
                )
            ref = -tree.mimic_offset[i]
            hinge = tree.joint_type[i] == JointType.REVOLUTE
            words["ref"] = f"{np.rad2deg(ref) if degrees and hinge else ref:.12g}"
        xml.set(joint, words)


def _move_files(xml: XmlText, origin: Path, folder: Path, mjcf: bool) -> None:
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


def _check(
    result: IdentificationResult, target: Path, package_paths: Sequence[str | Path], armature: bool
) -> None:
    """Load what was written and compare its torques with those of the result."""
    again = RobotModel.load(target, package_paths=package_paths, base_link=result.model.base_link)
    for i in result.layout.links:
        k = again.link_index(result.tree.link_names[i])
        for field in ("mass", "com", "inertia"):
            wrote, read = getattr(result.tree, field)[i], getattr(again.tree, field)[k]
            if not np.allclose(read, wrote, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(wrote).max())):
                raise ModelError(
                    f"{target} does not give back the {field} of link "
                    f"{result.tree.link_names[i]!r}; look for settings of the whole model such as "
                    "<compiler inertiafromgeom> or settotalmass"
                )
    q = again.random_configuration(20, 0)
    random = np.random.default_rng(0)
    v, a = torch.from_numpy(random.normal(size=(2, 20, again.nv)))
    x = result.x.copy()
    if not armature:  # URDF has none
        m = len(result.layout.joints)
        x[result.layout.count : result.layout.count + m] = 0.0
    shifted = q.numpy() + result.offsets
    wanted = matrix(result.model, result.layout, shifted, v.numpy(), a.numpy()) @ x
    with torch.no_grad():
        found = again.inverse_dynamics(q, v, a).numpy()
    error = np.abs(found - wanted).max(axis=0)
    if (error > 1e-6 * max(1.0, np.abs(wanted).max())).any():
        i = int(np.argmax(error))
        raise ModelError(
            f"{target} does not give back what was identified: torque of joint "
            f"{again.joint_names[i]!r} differs by {error[i]:.3g}; look for settings of the whole "
            "model such as <compiler inertiafromgeom> or settotalmass"
        )
