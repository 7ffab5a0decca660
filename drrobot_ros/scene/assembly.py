"""The results of the stages put together: frames, colours, masses, and how far to believe them."""

import dataclasses

import numpy as np

from drrobot_ros.scene.confidence import Judged, judge
from drrobot_ros.scene.drawing import drawn_depth
from drrobot_ros.scene.parts import Parts
from drrobot_ros.scene.surface_colors import surface_colors
from drrobot_ros.scene.types import (
    Floats,
    Light,
    Material,
    Mesh,
    Scene,
    SceneObject,
    transformed,
)


def assemble(parts: Parts) -> Scene:
    """Return the scene."""
    given, T = parts.given, parts.T_plane_camera
    T_camera_plane = np.linalg.inv(T)
    based = given.T_base_camera is not None
    T_scene_camera = np.asarray(given.T_base_camera, np.float64) if based else T
    T_scene_plane = T_scene_camera @ T_camera_plane
    in_camera = [transformed(T_camera_plane, mesh.vertices) for mesh in parts.meshes]
    depth, owner = drawn_depth(in_camera, [m.faces for m in parts.meshes], given.camera)
    judged = judge(parts, depth, owner)
    colors = surface_colors(
        given.color, parts.masks, owner, in_camera, [m.faces for m in parts.meshes], parts.looks,
        given.camera,
    )  # fmt: skip
    objects = tuple(
        _object(parts, i, T_scene_plane, colors[i], judged[i]) for i in range(len(parts.names))
    )
    warnings = []
    confidence = parts.plane.confidence
    if not given.camera_trusted:
        warnings.append("the camera pose is not trusted")
        confidence = min(confidence, 0.1)
    if parts.plane.confidence < 0.5:
        warnings.append(f"a poor plane: {parts.plane.inliers:.0%} of the points are on it")
    looks = parts.looks
    plane_material = Material(looks.plane_albedo.double().numpy(), 0.9)
    plane = dataclasses.replace(parts.plane, material=plane_material).moved(T_scene_camera)
    direction = looks.light.direction.double().numpy()
    direction = T_scene_camera[:3, :3] @ (direction / np.linalg.norm(direction))
    light = Light(
        direction, looks.light.color.double().numpy(), looks.light.ambient.double().numpy()
    )
    measures = {
        "color_error": looks.color_error,
        "kinds": parts.kinds,
        "first_centers": transformed(T_scene_plane, parts.first.centers.numpy()),
        "first_axes_m": parts.first.axes.numpy(),
    }
    return Scene(
        "base" if based else "plane", objects, plane, light, given.camera, T_scene_camera,
        confidence, tuple(warnings), parts.seconds, measures,
    )  # fmt: skip


def _object(
    parts: Parts, i: int, T_scene_plane: Floats, colors: Floats, judged: Judged
) -> SceneObject:
    mesh, found, config = parts.meshes[i], parts.ellipsoids, parts.config
    T_plane_ellipsoid = np.eye(4)
    T_plane_ellipsoid[:3, :3] = found.rotations[i].numpy()
    T_plane_ellipsoid[:3, 3] = found.centers[i].numpy()
    # The object's frame: the ellipsoid's axes, in the middle of the mesh's extent along them.
    local = transformed(np.linalg.inv(T_plane_ellipsoid), mesh.vertices)
    T_plane_object = T_plane_ellipsoid.copy()
    middle = 0.5 * (local.min(0) + local.max(0))
    T_plane_object[:3, 3] = transformed(T_plane_ellipsoid, middle)
    back = np.linalg.inv(T_plane_object)
    pieces = tuple(Mesh(transformed(back, p.vertices), p.faces) for p in parts.pieces[i])
    volume = _volume(mesh)
    confidence, warnings = judged.confidence, list(judged.warnings)
    if not parts.given.camera_trusted:
        confidence = min(confidence, 0.1)
        warnings.append("the camera pose is not trusted")
    return SceneObject(
        parts.names[i],
        parts.boxes[i],
        parts.masks[i],
        T_scene_plane @ T_plane_object,
        found.axes[i].numpy(),
        T_scene_plane @ T_plane_ellipsoid,
        Mesh(transformed(back, mesh.vertices), mesh.faces),
        colors,
        pieces,
        Material(parts.looks.albedo[i].double().numpy(), float(parts.looks.roughness[i])),
        max(volume * config.density, 0.005),
        config.friction,
        confidence,
        tuple(warnings),
        judged.visible_fraction,
        judged.depth_residual_m,
    )


def _volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return abs(float((np.cross(a, b) * c).sum() / 6))
