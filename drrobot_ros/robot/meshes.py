"""Reading mesh files into coloured parts: Collada, STL, OBJ and what else trimesh reads.

Collada is read as RViz reads it: the file's unit and the transforms of its nodes count, its up axis
does not. Colours are those of the file's own materials, one part per material.
"""

import dataclasses
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from drrobot_ros.errors import ModelError

#: Formats by file ending.
FORMATS = (".dae", ".stl", ".obj", ".ply", ".glb", ".gltf", ".off")


@dataclasses.dataclass(frozen=True, eq=False)
class MeshPart:
    """Triangles of one colour or one texture.

    Attributes:
        vertices: [V, 3] m.
        faces: [F, 3].
        color: RGBA [4], or None where the file has none.
        uv: [F, 3, 2] texture coordinates of the corners, v upwards, or None.
        texture: [H, W, 3] uint8, first row at the top (v = 1), or None.
    """

    vertices: np.ndarray
    faces: np.ndarray
    color: np.ndarray | None = None
    uv: np.ndarray | None = None
    texture: np.ndarray | None = None

    def scaled(self, scale: np.ndarray) -> "MeshPart":
        """Return the part with its axes scaled by [3]; a mirrored one is turned inside out."""
        vertices = self.vertices * scale
        if np.prod(scale) > 0:
            return dataclasses.replace(self, vertices=vertices)
        uv = None if self.uv is None else self.uv[:, ::-1]
        return dataclasses.replace(self, vertices=vertices, faces=self.faces[:, ::-1], uv=uv)


def load_mesh(path: Path) -> list[MeshPart]:
    """Return the parts of a mesh file, in m.

    Raises:
        ModelError: the format is unknown, or the file cannot be read or holds no triangle.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise ModelError(f"mesh {path}: unknown format {ending!r}; valid: {', '.join(FORMATS)}")
    try:
        parts = _load_collada(path) if ending == ".dae" else _load_trimesh(path)
    except Exception as error:  # the readers raise whatever a broken file makes them
        raise ModelError(f"mesh {path} cannot be read: {error!r}") from error
    parts = [_used_vertices(part) for part in parts if len(part.faces)]
    if not parts:
        raise ModelError(f"mesh {path} holds no triangle")
    if not all(np.isfinite(part.vertices).all() for part in parts):
        raise ModelError(f"mesh {path} has vertices that are not finite")
    return parts


def _used_vertices(part: MeshPart) -> MeshPart:
    used, faces = np.unique(part.faces, return_inverse=True)
    return dataclasses.replace(
        part, vertices=part.vertices[used], faces=faces.reshape(-1, 3).astype(np.int32)
    )


def _load_collada(path: Path) -> list[MeshPart]:
    import collada

    document = _open_collada(path)
    unit = document.assetInfo.unitmeter or 1.0
    parts = []
    if document.scene is None:
        return parts
    for geometry in document.scene.objects("geometry"):
        for primitive in geometry.primitives():
            if isinstance(primitive, collada.polylist.BoundPolylist):
                primitive = primitive.triangleset()  # noqa: PLW2901
            if not isinstance(primitive, collada.triangleset.BoundTriangleSet):
                continue  # lines
            if primitive.vertex is None or len(primitive.vertex_index) == 0:
                continue
            color, uv, texture = _collada_look(primitive, path.parent)
            vertices = np.asarray(primitive.vertex, dtype=np.float64) * unit
            faces = np.asarray(primitive.vertex_index).reshape(-1, 3)
            parts.append(MeshPart(vertices, faces, color, uv, texture))
    return parts


def _open_collada(path: Path) -> Any:
    """Open a Collada file; what names materials that are broken is drawn without them."""
    import collada

    document = collada.Collada(str(path), ignore=[collada.common.DaeError])
    if not document.errors:
        return document
    sound = {f"#{material.id}" for material in document.materials}
    tree = ElementTree.parse(path)
    for parent in tree.iter():
        for child in list(parent):
            broken = child.tag.endswith("}instance_material") and child.get("target") not in sound
            if broken:
                parent.remove(child)
    text = ElementTree.tostring(tree.getroot())
    return collada.Collada(io.BytesIO(text), ignore=[collada.common.DaeError])


def _collada_look(
    primitive: Any, folder: Path
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return (colour, uv, texture) of a Collada primitive, each None where it has none."""
    import collada

    corners = None
    if primitive.texcoordset:
        uv = np.asarray(primitive.texcoordset[0], dtype=np.float64)[:, :2]
        corners = uv[np.asarray(primitive.texcoord_indexset[0]).reshape(-1, 3)]
    effect = getattr(primitive.material, "effect", None)
    diffuse = getattr(effect, "diffuse", None)
    if diffuse is None:
        return None, corners, None
    if not isinstance(diffuse, collada.material.Map):
        rgba = np.ones(4)
        rgba[: len(diffuse)] = diffuse
        rgba[3] = rgba[3] if rgba[3] > 0 else 1.0
        return np.clip(rgba, 0, 1), None, None
    image = folder / str(diffuse.sampler.surface.image.path)
    if corners is None or not image.is_file():
        return None, corners, None
    return np.ones(4), corners, load_image(image)


def _load_trimesh(path: Path) -> list[MeshPart]:
    import trimesh

    scene = trimesh.load_scene(path, process=False)
    parts = []
    for mesh in scene.dump():
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            parts += _trimesh_parts(mesh, path)
    return parts


def _trimesh_parts(mesh: Any, path: Path) -> list[MeshPart]:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if path.suffix.lower() == ".stl" or not mesh.visual.defined:
        return [MeshPart(vertices, faces)]
    if mesh.visual.kind == "texture":
        material, uv = mesh.visual.material, mesh.visual.uv
        corners = None if uv is None or len(uv) != len(vertices) else np.asarray(uv)[faces]
        if _is_made_up(material):
            return [MeshPart(vertices, faces, None, corners)]
        image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
        if image is not None and corners is not None:
            pixels = np.asarray(image.convert("RGB"))
            return [MeshPart(vertices, faces, np.ones(4), corners, pixels)]
        return [MeshPart(vertices, faces, _material_color(material), corners)]
    return [_palette_part(vertices, faces, np.asarray(mesh.visual.face_colors)[:, :3])]


def _palette_part(vertices: np.ndarray, faces: np.ndarray, rgb: np.ndarray) -> MeshPart:
    """Return faces of many colours [F, 3] uint8 as a part with a one-row texture of them."""
    palette, index = np.unique(rgb, axis=0, return_inverse=True)
    u = (index.reshape(-1) + 0.5) / len(palette)
    uv = np.stack([u, np.full_like(u, 0.5)], axis=-1)[:, None].repeat(3, axis=1)
    return MeshPart(vertices, faces, np.ones(4), uv, palette[None].astype(np.uint8))


def _is_made_up(material: Any) -> bool:
    """Return whether trimesh made up the material of an OBJ file that has none."""
    kwargs = getattr(material, "kwargs", None)
    return kwargs == {} and material.name in (None, "", "material_0")


def _material_color(material: Any) -> np.ndarray:
    color = np.asarray(material.main_color, dtype=np.float64) / 255
    if color[3] == 0:
        color[3] = 1.0
    return color


def load_image(path: Path) -> np.ndarray:
    """Return an image file as RGB uint8 [H, W, 3]."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
