"""Scenes as files: MJCF for MuJoCo, glTF for everybody, JSON and pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.media import write_image
from drrobot_ros.scene import pictures
from drrobot_ros.scene.shading import GAMMA
from drrobot_ros.scene.types import (
    Floats,
    Light,
    Material,
    Mesh,
    Scene,
    SceneObject,
    SupportPlane,
)

PREFIX = "object_"
_PLANE_HALF_M = 1.5


def write_scene(
    scene: Scene, folder: str | Path, color: NDArray[np.uint8] | None = None
) -> dict[str, Path]:
    """Write a scene; return the files by what they are.

    scene.xml with assets/ is MJCF: a plane "support", a free body per object with a visual mesh
    (group 2) and convex pieces for contact (group 3). scene.glb is glTF. scene.json has every
    number; ``read_scene`` reads it.

    Args:
        scene: what is written.
        folder: made if it is not there.
        color: the image, for pictures.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = Path(folder)
    files = {
        "mjcf": folder / "scene.xml",
        "gltf": folder / "scene.glb",
        "json": folder / "scene.json",
    }
    try:
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        for item in scene.objects:
            _write_obj(folder / "assets" / f"{item.name}.obj", item)
            for k, piece in enumerate(item.pieces):
                _write_piece(folder / "assets" / f"{item.name}_{k}.obj", piece)
        files["mjcf"].write_text(scene_xml(scene, folder))
        files["json"].write_text(json.dumps(_to_json(scene), indent=1))
    except OSError as error:
        raise InputError(f"cannot write the scene to {folder}: {error}") from error
    gltf(scene).export(files["gltf"])
    for item in scene.objects:
        files[f"mask {item.name}"] = folder / f"mask_{item.name}.png"
        write_image(files[f"mask {item.name}"], item.mask.astype(np.uint8) * 255)
    files["side"] = folder / "side.png"
    write_image(files["side"], pictures.side(scene))
    if color is not None:
        files["meshes"] = folder / "meshes.png"
        write_image(files["meshes"], pictures.meshes(color, scene))
        files["masks"] = folder / "masks.png"
        found = np.stack([item.mask for item in scene.objects])
        boxes = np.stack([item.box for item in scene.objects])
        write_image(files["masks"], pictures.masks(color, found, boxes))
    return files


def scene_xml(scene: Scene, folder: Path) -> str:
    """Return the scene as MJCF text; its meshes are in ``assets/`` of the folder it goes to."""
    import mujoco

    spec = mujoco.MjSpec()
    spec.modelname = "scene"
    spec.modelfiledir = str(folder.resolve())
    spec.meshdir = "assets"
    add_objects(spec, scene, files=True)
    light = scene.light
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=scene.objects[0].T_scene_object[:3, 3] + 2 * light.direction,
        dir=-light.direction,
        diffuse=np.clip(light.color, 0, 1),
        castshadow=True,
    )
    spec.visual.headlight.ambient = np.clip(light.ambient, 0, 1)
    spec.visual.headlight.diffuse = [0.1] * 3
    return spec.to_xml()


def add_objects(
    spec: Any, scene: Scene, T_world_scene: Floats | None = None, *, files: bool = False
) -> list[str]:
    """Add a scene's plane and objects to a ``mujoco.MjSpec``; return the bodies' names.

    Args:
        spec: to be added to.
        scene: what is added.
        T_world_scene: [4, 4]; None: the same frame.
        files: whether meshes refer to files of ``write_scene`` instead of holding their data.
    """
    import mujoco

    T = np.eye(4) if T_world_scene is None else np.asarray(T_world_scene, np.float64)
    plane = scene.plane.moved(T)
    middle = np.mean([(T @ item.T_scene_object)[:3, 3] for item in scene.objects], axis=0)
    origin = middle - plane.height_m(middle) * plane.normal
    spec.worldbody.add_geom(
        name="support",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[_PLANE_HALF_M, _PLANE_HALF_M, 0.05],
        pos=origin,
        quat=_quat_z(plane.normal),
        rgba=[*_display(plane.material.albedo), 1],
    )
    names = []
    for item in scene.objects:
        name = PREFIX + item.name
        pose = T @ item.T_scene_object
        body = spec.worldbody.add_body(name=name, pos=pose[:3, 3], quat=_quat(pose[:3, :3]))
        body.add_freejoint(name=name)
        _add_geoms(spec, body, item, files)
        names.append(name)
    return names


def _add_geoms(spec: Any, body: Any, item: SceneObject, files: bool) -> None:
    import mujoco

    shell = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    mesh = _add_mesh(spec, item.name, item.mesh, files, shell)
    material = spec.add_material(
        name=item.name,
        rgba=[*_display(item.material.albedo), 1],
        specular=0.5,
        shininess=1 - item.material.roughness,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=mesh.name,
        material=material.name,
        contype=0,
        conaffinity=0,
        group=2,
        mass=0,
    )
    volumes = np.array([max(_hull_volume(piece), 1e-9) for piece in item.pieces])
    for k, piece in enumerate(item.pieces):
        part = _add_mesh(
            spec, f"{item.name}_{k}", piece, files, mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        )
        body.add_geom(
            name=f"{PREFIX}{item.name}_{k}",
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=part.name,
            group=3,
            mass=item.mass_kg * volumes[k] / volumes.sum(),
            friction=[item.friction, 0.01, 0.0005],
            condim=4,
            rgba=[*_display(item.material.albedo), 1],
        )


def _add_mesh(spec: Any, name: str, mesh: Mesh, files: bool, inertia: Any) -> Any:
    added = spec.add_mesh(name=name)
    if files:
        added.file = f"{name}.obj"
    else:
        added.uservert = mesh.vertices.ravel()
        added.userface = mesh.faces.ravel()
    added.inertia = inertia
    return added


def gltf(scene: Scene) -> Any:
    """Return the scene as a ``trimesh.Scene`` with vertex colours and the plane."""
    import trimesh

    out = trimesh.Scene()
    for item in scene.objects:
        colors = np.column_stack([_display(item.vertex_colors), np.ones(len(item.vertex_colors))])
        mesh = trimesh.Trimesh(
            item.mesh.vertices,
            item.mesh.faces,
            vertex_colors=(255 * colors).astype(np.uint8),
            process=False,
        )
        out.add_geometry(mesh, item.name, item.name, transform=item.T_scene_object)
    middle = np.mean([item.T_scene_object[:3, 3] for item in scene.objects], axis=0)
    T = np.eye(4)
    z = scene.plane.normal
    x = np.cross(z, np.eye(3)[np.argmin(np.abs(z))])
    x /= np.linalg.norm(x)
    T[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    T[:3, 3] = middle - (scene.plane.height_m(middle) + 0.001) * z
    box = trimesh.creation.box((1.2, 1.2, 0.002))
    grey = (255 * _display(scene.plane.material.albedo)).astype(np.uint8)
    paint = np.tile([*grey, 255], (len(box.vertices), 1))
    ground = trimesh.Trimesh(box.vertices, box.faces, vertex_colors=paint, process=False)
    out.add_geometry(ground, "support", "support", transform=T)
    return out


def read_scene(folder: str | Path) -> Scene:
    """Return the scene that ``write_scene`` wrote.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = Path(folder) / "scene.json"
    try:
        data = json.loads(path.read_text())
        return _from_json(data, Path(folder))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"cannot read a scene from {path}: {error!r}") from error


def _to_json(scene: Scene) -> dict[str, Any]:
    def mesh(value: Mesh) -> dict[str, Any]:
        return {"vertices": np.round(value.vertices, 6).tolist(), "faces": value.faces.tolist()}

    objects = []
    for item in scene.objects:
        plain = {
            name: getattr(item, name)
            for name in (
                "name",
                "mass_kg",
                "friction",
                "confidence",
                "warnings",
                "visible_fraction",
                "depth_residual_m",
            )
        }
        arrays = {
            name: getattr(item, name).tolist()
            for name in ("box", "T_scene_object", "axes_m", "T_scene_ellipsoid")
        }
        objects.append(
            {
                **plain,
                **arrays,
                "mesh": mesh(item.mesh),
                "vertex_colors": np.round(item.vertex_colors, 4).tolist(),
                "pieces": [mesh(piece) for piece in item.pieces],
                "material": _material_json(item.material),
            }
        )
    plane, light, camera = scene.plane, scene.light, scene.camera
    return {
        "frame": scene.frame,
        "confidence": scene.confidence,
        "warnings": scene.warnings,
        "seconds": scene.seconds,
        "T_scene_camera": scene.T_scene_camera.tolist(),
        "camera": {"K": camera.K.tolist(), "width": camera.width, "height": camera.height},
        "plane": {
            "normal": plane.normal.tolist(),
            "offset_m": plane.offset_m,
            "noise_m": plane.noise_m,
            "inliers": plane.inliers,
            "confidence": plane.confidence,
            "material": _material_json(plane.material),
        },
        "light": {
            "direction": light.direction.tolist(),
            "color": light.color.tolist(),
            "ambient": light.ambient.tolist(),
        },
        "objects": objects,
    }


def _material_json(material: Material) -> dict[str, Any]:
    return {"albedo": material.albedo.tolist(), "roughness": material.roughness}


def _from_json(data: dict[str, Any], folder: Path) -> Scene:
    from PIL import Image

    def mesh(value: dict[str, Any]) -> Mesh:
        return Mesh(np.array(value["vertices"], float), np.array(value["faces"], np.int64))

    def material(value: dict[str, Any]) -> Material:
        return Material(np.array(value["albedo"]), value["roughness"])

    objects = []
    for item in data["objects"]:
        with Image.open(folder / f"mask_{item['name']}.png") as image:
            mask = np.array(image.convert("L")) > 127
        arrays = {
            name: np.array(item[name], float)
            for name in ("box", "T_scene_object", "axes_m", "T_scene_ellipsoid", "vertex_colors")
        }
        objects.append(
            SceneObject(
                **arrays,
                mask=mask,
                mesh=mesh(item["mesh"]),
                pieces=tuple(mesh(piece) for piece in item["pieces"]),
                material=material(item["material"]),
                warnings=tuple(item["warnings"]),
                **{
                    name: item[name]
                    for name in (
                        "name",
                        "mass_kg",
                        "friction",
                        "confidence",
                        "visible_fraction",
                        "depth_residual_m",
                    )
                },
            )
        )
    plane = dict(data["plane"])
    plane["normal"], plane["material"] = np.array(plane["normal"]), material(plane["material"])
    light = Light(**{key: np.array(value) for key, value in data["light"].items()})
    camera = PinholeCamera(np.array(data["camera"]["K"]), **_size(data["camera"]))
    return Scene(
        data["frame"],
        tuple(objects),
        SupportPlane(**plane),
        light,
        camera,
        np.array(data["T_scene_camera"]),
        data["confidence"],
        tuple(data["warnings"]),
        data["seconds"],
    )


def _size(camera: dict[str, Any]) -> dict[str, int]:
    return {"width": camera["width"], "height": camera["height"]}


def _write_obj(path: Path, item: SceneObject) -> None:
    rows = [
        f"v {x:.6f} {y:.6f} {z:.6f} {r:.4f} {g:.4f} {b:.4f}"
        for (x, y, z), (r, g, b) in zip(
            item.mesh.vertices, _display(item.vertex_colors), strict=True
        )
    ]
    rows += [f"f {a} {b} {c}" for a, b, c in item.mesh.faces + 1]
    path.write_text("\n".join(rows) + "\n")


def _write_piece(path: Path, piece: Mesh) -> None:
    rows = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in piece.vertices]
    rows += [f"f {a} {b} {c}" for a, b, c in piece.faces + 1]
    path.write_text("\n".join(rows) + "\n")


def _display(linear: Floats) -> Floats:
    return np.clip(linear, 0, 1) ** (1 / GAMMA)


def _hull_volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return abs(float((np.cross(a, b) * c).sum() / 6))


def _quat(R: Floats) -> Floats:
    import mujoco

    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(R).ravel())
    return quat


def _quat_z(normal: Floats) -> Floats:
    import mujoco

    quat = np.empty(4)
    mujoco.mju_quatZ2Vec(quat, np.asarray(normal, np.float64))
    return quat
