"""A robot's visuals as bodies that can be placed freely in a MuJoCo scene."""

from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from drrobot_ros.robot.model import RobotModel
from drrobot_ros.robot.visuals import Visual
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.textures import palette

_COLOR_STEPS = 63  # shades per channel of a textured mesh


def add_texture(spec: Any, name: str, image: NDArray[np.uint8]) -> None:
    """Add a 2D texture; the first row of `image` is at v = 0."""
    texture = spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=image.shape[1],
        height=image.shape[0],
        nchannel=3,
    )
    texture.data = np.ascontiguousarray(image).tobytes()


def add_material(spec: Any, name: str, texture: str = "", **properties: Any) -> None:
    """Add a material, with a texture if one is named."""
    material = spec.add_material(name=name, **properties)
    if texture:
        material.textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = texture


def add_robot(spec: Any, model: RobotModel, prefix: str, config: SceneConfig) -> None:
    """Add a body ``<prefix>/<link>`` that follows mocap positions for each link that is seen.

    The parts of a link that have one colour become one mesh, which is drawn faster.
    """
    material = f"{prefix}/surface"
    add_material(spec, material, specular=config.gloss, shininess=0.4)
    for link in sorted({visual.link for visual in model.visuals}):
        name = f"{prefix}/{model.link_names[link]}"
        body = spec.worldbody.add_body(name=name, mocap=True)
        own = [v for v in model.visuals if v.link == link]
        add_looks(spec, body, name, own, config, material)


def add_looks(
    spec: Any, body: Any, name: str, own: list[Visual], config: SceneConfig, material: str
) -> None:
    """Add a link's visuals to a body, in the body's frame; they touch nothing.

    Args:
        spec: MuJoCo's MjSpec.
        body: of the spec.
        name: what the meshes' names start with.
        own: the visuals.
        config: how finely they are drawn.
        material: of those of one colour.
    """
    plain: dict[tuple[float, ...], list[Visual]] = {}
    for visual in own:
        if visual.face_colors is None:
            plain.setdefault(tuple(visual.color), []).append(visual)
    for i, (rgba, visuals) in enumerate(plain.items()):
        vertices, faces, _ = merge_vertices(*_joined(visuals), config.coarseness_m)
        mesh = _add_mesh(spec, f"{name}/{i}", vertices, faces)
        _add_geom(body, mesh, rgba, material)
    for i, visual in enumerate(v for v in own if v.face_colors is not None):
        _add_textured(spec, body, f"{name}/textured{i}", visual, config)


def _joined(visuals: list[Visual]) -> tuple[NDArray, NDArray]:
    counts = np.cumsum([0, *(len(v.vertices) for v in visuals)])
    vertices = np.concatenate([v.vertices for v in visuals])
    faces = [v.faces + n for v, n in zip(visuals, counts[:-1], strict=True)]
    return vertices, np.concatenate(faces)


def merge_vertices(
    vertices: NDArray, faces: NDArray, cell_m: float
) -> tuple[NDArray, NDArray, NDArray[np.int64]]:
    """Return a mesh in which the vertices of each cell of a grid are one, at their mean.

    Args:
        vertices: [V, 3].
        faces: [F, 3].
        cell_m: edge of a cell; 0: nothing is merged.

    Returns:
        Vertices, faces, and which of the faces these are: those that became an edge or a point, or
        the same as another one, are gone.
    """
    if cell_m <= 0:
        return vertices, faces, np.arange(len(faces))
    cells = np.floor(vertices / cell_m).astype(np.int64)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.ravel()
    count = np.bincount(cell)
    merged = np.stack([np.bincount(cell, vertices[:, k]) / count for k in range(3)], axis=1)
    corners = cell[faces]
    a, b, c = corners.T
    kept = np.flatnonzero((a != b) & (b != c) & (c != a))
    _, first = np.unique(np.sort(corners[kept], axis=1), axis=0, return_index=True)
    kept = kept[np.sort(first)]
    return (merged, corners[kept], kept) if len(kept) else (vertices, faces, np.arange(len(faces)))


def _add_textured(spec: Any, body: Any, name: str, visual: Visual, config: SceneConfig) -> None:
    colors = visual.face_colors
    assert colors is not None  # chosen so by the caller
    vertices, faces, kept = merge_vertices(visual.vertices, visual.faces, config.coarseness_m)
    shades = np.round(colors[kept, :3] * _COLOR_STEPS).astype(np.int64)
    unique, which = np.unique(shades, axis=0, return_inverse=True)
    image, centres = palette(unique / _COLOR_STEPS)
    add_texture(spec, name, image)
    add_material(spec, name, name, specular=config.gloss, shininess=0.4)
    mesh = _add_mesh(spec, name, vertices, faces)
    mesh.usertexcoord = centres.ravel()
    mesh.userfacetexcoord = np.repeat(which.ravel(), 3)
    _add_geom(body, mesh, (1.0, 1.0, 1.0, 1.0), name)


def _add_mesh(spec: Any, name: str, vertices: NDArray, faces: NDArray) -> Any:
    mesh = spec.add_mesh(name=name)
    mesh.uservert = vertices.ravel()
    mesh.userface = faces.ravel()
    # Open or flat parts have no volume; what a part weighs does not matter here.
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    return mesh


def _add_geom(body: Any, mesh: Any, rgba: tuple[float, ...], material: str) -> None:
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=mesh.name,
        material=material,
        rgba=rgba,
        mass=0.0,
        contype=0,
        conaffinity=0,
    )
