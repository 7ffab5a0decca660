"""Scenes as messages: for other nodes, for RViz, for MoveIt where it is installed."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from shape_msgs.msg import Mesh, MeshTriangle
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from drrobot_msgs.msg import Scene, SceneObject
from drrobot_ros.errors import InputError
from drrobot_ros.grasping.scene import GraspObject, GraspScene
from drrobot_ros.ros.conversions import matrix_from_pose, pose_from_matrix

_SUPPORT_M = 1.2  # side of the support's marker
_DOUBTFUL = 0.5  # below it an object is drawn red


def scene_message(scene: Any, header: Header) -> Scene:
    """Return a reconstructed `drrobot_ros.scene.Scene` as a message.

    Args:
        scene: in the robot's base frame.
        header: the image's stamp and the base frame.
    """
    message = Scene(header=header, confidence=float(scene.confidence))
    message.plane = [*map(float, scene.plane.normal), float(scene.plane.offset_m)]
    message.camera_pose = pose_from_matrix(np.asarray(scene.T_scene_camera, np.float64))
    message.warnings = list(scene.warnings)
    message.objects = [_object_message(thing) for thing in scene.objects]
    return message


def _object_message(thing: Any) -> SceneObject:
    return SceneObject(
        name=thing.name,
        pose=pose_from_matrix(np.asarray(thing.T_scene_object, np.float64)),
        mesh=mesh_message(thing.mesh.vertices, thing.mesh.faces),
        pieces=[mesh_message(p.vertices, p.faces) for p in thing.pieces],
        half_axes=[float(x) for x in thing.axes_m],
        color=[float(x) for x in thing.material.albedo],
        mass=float(thing.mass_kg),
        friction=float(thing.friction),
        confidence=float(thing.confidence),
        warnings=list(thing.warnings),
    )


def grasp_scene(message: Scene) -> GraspScene:
    """Return a message as grasping sees it.

    Raises:
        InputError: meshes, poses or plane that cannot be.
    """
    normal, offset = np.array(message.plane[:3]), float(message.plane[3])
    length = float(np.linalg.norm(normal))
    if not abs(length - 1) < 1e-3:
        raise InputError(f"the plane's normal must be of length 1, got {normal.tolist()}")
    objects = []
    for thing in message.objects:
        vertices, faces = mesh_arrays(thing.mesh)
        objects.append(
            GraspObject(
                name=thing.name,
                vertices=vertices,
                faces=faces,
                T_base_object=matrix_from_pose(thing.pose),
                pieces=tuple(mesh_arrays(p)[0] for p in thing.pieces) or (vertices,),
                mass_kg=thing.mass or 0.2,
                friction=thing.friction or 0.5,
                confidence=thing.confidence,
                reasons=tuple(thing.warnings),
            )
        )
    return GraspScene(
        tuple(objects),
        normal / length,
        offset,
        matrix_from_pose(message.camera_pose),
        message.confidence,
        tuple(message.warnings),
    )


def mesh_message(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Mesh:
    """Return a mesh [V, 3], [F, 3] as a message."""
    return Mesh(
        triangles=[MeshTriangle(vertex_indices=np.asarray(f, np.uint32)) for f in faces],
        vertices=[_point(v) for v in vertices],
    )


def mesh_arrays(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the vertices [V, 3] and faces [F, 3] of a message."""
    vertices = np.array([(p.x, p.y, p.z) for p in mesh.vertices], np.float64).reshape(-1, 3)
    faces = np.array([t.vertex_indices for t in mesh.triangles], np.int64).reshape(-1, 3)
    return vertices, faces


def markers_of(message: Scene) -> MarkerArray:
    """Return a scene for RViz: meshes, names with confidence, the support; the old ones go."""
    found = [Marker(header=message.header, action=Marker.DELETEALL)]
    for i, thing in enumerate(message.objects):
        vertices, faces = mesh_arrays(thing.mesh)
        corners = vertices[faces].reshape(-1, 3)
        mesh = Marker(header=message.header, ns="objects", id=i, type=Marker.TRIANGLE_LIST)
        mesh.pose = thing.pose
        mesh.scale.x = mesh.scale.y = mesh.scale.z = 1.0
        mesh.color = _color(np.asarray(thing.color), 1.0)
        mesh.points = [_point(c) for c in corners]
        name = Marker(header=message.header, ns="names", id=i, type=Marker.TEXT_VIEW_FACING)
        at = matrix_from_pose(thing.pose)
        top = (vertices @ at[:3, :3].T + at[:3, 3]).max(0) if len(vertices) else at[:3, 3]
        name.pose.position.x, name.pose.position.y = float(at[0, 3]), float(at[1, 3])
        name.pose.position.z = float(top[2]) + 0.03
        name.scale.z = 0.02
        name.text = f"{thing.name} {100 * thing.confidence:.0f} %"
        doubtful = thing.confidence < _DOUBTFUL
        name.color = ColorRGBA(r=1.0, g=0.2 if doubtful else 1.0, b=0.2 if doubtful else 1.0, a=1.0)
        found += [mesh, name]
    support = Marker(header=message.header, ns="support", id=0, type=Marker.CUBE)
    support.pose = pose_from_matrix(_on_plane(message))
    support.scale.x = support.scale.y = _SUPPORT_M
    support.scale.z = 0.002
    support.color = ColorRGBA(r=0.6, g=0.6, b=0.6, a=0.4)
    return MarkerArray(markers=[*found, support])


def has_moveit() -> bool:
    """Return whether moveit_msgs is installed."""
    return find_spec("moveit_msgs") is not None


def collision_objects(message: Scene) -> list[Any]:
    """Return a scene as moveit_msgs/CollisionObject, convex pieces as meshes; needs moveit_msgs."""
    from moveit_msgs.msg import CollisionObject  # pyright: ignore[reportMissingImports]
    from shape_msgs.msg import Plane

    found = []
    for thing in message.objects:
        solid = CollisionObject(header=message.header, id=thing.name, operation=b"\x00")
        solid.pose = thing.pose
        solid.meshes = list(thing.pieces) or [thing.mesh]
        solid.mesh_poses = [pose_from_matrix(np.eye(4)) for _ in solid.meshes]
        found.append(solid)
    x, y, z, offset = (float(v) for v in message.plane)
    support = CollisionObject(header=message.header, id="support", operation=b"\x00")
    support.planes = [Plane(coef=[x, y, z, -offset])]
    support.plane_poses = [pose_from_matrix(np.eye(4))]
    return [*found, support]


def _on_plane(message: Scene) -> NDArray[np.float64]:
    """Return a pose on the plane, z along its normal, below the objects' middle."""
    normal = np.array(message.plane[:3])
    x = np.eye(3)[int(np.abs(normal).argmin())]
    x = x - normal * (normal @ x)
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(normal, x), normal], axis=1)
    at = [matrix_from_pose(o.pose)[:3, 3] for o in message.objects] or [np.zeros(3)]
    middle = np.mean(at, axis=0)
    T[:3, 3] = middle + normal * (message.plane[3] - normal @ middle)
    return T


def _point(v: Any) -> Point:
    return Point(x=float(v[0]), y=float(v[1]), z=float(v[2]))


def _color(linear: NDArray[np.floating], alpha: float) -> ColorRGBA:
    r, g, b = (float(np.clip(x, 0, 1)) ** (1 / 2.2) for x in linear)
    return ColorRGBA(r=r, g=g, b=b, a=alpha)
