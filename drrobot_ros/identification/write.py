"""Writing identified numbers into the robot's own description, URDF or MJCF."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import ModelError
from drrobot_ros.identification.identify import IdentificationResult
from drrobot_ros.identification.linear import matrix
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.description import (
    file_name,
    find,
    move_files,
    nodes,
    numbers,
    open_description,
    shifted_reference,
    turned_origin,
)
from drrobot_ros.robot.xml_edit import XmlText

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
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    xml, origin, mjcf = open_description(source)
    warnings: list[str] = []
    if mjcf:
        _edit_mjcf(xml, result)
    else:
        _edit_urdf(xml, result, warnings)
    if origin is not None and origin != folder:
        move_files(xml, origin, folder, mjcf)
    target = folder / file_name(result.model.name, "identified", mjcf)
    target.write_text(xml.text())
    paths = [*package_paths, *([origin, *origin.parents[:4]] if origin else [])]
    _check(result, target, paths, armature=mjcf)
    return target, warnings


def _edit_urdf(xml: XmlText, result: IdentificationResult, warnings: list[str]) -> None:
    tree = result.tree
    links = {n.attributes.get("name", ""): n for n in xml.root.children if n.tag == "link"}
    joints = {n.attributes.get("name", ""): n for n in xml.root.children if n.tag == "joint"}
    for i in result.layout.links:
        inertia = {k: f"{tree.inertia[i, a, b]:.12g}" for k, (a, b) in _SIX.items()}
        origin = {"xyz": numbers(tree.com[i]), "rpy": "0 0 0"}
        link = find(links, tree.link_names[i], "link")
        node = link.child("inertial")
        if node is None:
            raise ModelError(f"link {tree.link_names[i]!r} has no <inertial> in the description")
        xml.set_child(node, "origin", origin)
        xml.set_child(node, "mass", {"value": f"{tree.mass[i]:.12g}"})
        xml.set_child(node, "inertia", inertia)
    for k, i in enumerate(result.layout.joints):
        joint = find(joints, tree.joint_names[i], "joint")
        values = {"damping": tree.damping[i], "friction": tree.frictionloss[i]}
        xml.set_child(joint, "dynamics", {n: f"{x:.12g}" for n, x in values.items()})
        shift = tree.mimic_offset[i] - result.model.tree.mimic_offset[i]
        if shift:
            xml.set_child(joint, "origin", turned_origin(joint, shift))
        if tree.armature[i] > 1e-3 * result.layout.scale[result.layout.count + k]:
            warnings.append(
                f"armature {tree.armature[i]:.4g} of joint {tree.joint_names[i]!r} has no place in "
                "URDF"
            )


_SIX = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}


def _edit_mjcf(xml: XmlText, result: IdentificationResult) -> None:
    tree, before = result.tree, result.model.tree
    bodies, joints = nodes(xml, ("body",)), nodes(xml, ("joint",))
    for i in result.layout.links:
        full = tree.inertia[i][[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
        values: dict[str, str | None] = {
            "pos": numbers(tree.com[i]),
            "mass": f"{tree.mass[i]:.12g}",
            "diaginertia": None,
            "fullinertia": numbers(full),
            **dict.fromkeys(_ROTATIONS),
        }
        xml.set_child(find(bodies, tree.link_names[i], "body"), "inertial", values)
    for i in result.layout.joints:
        joint = find(joints, tree.joint_names[i], "joint")
        words: dict[str, str | None] = {
            "armature": f"{tree.armature[i]:.12g}",
            "damping": f"{tree.damping[i]:.12g}",
            "frictionloss": f"{tree.frictionloss[i]:.12g}",
        }
        if tree.mimic_offset[i] != before.mimic_offset[i]:
            words["ref"] = shifted_reference(xml, tree, i, float(tree.mimic_offset[i]))
        xml.set(joint, words)


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
