"""Constant errors of a robot's encoders, written into its description.

A reading q means the joint stands at q + offset. Where a joint's origin is turned (URDF) or its
reference moved (MJCF) by the offset, the readings as they are give the true pose.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError, ModelError
from drrobot_ros.robot.description import (
    file_name,
    find,
    move_files,
    nodes,
    open_description,
    shifted_reference,
    turned_origin,
)
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.robot.xml_edit import XmlText

Array = NDArray[np.float64]

TOLERANCE = 1e-7  # of the poses that come back, m and the entries of rotations


def write_joint_offsets(
    model: RobotModel,
    offsets: Array,
    source: str | Path,
    folder: str | Path,
    package_paths: Sequence[str | Path] = (),
    suffix: str = "calibrated",
) -> Path:
    """Write a description whose zero positions are corrected, and load it again to compare.

    Everything else in the text stays, but for relative names of files, which start at `folder`.
    Limits stay too: they are those of the readings.

    Args:
        model: as loaded from `source`; its joints must all be of one number.
        offsets: [nv], to be added to the readings, rad or m.
        source: path, Menagerie name, or the text itself.
        folder: where ``<name>_<suffix>.urdf`` or ``.xml`` goes.
        package_paths: as for `RobotModel.load`.
        suffix: of the file's name.

    Returns:
        the file.

    Raises:
        InputError: ball or floating joints, or another count of offsets.
        ModelError: a joint is not in the text, or what was written does not come back.
    """
    offsets = np.asarray(offsets, np.float64)
    if model.nq != len(model.joint_names) or offsets.shape != (model.nv,):
        raise InputError(
            f"offsets must be one number for each of the {len(model.joint_names)} joints, got "
            f"{list(offsets.shape)}"
        )
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    xml, origin, mjcf = open_description(source)
    (_edit_mjcf if mjcf else _edit_urdf)(xml, model, offsets)
    if origin is not None and origin != folder:
        move_files(xml, origin, folder, mjcf)
    target = folder / file_name(model.name, suffix, mjcf)
    target.write_text(xml.text())
    paths = [*package_paths, *([origin, *origin.parents[:4]] if origin else [])]
    again = RobotModel.load(target, package_paths=paths, base_link=model.base_link)
    _check(model, offsets, again, target)
    return target


def _rows(model: RobotModel, offsets: Array) -> list[tuple[int, float]]:
    """Return the rows of the tree that move, and by how much; followers move with their leader."""
    tree = model.tree
    shifts = [
        (i, float(tree.mimic_multiplier[i] * offsets[tree.v_index[i]]))
        for i in range(len(tree))
        if tree.v_index[i] >= 0
    ]
    return [(i, shift) for i, shift in shifts if shift]


def _edit_urdf(xml: XmlText, model: RobotModel, offsets: Array) -> None:
    joints = {n.attributes.get("name", ""): n for n in xml.root.children if n.tag == "joint"}
    for i, shift in _rows(model, offsets):
        joint = find(joints, model.tree.joint_names[i], "joint")
        xml.set_child(joint, "origin", turned_origin(joint, shift))


def _edit_mjcf(xml: XmlText, model: RobotModel, offsets: Array) -> None:
    joints, tree = nodes(xml, ("joint",)), model.tree
    for i, shift in _rows(model, offsets):
        joint = find(joints, tree.joint_names[i], "joint")
        ref = shifted_reference(xml, tree, i, float(tree.mimic_offset[i]) + shift)
        xml.set(joint, {"ref": ref})


def _check(model: RobotModel, offsets: Array, again: RobotModel, target: Path) -> None:
    """Compare the poses of all links at some readings."""
    q = model.random_configuration(20, 0)
    with torch.no_grad():
        wanted = model.forward_kinematics(model.integrate(q, torch.from_numpy(offsets)))
        found = again.forward_kinematics(q)
    error = (found - wanted).abs().amax(dim=(0, 2, 3)).numpy()
    if (error > TOLERANCE).any():
        link = model.link_names[int(np.argmax(error))]
        raise ModelError(
            f"{target} does not give back the offsets: link {link!r} is {error.max():.3g} aside"
        )
