"""The visual meshes of a compiled MuJoCo model, with its colours and textures as it draws them."""

from typing import Any

import numpy as np

from drrobot_ros.robot import primitives
from drrobot_ros.robot.mj_math import quat_to_matrix
from drrobot_ros.robot.textures import bake_texture
from drrobot_ros.robot.visuals import Visual

_LAST_VISIBLE_GROUP = 2  # MuJoCo's viewers draw geom groups 0, 1 and 2
_DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)


def visual_geoms(m: Any) -> list[int]:
    """Return the ids of the geoms that are drawn to be seen, not only to collide.

    Those in groups 0 to 2 that are not transparent; where a body has geoms that cannot collide,
    its geoms of other groups are taken for collision shapes and left out. If no geom of the model
    is in these groups, all of them count.
    """
    import mujoco

    kinds = mujoco.mjtGeom
    shapeless = {int(kinds.mjGEOM_PLANE), int(kinds.mjGEOM_HFIELD), int(kinds.mjGEOM_SDF)}
    drawn = [
        g for g in range(m.ngeom) if int(m.geom_type[g]) not in shapeless and color_of(m, g)[3] > 0
    ]
    visible = [g for g in drawn if m.geom_group[g] <= _LAST_VISIBLE_GROUP] or drawn
    decorative: dict[int, set[int]] = {}
    for g in visible:
        if m.geom_contype[g] == 0 and m.geom_conaffinity[g] == 0:
            decorative.setdefault(int(m.geom_bodyid[g]), set()).add(int(m.geom_group[g]))
    keep = []
    for g in visible:
        groups = decorative.get(int(m.geom_bodyid[g]))
        if groups is None or int(m.geom_group[g]) in groups:
            keep.append(g)
    return keep


def color_of(m: Any, geom: int) -> np.ndarray:
    """Return the RGBA [4] that MuJoCo draws a geom with, before textures."""
    material = m.geom_matid[geom]
    own = m.geom_rgba[geom]
    if material >= 0 and np.array_equal(own, _DEFAULT_RGBA):
        return m.mat_rgba[material].astype(np.float64)
    return own.astype(np.float64)


def visuals_of(m: Any, row_of_body: dict[int, int]) -> list[Visual]:
    """Return the visuals of the bodies that have a row in the tree."""
    visuals = []
    for g in visual_geoms(m):
        body = int(m.geom_bodyid[g])
        if body not in row_of_body:
            continue
        vertices, faces = _shape(m, g)
        color = color_of(m, g)
        face_colors = None
        texture = _texture_of(m, g)
        if texture is not None:
            vertices, faces, face_colors = _bake(m, g, texture, vertices, faces)
            face_colors = face_colors * color
            color = face_colors.mean(axis=0)
        vertices = vertices @ quat_to_matrix(m.geom_quat[g]).T + m.geom_pos[g]
        name = m.geom(g).name
        if not name and m.geom_type[g] == 7 and m.geom_dataid[g] >= 0:
            name = m.mesh(m.geom_dataid[g]).name
        visuals.append(
            Visual(row_of_body[body], vertices, faces, color, face_colors, name or f"geom_{g}")
        )
    return visuals


def _shape(m: Any, g: int) -> tuple[np.ndarray, np.ndarray]:
    import mujoco

    kind, size = mujoco.mjtGeom(m.geom_type[g]), m.geom_size[g]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = m.geom_dataid[g]
        vertex, n_vertex = m.mesh_vertadr[mesh], m.mesh_vertnum[mesh]
        face, n_face = m.mesh_faceadr[mesh], m.mesh_facenum[mesh]
        vertices = m.mesh_vert[vertex : vertex + n_vertex].astype(np.float64)
        return vertices, m.mesh_face[face : face + n_face].copy()
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        return primitives.box(size)
    if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        return primitives.sphere(size[0])
    if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        return primitives.ellipsoid(size)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        return primitives.cylinder(size[0], size[1])
    return primitives.capsule(size[0], size[1])


def _texture_of(m: Any, g: int) -> np.ndarray | None:
    """Return the colour texture [H, W, 3] of a geom, 0 to 1, first row at v = 0; or None."""
    import mujoco

    material = m.geom_matid[g]
    if material < 0:
        return None
    ids = m.mat_texid[material]
    roles = mujoco.mjtTextureRole
    texture = max(int(ids[roles.mjTEXROLE_RGB]), int(ids[roles.mjTEXROLE_RGBA]))
    if texture < 0:
        return None
    width, height = int(m.tex_width[texture]), int(m.tex_height[texture])
    channels, start = int(m.tex_nchannel[texture]), int(m.tex_adr[texture])
    data = m.tex_data[start : start + width * height * channels].reshape(height, width, channels)
    rgb = data[..., :3] if channels >= 3 else data[..., :1].repeat(3, axis=-1)
    return rgb.astype(np.float32) / np.float32(255)


def _bake(
    m: Any, g: int, texture: np.ndarray, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mesh with one RGBA per face; shapes without coordinates get the mean colour."""
    import mujoco

    mesh = m.geom_dataid[g] if m.geom_type[g] == mujoco.mjtGeom.mjGEOM_MESH else -1
    if mesh < 0 or m.mesh_texcoordadr[mesh] < 0:
        rgba = np.append(texture.mean(axis=(0, 1)), 1.0)
        return vertices, faces, np.tile(rgba, (len(faces), 1))
    first, n = m.mesh_texcoordadr[mesh], m.mesh_texcoordnum[mesh]
    uv = m.mesh_texcoord[first : first + n].astype(np.float64)
    start = m.mesh_faceadr[mesh]
    uv_faces = m.mesh_facetexcoord[start : start + len(faces)]
    return bake_texture(vertices, faces, uv[uv_faces], texture)
