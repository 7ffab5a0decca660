"""Scenes reconstructed and compared with the truth; results are kept in ``out/scene``."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import ROOT
from scipy.spatial import KDTree

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene import ReconstructionConfig, Scene, SceneInput, reconstruct
from drrobot_ros.scene.drawing import drawn_depth
from drrobot_ros.scene.mesh_refinement import deepest_overlap
from drrobot_ros.scene.types import Mesh, transformed
from drrobot_ros.simulation.shapes import NON_CONVEX
from drrobot_ros.simulation.tabletop import make_tabletop

OUT = Path(__file__).resolve().parent / "out" / "scene"
SAMPLES = 10_000
_STAGES = ("plane", "masks", "ellipsoids")

VARIANTS = {
    "whole": ReconstructionConfig(),
    "no light and material": ReconstructionConfig(appearance=False),
    "no cage": ReconstructionConfig(cage=False),
    "no symmetry": ReconstructionConfig(symmetry=False, cage=False),
    "ellipsoids only": ReconstructionConfig(meshes=False),
}


def simulated(seed: int, variant: str) -> dict[str, Any]:
    """Return what one simulated scene's reconstruction is like; ``objects`` holds a row each."""
    return _kept(f"simulated_{seed:03d}_{variant}", lambda: _simulated(seed, variant))


def ycb(index: int, variant: str) -> dict[str, Any]:
    """Return the same of one real frame of YCB-Video."""
    return _kept(f"ycb_{index:02d}_{variant}", lambda: _ycb(ycb_frames()[index], variant))


def ycb_frames() -> list[Path]:
    """Return the stems of the real frames; none where they are not at hand."""
    folder = os.environ.get("DRROBOT_YCB", "")
    root = Path(folder) if folder else ROOT.parent / "shared" / "data" / "ycbvideo"
    return [Path(str(path)[: -len("-color.png")]) for path in sorted(root.glob("*/*-color.png"))]


def read_ycb(stem: Path) -> tuple[SceneInput, dict[str, Any]]:
    """Return image, depth, camera and boxes of a frame, and its truth."""
    import cv2
    from scipy.io import loadmat

    meta = loadmat(f"{stem}-meta.mat")
    color = np.asarray(cv2.imread(f"{stem}-color.png"), np.uint8)[..., ::-1].copy()
    raw = np.asarray(cv2.imread(f"{stem}-depth.png", cv2.IMREAD_UNCHANGED))
    depth = raw.astype(np.float32) / float(meta["factor_depth"].item())
    rows = [line.split() for line in Path(f"{stem}-box.txt").read_text().splitlines() if line]
    boxes = np.array([[float(v) for v in row[1:]] for row in rows])
    camera = PinholeCamera(meta["intrinsic_matrix"], color.shape[1], color.shape[0])
    truth = {
        "label": cv2.imread(f"{stem}-label.png", cv2.IMREAD_UNCHANGED),
        "classes": meta["cls_indexes"].ravel(),
        "poses": np.moveaxis(np.atleast_3d(meta["poses"]), 2, 0),
        "vertmap": meta["vertmap"],
    }
    return SceneInput(color, depth, camera, boxes, tuple(row[0] for row in rows)), truth


def _simulated(seed: int, variant: str) -> dict[str, Any]:
    table = make_tabletop(seed)
    given = SceneInput(
        table.color, table.depth_m, table.camera, table.boxes, table.names, table.T_world_camera
    )
    scene, cost = _timed(given, variant)
    T = np.linalg.inv(scene.T_scene_camera)
    in_camera = [transformed(T, item.scene_vertices()) for item in scene.objects]
    drawn, owner = drawn_depth(in_camera, [o.mesh.faces for o in scene.objects], scene.camera)
    rows = []
    for i, (item, true) in enumerate(zip(scene.objects, table.objects, strict=True)):
        shape = true.shape.vertices
        middle = transformed(true.T_world_object, 0.5 * (shape.min(0) + shape.max(0)))
        truth = Mesh(true.world_vertices(), true.shape.faces)
        there, back = chamfer(truth, Mesh(item.scene_vertices(), item.mesh.faces))
        own = table.masks[i]
        both = own & (owner == i)
        depth = np.abs(drawn - table.clean_depth_m)[both]
        first = scene.measures["first_centers"][i]
        rows.append(
            {
                "kind": true.kind,
                "convex": true.kind not in NON_CONVEX,
                "first_mm": 1e3 * float(np.linalg.norm(first - middle)),
                "chamfer_mm": 0.5e3 * (there + back),
                "to_us_mm": 1e3 * there,
                "to_truth_mm": 1e3 * back,
                "depth_mm": 1e3 * float(np.median(depth)) if len(depth) else np.inf,
                "iou": float(both.sum() / (own | (owner == i)).sum()),
                "mask_iou": float((item.mask & own).sum() / (item.mask | own).sum()),
                "confidence": item.confidence,
                "solid": scene.measures["kinds"][i][0],
            }
        )
    return {**cost, **_whole(scene), "objects": rows}


def _ycb(stem: Path, variant: str) -> dict[str, Any]:
    given, truth = read_ycb(stem)
    scene, cost = _timed(given, variant)
    T = np.linalg.inv(scene.T_scene_camera)
    in_camera = [transformed(T, item.scene_vertices()) for item in scene.objects]
    drawn, owner = drawn_depth(in_camera, [o.mesh.faces for o in scene.objects], scene.camera)
    rows = []
    for i, item in enumerate(scene.objects):
        cls = truth["classes"][i]
        pose, own = truth["poses"][i], truth["label"] == cls
        seen = truth["vertmap"][own] @ pose[:, :3].T + pose[:, 3]
        mesh = Mesh(in_camera[i], item.mesh.faces)
        surface = KDTree(sampled(mesh, SAMPLES, 0)).query(seen[::5])[0]
        middle = transformed(T, item.T_scene_object[:3, 3])
        both = item.mask & (owner == i) & (given.depth_m > 0)
        residual = np.abs(drawn - given.depth_m)[both]
        rows.append(
            {
                "name": item.name,
                "frame": f"{stem.parent.name}/{stem.name}",
                "center_mm": 1e3 * float(np.linalg.norm(middle - pose[:, 3])),
                "surface_mm": 1e3 * float(np.median(surface)),
                "depth_mm": 1e3 * float(np.median(residual)) if len(residual) else np.inf,
                "iou": float((own & (owner == i)).sum() / (own | (owner == i)).sum()),
                "mask_iou": float((item.mask & own).sum() / (item.mask | own).sum()),
                "confidence": item.confidence,
            }
        )
    return {**cost, **_whole(scene), "objects": rows}


def _timed(given: SceneInput, variant: str) -> tuple[Scene, dict[str, float]]:
    """Return the scene, and CPU seconds: of all, and up to the ellipsoids."""
    torch.set_num_threads(1)
    marks: dict[str, float] = {}
    start = time.process_time()

    def watch(stage: str, _part: float, _pictures: Any) -> None:
        marks[stage] = time.process_time() - start

    scene = reconstruct(given, VARIANTS[variant], watch if variant == "whole" else None)
    whole = time.process_time() - start
    cost = {"cpu_s": whole, "wall_s": sum(scene.seconds.values())}
    if "ellipsoids" in marks:
        cost["ellipsoids_cpu_s"] = marks["ellipsoids"]
    return scene, cost


def _whole(scene: Scene) -> dict[str, Any]:
    meshes = [Mesh(item.scene_vertices(), item.mesh.faces) for item in scene.objects]
    before, after = scene.measures["color_error"]
    return {
        "overlap_mm": 1e3 * deepest_overlap(meshes),
        "color_before": before,
        "color_after": after,
        "confidence": scene.confidence,
    }


def chamfer(truth: Mesh, ours: Mesh) -> tuple[float, float]:
    """Return the mean distance from points of the truth to ours, and back, m.

    Of `SAMPLES` points on the whole of each surface, the side nobody sees included, the distance
    to the nearest point of the other: that of two draws of one surface is 0.5 to 1 mm.
    """
    a, b = sampled(truth, SAMPLES, 0), sampled(ours, SAMPLES, 1)
    return float(KDTree(b).query(a)[0].mean()), float(KDTree(a).query(b)[0].mean())


def sampled(mesh: Mesh, count: int, seed: int) -> np.ndarray:
    """Return points [count, 3] spread evenly on a mesh."""
    import trimesh

    body = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return np.asarray(trimesh.sample.sample_surface(body, count, seed=seed)[0])


def _kept(name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a result of an earlier run of the same code, or make it."""
    path = OUT / _version() / f"{name.replace(' ', '_')}.json"
    if path.is_file():
        return json.loads(path.read_text())
    try:
        result = work()
    except InputError as error:
        result = {"error": str(error), "objects": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return result


def _version() -> str:
    """Return a name for the code that makes the results: whatever it is changed in counts."""
    digest = hashlib.sha256()
    package = ROOT / "drrobot_ros"
    simulation = [package / "simulation" / f"{n}.py" for n in ("tabletop", "shapes", "depth_noise")]
    unread = ("files.py", "pictures.py", "promptable.py", "__init__.py")
    sources = [p for p in sorted((package / "scene").glob("*.py")) if p.name not in unread]
    for path in [*sources, *simulation, Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def settings() -> dict[str, Any]:
    """Return the settings of the whole reconstruction."""
    return dataclasses.asdict(VARIANTS["whole"])
