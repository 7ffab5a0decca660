"""Compiling a URDF with MuJoCo: our reading of it goes in, links keep their names and frames.

MuJoCo's own URDF reader is not used: it knows no Collada, no ``package://``, no mimic joints, and
merges meshes of the same file name. Visuals become geoms of group 2 that cannot collide, collision
shapes geoms of group 3.
"""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.extraction import Joint
from drrobot_ros.robot.meshes import MeshPart, load_image, load_mesh
from drrobot_ros.robot.mj_bodies import FLOATING_PARTS
from drrobot_ros.robot.mj_math import matrix_to_quat
from drrobot_ros.robot.packages import FileFinder
from drrobot_ros.robot.tree import V_SIZE
from drrobot_ros.robot.urdf import Urdf, UrdfInertial, UrdfJoint, UrdfLink, UrdfShape

_log = logging.getLogger(__name__)

MISSING_MESHES = ("error", "skip")

#: A planar joint is these three joints.
PLANAR_PARTS = ("/x", "/y", "/rotation")

_VISUAL_GROUP, _COLLISION_GROUP = 2, 3
_DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0])
# MuJoCo refuses moving bodies without inertia; the tree keeps what the URDF says.
_TINY_MASS_KG, _TINY_INERTIA = 1e-4, 1e-7


def compile_urdf(urdf: Urdf, finder: FileFinder, missing_meshes: str = "error") -> Any:
    """Return the compiled ``mujoco.MjModel`` of a URDF; its root link is fixed to the world.

    Args:
        urdf: the robot.
        finder: finds the mesh and texture files.
        missing_meshes: ``"error"``, or ``"skip"`` to warn and leave the shape out.

    Raises:
        ModelError: a mesh is missing or unreadable, or MuJoCo rejects the robot.
    """
    if missing_meshes not in MISSING_MESHES:
        raise ModelError(
            f"missing_meshes is {missing_meshes!r}; valid: {', '.join(MISSING_MESHES)}"
        )
    return _Compiler(urdf, finder, missing_meshes).compile()


def inertials_of(urdf: Urdf) -> dict[str, tuple[float, np.ndarray, np.ndarray]]:
    """Return the true (mass, com, inertia) of every link; zero where the URDF has none."""
    found = {}
    for link in urdf.links.values():
        inertial = link.inertial
        if inertial is None:
            inertial = UrdfInertial(0.0, np.zeros(3), np.zeros((3, 3)))
        found[link.name] = (inertial.mass, inertial.com, inertial.inertia)
    return found


def velocity_limits(urdf: Urdf, joints: Sequence[Joint]) -> np.ndarray:
    """Return the velocity limits [nv] in rad/s or m/s, infinite where the URDF gives none."""
    limits = {joint.name: joint.velocity for joint in urdf.joints}
    for joint in urdf.joints:
        if joint.type == "planar":
            limits |= {joint.name + part: joint.velocity for part in PLANAR_PARTS}
    each = [np.full(V_SIZE[joint.type], limits[joint.name]) for joint in joints]
    return np.concatenate([*each, np.zeros(0)])


def planar_axes(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two unit axes that make a right-handed frame with a unit normal [3]."""
    start = np.eye(3)[0] if abs(normal[0]) < 0.9 else np.eye(3)[1]
    x = start - normal * (normal @ start)
    x /= np.linalg.norm(x)
    return x, np.cross(normal, x)


class _Compiler:
    def __init__(self, urdf: Urdf, finder: FileFinder, missing_meshes: str) -> None:
        import mujoco

        self.mujoco = mujoco
        self.urdf = urdf
        self.finder = finder
        self.missing_meshes = missing_meshes
        self.spec = mujoco.MjSpec()
        self.spec.modelname = urdf.name
        self.spec.compiler.degree = False
        self.spec.compiler.fusestatic = False
        self.spec.compiler.discardvisual = False
        self.spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
        self.spec.compiler.balanceinertia = True
        self.parts_of: Callable[[str], list[MeshPart]] = cache(self._load)
        self.textures: dict[bytes, str] = {}

    def compile(self) -> Any:
        urdf = self.urdf
        if "world" in urdf.links and urdf.root != "world":
            raise ModelError("only the root link may be called 'world'")
        bodies = {urdf.root: self.spec.worldbody}
        if urdf.root != "world":
            bodies[urdf.root] = self.spec.worldbody.add_body(name=urdf.root)
        self._fill(bodies[urdf.root], urdf.links[urdf.root])
        for joint in urdf.joints:
            body = bodies[joint.parent].add_body(
                name=joint.child,
                pos=joint.T_parent_joint[:3, 3],
                quat=matrix_to_quat(joint.T_parent_joint[:3, :3]),
            )
            bodies[joint.child] = body
            self._add_joint(body, joint)
            self._fill(body, urdf.links[joint.child])
        self._add_mimics()
        try:
            return self.spec.compile()
        except (ValueError, self.mujoco.FatalError) as error:
            raise ModelError(f"MuJoCo cannot compile {urdf.name!r}: {error}") from error

    def _add_joint(self, body: Any, joint: UrdfJoint) -> None:
        kinds = self.mujoco.mjtJoint
        common: dict[str, Any] = {"damping": joint.damping, "frictionloss": joint.friction}
        if joint.type in ("revolute", "continuous", "prismatic"):
            slides = joint.type == "prismatic"
            if np.isfinite(joint.lower):
                # A joint whose limits coincide is legal in URDF, not in MuJoCo.
                common["range"] = [joint.lower, max(joint.upper, joint.lower + 1e-9)]
                common["limited"] = True
            if np.isfinite(joint.effort):
                common["actfrcrange"] = [-joint.effort, joint.effort]
                common["actfrclimited"] = True
            kind = kinds.mjJNT_SLIDE if slides else kinds.mjJNT_HINGE
            body.add_joint(name=joint.name, type=kind, axis=joint.axis, **common)
        elif joint.type in ("ball", "spherical"):
            body.add_joint(name=joint.name, type=kinds.mjJNT_BALL, **common)
        elif joint.type == "floating":
            for part, axis in zip(FLOATING_PARTS[:3], np.eye(3), strict=True):
                name = joint.name + part
                body.add_joint(name=name, type=kinds.mjJNT_SLIDE, axis=axis, **common)
            name = joint.name + FLOATING_PARTS[3]
            body.add_joint(name=name, type=kinds.mjJNT_BALL, **common)
        elif joint.type == "planar":
            for part, axis in zip(PLANAR_PARTS[:2], planar_axes(joint.axis), strict=True):
                name = joint.name + part
                body.add_joint(name=name, type=kinds.mjJNT_SLIDE, axis=axis, **common)
            name = joint.name + PLANAR_PARTS[2]
            body.add_joint(name=name, type=kinds.mjJNT_HINGE, axis=joint.axis, **common)

    def _add_mimics(self) -> None:
        for joint in self.urdf.joints:
            if joint.mimic is None or joint.type == "fixed":
                continue
            leader, multiplier, offset = joint.mimic
            data = np.zeros(self.mujoco.mjNEQDATA)
            data[:2] = offset, multiplier
            self.spec.add_equality(
                name=f"{joint.name} mimics {leader}",
                type=self.mujoco.mjtEq.mjEQ_JOINT,
                objtype=self.mujoco.mjtObj.mjOBJ_JOINT,
                name1=joint.name,
                name2=leader,
                data=data,
                active=True,
            )

    def _fill(self, body: Any, link: UrdfLink) -> None:
        if body.name != "world":
            self._add_inertial(body, link.inertial)
        for shape in link.visuals:
            self._add_shape(body, shape, visual=True)
        for shape in link.collisions:
            self._add_shape(body, shape, visual=False)

    def _add_inertial(self, body: Any, inertial: UrdfInertial | None) -> None:
        body.explicitinertial = True
        if inertial is None or inertial.mass == 0:
            body.mass = _TINY_MASS_KG
            body.inertia = np.full(3, _TINY_INERTIA)
            return
        moments, R = np.linalg.eigh(inertial.inertia)
        if np.linalg.det(R) < 0:
            R[:, 0] *= -1
        body.mass = inertial.mass
        body.ipos = inertial.com
        body.iquat = matrix_to_quat(R)
        body.inertia = np.maximum(moments, 1e-12)

    def _load(self, filename: str) -> list[MeshPart]:
        return load_mesh(self.finder.find(filename))

    def _add_shape(self, body: Any, shape: UrdfShape, *, visual: bool) -> None:
        common: dict[str, Any] = {
            "pos": shape.T_link_shape[:3, 3],
            "quat": matrix_to_quat(shape.T_link_shape[:3, :3]),
            "group": _VISUAL_GROUP if visual else _COLLISION_GROUP,
            "contype": 0 if visual else 1,
            "conaffinity": 0 if visual else 1,
        }
        rgba = _DEFAULT_RGBA if shape.rgba is None else shape.rgba
        if shape.kind != "mesh":
            self._add_primitive(body, shape, {**common, "rgba": rgba})
            return
        try:
            parts = self.parts_of(shape.filename)
        except ModelError as error:
            if self.missing_meshes == "error":
                raise ModelError(f"{shape.where}: {error}") from error
            _log.warning("%s is left out: %s", shape.where, error)
            return
        for part in parts:
            self._add_mesh(body, shape, part.scaled(shape.size), common, rgba)

    def _add_primitive(self, body: Any, shape: UrdfShape, common: dict[str, Any]) -> None:
        kinds = self.mujoco.mjtGeom
        radius, half_length = shape.size[0], shape.size[1] / 2
        if shape.kind == "box":
            # MuJoCo wants every side positive; a flat box is drawn as a thin one.
            body.add_geom(type=kinds.mjGEOM_BOX, size=np.maximum(shape.size / 2, 1e-6), **common)
        elif shape.kind == "sphere":
            body.add_geom(type=kinds.mjGEOM_SPHERE, size=[radius, 0, 0], **common)
        else:
            kind = kinds.mjGEOM_CYLINDER if shape.kind == "cylinder" else kinds.mjGEOM_CAPSULE
            size = [radius, max(half_length, 1e-6), 0]
            body.add_geom(type=kind, size=size, **common)

    def _add_mesh(
        self,
        body: Any,
        shape: UrdfShape,
        part: MeshPart,
        common: dict[str, Any],
        link_rgba: np.ndarray,
    ) -> None:
        mesh = self.spec.add_mesh(name=f"{Path(shape.filename).stem}_{len(self.spec.meshes)}")
        vertices, faces = part.vertices, part.faces
        if len(vertices) < 4:
            # MuJoCo wants four vertices even of a triangle.
            vertices = np.concatenate([vertices, np.repeat(vertices[-1:], 4 - len(vertices), 0)])
        mesh.uservert = vertices.astype(np.float32).ravel()
        mesh.userface = faces.astype(np.int32).ravel()
        if common["contype"] == 0:
            mesh.inertia = self.mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        look: dict[str, Any] = {"rgba": link_rgba if part.color is None else part.color}
        texture = part.texture
        if texture is None and part.color is None and shape.texture:
            texture = self._texture_file(shape)
        if texture is not None and part.uv is not None and common["contype"] == 0:
            mesh.usertexcoord = (part.uv * [1, -1] + [0, 1]).astype(np.float32).ravel()
            mesh.userfacetexcoord = np.arange(3 * len(faces), dtype=np.int32)
            look = {"material": self._material(texture)}
        body.add_geom(type=self.mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, **common, **look)

    def _texture_file(self, shape: UrdfShape) -> np.ndarray | None:
        try:
            return load_image(self.finder.find(shape.texture))
        except (ModelError, OSError) as error:
            _log.warning("%s: texture is left out: %s", shape.where, error)
            return None

    def _material(self, texture: np.ndarray) -> str:
        """Return the name of the material with a texture; equal textures share one."""
        data = np.ascontiguousarray(texture).tobytes()
        if data not in self.textures:
            name = f"texture_{len(self.textures)}"
            self.textures[data] = name
            height, width = texture.shape[:2]
            added = self.spec.add_texture(name=name, type=self.mujoco.mjtTexture.mjTEXTURE_2D)
            added.width, added.height, added.nchannel = width, height, 3
            added.data = data
            material = self.spec.add_material(name=name, rgba=np.ones(4))
            material.textures[int(self.mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
        return self.textures[data]
