"""Write photos and robot the way roboreg reads them; runs in this project's environment."""

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from drrobot_ros.robot.tree import JointType

KINDS = {
    JointType.FIXED: "fixed",
    JointType.REVOLUTE: "revolute",
    JointType.PRISMATIC: "prismatic",
}


def prepare(model: Any, photos: Path, folder: Path) -> None:
    """Write a URDF with one mesh a link, readings, depths in metres, masks and intrinsics."""
    folder.mkdir(parents=True, exist_ok=True)
    write_urdf(model, folder)
    import cv2

    readings = np.loadtxt(photos / "joint_positions_rad.csv", delimiter=",", skiprows=1)
    for i, q in enumerate(readings):
        np.save(folder / f"joint_states_{i}.npy", q)
        depth_mm = cv2.imread(str(photos / f"depth_mm_{i}.png"), cv2.IMREAD_UNCHANGED)
        np.save(folder / f"depth_{i}.npy", depth_mm.astype(np.float32) * 1e-3)
        shutil.copy(photos / f"mask_{i}.png", folder / f"mask_{i}.png")
    shutil.copy(photos / "camera_info.yaml", folder / "camera_info.yaml")


def write_urdf(model: Any, folder: Path) -> None:
    """Write robot.urdf, its meshes, and links.json with both ends of the chain that has meshes."""
    tree = model.tree
    root = ElementTree.Element("robot", name=model.name)
    shown = []
    for i, name in enumerate(tree.link_names):
        link = ElementTree.SubElement(root, "link", name=name)
        parts = [trimesh.Trimesh(v.vertices, v.faces) for v in model.visuals if v.link == i]
        if not parts:
            continue
        shown.append(name)
        trimesh.util.concatenate(parts).export(folder / f"{name}.stl")
        visual = ElementTree.SubElement(link, "visual")
        ElementTree.SubElement(visual, "origin", xyz="0 0 0", rpy="0 0 0")
        geometry = ElementTree.SubElement(visual, "geometry")
        ElementTree.SubElement(geometry, "mesh", filename=f"{name}.stl")
    for i in range(1, len(tree)):
        if not np.allclose(tree.T_joint_link[i], np.eye(4)) or tree.mimic_multiplier[i] != 1:
            raise ValueError(f"{tree.link_names[i]}: URDF has no such joint")
        kind = JointType(int(tree.joint_type[i]))
        name = tree.joint_names[i] or f"fixed_{i}"
        joint = ElementTree.SubElement(root, "joint", name=name, type=KINDS[kind])
        T = tree.T_parent_joint[i]
        words = {"xyz": T[:3, 3], "rpy": Rotation.from_matrix(T[:3, :3]).as_euler("xyz")}
        text = {k: " ".join(f"{x:.12g}" for x in v) for k, v in words.items()}
        ElementTree.SubElement(joint, "origin", text)
        ElementTree.SubElement(joint, "parent", link=tree.link_names[tree.parent[i]])
        ElementTree.SubElement(joint, "child", link=tree.link_names[i])
        if kind != JointType.FIXED:
            axis = " ".join(f"{x:.12g}" for x in tree.axis[i])
            ElementTree.SubElement(joint, "axis", xyz=axis)
            ElementTree.SubElement(
                joint, "limit", lower="-6.3", upper="6.3", effort="100", velocity="3"
            )
    ElementTree.ElementTree(root).write(folder / "robot.urdf")
    (folder / "links.json").write_text(json.dumps({"root": shown[0], "end": shown[-1]}))
