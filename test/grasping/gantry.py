"""A small robot for tests of grasps: a gantry with a wrist and a parallel gripper, as URDF."""

import numpy as np

from drrobot_ros.grasping.scene import GraspObject, GraspScene
from drrobot_ros.robot import primitives

GAP_M, TIP_M = 0.08, 0.09  # opening; from the palm to the pads' middle


def _link(name: str, geometry: str = "", xyz: str = "0 0 0", mass: float = 0.5) -> str:
    shape = ""
    if geometry:
        shape = "".join(
            f'<{kind}><origin xyz="{xyz}"/><geometry>{geometry}</geometry></{kind}>'
            for kind in ("visual", "collision")
        )
    inertial = (
        f'<inertial><mass value="{mass}"/><inertia ixx="0.002" iyy="0.002" izz="0.002" '
        'ixy="0" ixz="0" iyz="0"/></inertial>'
    )
    return f'<link name="{name}">{inertial}{shape}</link>'


def _joint(name, kind, parent, child, axis, limits, origin="", extra="") -> str:
    low, high = limits
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin {origin}/><axis xyz="{axis}"/>'
        f'<limit lower="{low}" upper="{high}" effort="300" velocity="2"/>{extra}</joint>'
    )


def gantry_urdf(fingers: str = "mimic") -> str:
    """Return the URDF; fingers: mimic, two (independent joints) or none (fixed)."""
    parts = [_link("base"), _link("along"), _link("across"), _link("up"), _link("turn")]
    parts += [_link("tilt"), _link("palm", '<box size="0.05 0.12 0.06"/>', "0 0 0.03")]
    parts += [
        _joint("x", "prismatic", "base", "along", "1 0 0", (-0.6, 0.6)),
        _joint("y", "prismatic", "along", "across", "0 1 0", (-0.6, 0.6)),
        _joint("z", "prismatic", "across", "up", "0 0 1", (-0.45, 0.3), 'xyz="0 0 0.5"'),
        _joint("yaw", "revolute", "up", "turn", "0 0 1", (-3.2, 3.2), 'rpy="3.14159265 0 0"'),
        _joint("pitch", "revolute", "turn", "tilt", "0 1 0", (-1.4, 1.4)),
        _joint("roll", "revolute", "tilt", "palm", "1 0 0", (-1.4, 1.4)),
    ]
    for side, sign in (("left", 1), ("right", -1)):
        parts.append(
            _link(side, '<box size="0.02 0.012 0.06"/>', f"0 {sign * 0.006} {TIP_M}", 0.05)
        )
        extra = '<mimic joint="left_slide"/>' if fingers == "mimic" and sign < 0 else ""
        kind = "fixed" if fingers == "none" else "prismatic"
        limits = (0, GAP_M / 2)
        parts.append(
            _joint(f"{side}_slide", kind, "palm", side, f"0 {sign} 0", limits, extra=extra)
        )
    return f'<robot name="gantry">{"".join(parts)}</robot>'


def thing(name, mesh, at, yaw=0.0, **more) -> GraspObject:
    """Return an object made of one convex mesh, at a place [3]."""
    vertices, faces = mesh
    T = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    T[:2, :2], T[:3, 3] = [[c, -s], [s, c]], at
    return GraspObject(name, vertices, faces, T, (vertices,), **more)


def box(name="box", half=(0.02, 0.04, 0.03), xy=(0.1, 0.0), yaw=0.3, **more) -> GraspObject:
    """Return a box on the plane z = 0."""
    return thing(name, primitives.box(np.array(half)), [*xy, half[2]], yaw, **more)


def scene(*objects, **more) -> GraspScene:
    """Return objects on the plane z = 0."""
    return GraspScene(tuple(objects), **more)
