"""From an RGB-D image and boxes to a scene: the stages in their order."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.scene import pictures
from drrobot_ros.scene.appearance import Appearance, plain_appearance, refine, target_image
from drrobot_ros.scene.assembly import assemble
from drrobot_ros.scene.checks import checked
from drrobot_ros.scene.completion import Completed, complete, filtered_depth, object_view
from drrobot_ros.scene.config import ReconstructionConfig
from drrobot_ros.scene.ellipsoids import fit_ellipsoids
from drrobot_ros.scene.evidence import Evidence, covering_of, gather
from drrobot_ros.scene.frames import plane_frame, plane_of_frame
from drrobot_ros.scene.masks import masks_from_boxes
from drrobot_ros.scene.mesh_refinement import refine_meshes, separated
from drrobot_ros.scene.parts import Parts
from drrobot_ros.scene.pieces import hull
from drrobot_ros.scene.plane import fit_plane, unprojected
from drrobot_ros.scene.promptable import segment
from drrobot_ros.scene.robot_pixels import robot_pixels
from drrobot_ros.scene.solids import choose_solids
from drrobot_ros.scene.superquadrics import ellipsoids_as_superquadrics, fit_superquadrics
from drrobot_ros.scene.turned_shapes import fit_turned_shapes
from drrobot_ros.scene.types import Floats, Mask, Mesh, Scene, SceneInput, transformed

Watcher = Callable[[str, float, dict[str, NDArray[np.uint8]]], None]

_LEAST_HEIGHT_M = 0.004
_UP_TO_NOISE = 3.0


def reconstruct(
    given: SceneInput,
    config: ReconstructionConfig | None = None,
    watcher: Watcher | None = None,
) -> Scene:
    """Return the scene of one RGB-D image.

    Args:
        given: image, camera and boxes.
        config: how.
        watcher: called after each stage with its name, the part that is done 0..1, and pictures;
            may raise to stop.

    Raises:
        InputError: input that cannot be used, or no plane under the objects.
        BackendError: a segmenter that is not installed.
    """
    config = config or ReconstructionConfig()
    watch = _Watch(watcher)
    depth, boxes, names = checked(given, config.max_depth_m)
    camera = given.camera
    hidden = robot_pixels(given, depth)
    points = unprojected(depth, camera)
    known = (depth > 0) & ~hidden
    up = None if given.T_base_camera is None else np.asarray(given.T_base_camera)[2, :3]
    plane = fit_plane(points, known, boxes, up, config.plane_threshold_m)
    height = np.where(depth > 0, plane.height_m(points), 0.0)
    least = max(_LEAST_HEIGHT_M, min(_UP_TO_NOISE * plane.noise_m, 2 * config.plane_threshold_m))
    watch.stage("plane", 0.1)
    if given.masks is not None:
        masks = np.asarray(given.masks, bool) & ~hidden
    elif config.segmenter:
        masks = segment(given.color, boxes, config.segmenter) & ~hidden
    else:
        masks = masks_from_boxes(given.color, points, height, boxes, hidden, least)
    watch.stage("masks", 0.2, masks=lambda: pictures.masks(given.color, masks, boxes, hidden))
    found = np.stack([m & known for m in masks])
    _something(found, names)
    own = found.any(0)
    T = plane_frame(plane, np.median(points[own], axis=0))
    seen = (points, depth, height, masks, T, camera, least, config.points, plane.noise_m)
    evidence, outer = gather(*seen), gather(*seen, convex=True)
    ellipsoids = fit_ellipsoids(outer, config.axis_prior_m, config.axis_prior_spread)
    watch.stage(
        "ellipsoids",
        0.4,
        ellipsoids=lambda: pictures.ellipsoids(given.color, ellipsoids, T, camera),
    )
    ground = known & (np.abs(height) < least) & ~masks.any(0)
    target = target_image(given.color, depth, masks, ground, camera, config.appearance_width_px)
    floor_plane, T_camera_plane = plane_of_frame(T), np.linalg.inv(T)
    better = ellipsoids
    if config.appearance:
        better, looks = refine(
            ellipsoids,
            target,
            floor_plane,
            T_camera_plane,
            evidence.floor_m,
            config.appearance_steps,
        )
    else:
        looks = plain_appearance(target, floor_plane)
    watch.stage(
        "appearance",
        0.65,
        appearance=lambda: pictures.ellipsoids(given.color, better, T, camera),
    )
    floor = evidence.floor_m.numpy()
    kinds: list[tuple[str, ...]]
    if config.meshes:
        squared = fit_superquadrics(evidence, better, config.axis_prior_m, config.axis_prior_spread)
        round_ones = fit_turned_shapes(
            evidence, squared, config.axis_prior_m, config.axis_prior_spread
        )
        solids = choose_solids(evidence, squared, round_ones)
        closed = _completed(solids, evidence, depth, masks, height, least, T, config)
        meshes = [item.mesh for item in closed]
        if config.cage:
            meshes, _ = refine_meshes(
                meshes,
                target,
                looks,
                floor_plane,
                T_camera_plane,
                floor,
                config.cage_cells,
                config.cage_steps,
            )
        pieces = [list(item.pieces) for item in closed]
        kinds = [(solid.kind, *item.symmetries) for solid, item in zip(solids, closed, strict=True)]
    else:
        meshes = _balls(ellipsoids_as_superquadrics(better))
        pieces = [[np.arange(len(mesh.vertices))] for mesh in meshes]
        kinds = [("ellipsoid",)] * len(meshes)
    meshes = separated(meshes, floor)
    hulls = [
        [h for h in (hull(mesh.vertices[rows]) for rows in parts) if h is not None]
        for mesh, parts in zip(meshes, pieces, strict=True)
    ]
    parts = Parts(
        given, config, depth, boxes, tuple(names), masks, hidden, plane, T, evidence,
        ellipsoids, better, looks, meshes, hulls, kinds, watch.seconds,
    )  # fmt: skip
    scene = assemble(parts)
    watch.stage(
        "meshes",
        0.95,
        meshes=lambda: pictures.meshes(given.color, scene),
        side=lambda: pictures.side(scene),
    )
    watch.stage("done", 1.0)
    return scene


class _Watch:
    """Measures the stages and tells of them."""

    def __init__(self, watcher: Watcher | None) -> None:
        self.watcher = watcher
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str, part: float, **drawn: Callable[[], Any]) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        if self.watcher is not None:
            self.watcher(name, part, {key: draw() for key, draw in drawn.items()})
        self._last = time.perf_counter()


def _something(found: Mask, names: list[str]) -> None:
    if not found.any():
        raise InputError(
            "no depth inside any box: " + ", ".join(names) + "; transparent or too near?"
        )


def _completed(
    solids: list[Any],
    evidence: Evidence,
    depth: NDArray[np.float32],
    masks: Mask,
    height: Floats,
    least: float,
    T: Floats,
    config: ReconstructionConfig,
) -> list[Completed]:
    smooth = filtered_depth(depth, masks)
    standing = (depth > 0) & (height > least)
    closed = []
    for i, mask in enumerate(masks):
        covering = covering_of(mask, standing, depth)
        view = object_view(smooth, mask, covering, T, evidence.camera)
        points, floor = evidence.points[i].numpy(), float(evidence.floor_m[i])
        closed.append(
            complete(solids[i], view, points, floor, config.voxels, config.symmetry, config.pieces)
        )
    return closed


def _balls(found: Any) -> list[Mesh]:
    import trimesh

    ball = trimesh.creation.icosphere(3)
    surface = found.surface(torch.as_tensor(np.asarray(ball.vertices)))
    return [Mesh(points.numpy(), np.asarray(ball.faces, np.int64)) for points in surface]


__all__ = ["Appearance", "Watcher", "reconstruct", "transformed"]
