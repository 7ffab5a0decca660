"""A closed solid from one view: a regular solid, cut where the camera saw through it.

Space in front of what was measured is empty, and so is space beside the mask. What is behind is the
solid's guess, cut once more where a symmetry carries emptiness there: a mirror, a direction along
which the shape stays the same, or an axis it is turned around. A symmetry holds unless it would
take away what was measured.
"""

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.pieces import convex_pieces
from drrobot_ros.scene.solids import Solid
from drrobot_ros.scene.surface_nets import surface_net
from drrobot_ros.scene.types import Floats, Mask, Mesh, transformed

_MARGIN = 3  # empty cells around
_FAR = 0.05  # distances are cut off there, m
_RIM_PX = 1.5  # at its rim a mask's depth is not its own
_SEEN = 0.85  # empty in this quantile along a symmetry is empty all along it
_CONTRADICTED = 0.04  # so many of the measured points may a symmetry take away
_WALL_M = 0.005
_FEWEST_FACES = 12
_SHELL_M = 0.012  # thickest of what sticks out of the solid
_ASLANT = 0.35  # cosine to a surface; one seen more aslant than that is mostly noise


@dataclasses.dataclass(frozen=True, eq=False)
class ObjectView:
    """One object on the image: filtered depth [H, W] m (0 unknown) and the distance to its rim.

    Attributes:
        depth_m: measured [H, W], the object's own inside of its mask.
        rim_px: distance to the mask's rim, + outside [H, W].
        clear: pixels beside the mask where something behind the object is seen, or may be [H, W].
        T_camera_plane: [4, 4].
        camera: intrinsics.
    """

    depth_m: NDArray[np.float64]
    rim_px: NDArray[np.float64]
    clear: Mask
    T_camera_plane: Floats
    camera: PinholeCamera

    def emptiness(self, points: Floats) -> Floats:
        """Return how far points [..., 3], plane frame, are in seen emptiness, m; < 0: unknown."""
        local = transformed(self.T_camera_plane, points)
        z = np.maximum(local[..., 2], 1e-6)
        pixels = local @ self.camera.K.T
        u, v = pixels[..., 0] / z - 0.5, pixels[..., 1] / z - 0.5
        rim = ndimage.map_coordinates(self.rim_px, [v, u], order=1, mode="nearest")
        column = np.clip(np.rint(u).astype(int), 0, self.camera.width - 1)
        row = np.clip(np.rint(v).astype(int), 0, self.camera.height - 1)
        depth = self.depth_m[row, column]
        beside = rim * z / self.camera.fx
        within = rim <= 0
        before = np.where(depth > 0, depth - z, -_FAR)
        hidden = ~within & ~self.clear[row, column] & (before < 0)
        out = np.where(within, np.maximum(before, beside), beside)
        return np.clip(np.where(hidden, -_FAR, out), -_FAR, _FAR)

    def shell(self, points: Floats, ahead_m: Floats, far: Mask, wall_m: float) -> Floats:
        """Return the distance [...] to a thin layer behind the measured surface, + outside, m.

        Args:
            points: [..., 3] plane frame.
            ahead_m: how far outside of the solid the measured surface is [H, W]; what is clearly
                outside has a layer: a handle.
            far: where it is the far wall of a hollow, seen from inside [H, W]; it has a layer too.
            wall_m: thickness of a hollow's wall, across it.
        """
        z, row, column = self._pixels(points)
        depth, rim = self.depth_m[row, column], self.rim_px[row, column]
        thick = np.clip(-1.5 * rim * z / self.camera.fx, 0.004, _SHELL_M)
        ahead, behind = ahead_m[row, column], far[row, column]
        # Seen aslant, a wall is thicker along the ray than across.
        squarely = np.where(behind, self.squareness[row, column], 1.0)
        thick = np.where(behind, wall_m / squarely, thick)
        there = (depth > 0) & (behind | (ahead > 0.003)) & (ahead < 0.05)
        layer = squarely * np.maximum(depth - z, z - depth - thick)
        layer = np.maximum(layer, rim * z / self.camera.fx)
        return np.where(there, layer, _FAR)

    def wall(self, points: Floats) -> Mask:
        """Return which points [..., 3] are just behind what was measured."""
        z, row, column = self._pixels(points)
        depth = self.depth_m[row, column]
        own = (self.rim_px[row, column] <= 0) & (depth > 0)
        thick = _WALL_M / self.squareness[row, column]
        return own & (z > depth - 0.002) & (z < depth + thick)

    @cached_property
    def squareness(self) -> Floats:
        """Cosine between ray and measured surface [H, W], not below `_ASLANT`."""
        own = ((self.rim_px <= 0) & (self.depth_m > 0)).astype(np.float64)
        weight = ndimage.gaussian_filter(own, 1.5)
        inverse = own / np.maximum(self.depth_m, 1e-6)
        smooth = ndimage.gaussian_filter(inverse, 1.5) / np.maximum(weight, 1e-3)
        camera = self.camera
        # Inverse depth of the plane n . x = 1 is n . ray: its slopes and its value give n.
        nx = np.gradient(smooth, axis=1) * camera.fx
        ny = np.gradient(smooth, axis=0) * camera.fy
        v, u = np.mgrid[: own.shape[0], : own.shape[1]]
        x, y = (u + 0.5 - camera.cx) / camera.fx, (v + 0.5 - camera.cy) / camera.fy
        nz = smooth - nx * x - ny * y
        length = np.sqrt(nx**2 + ny**2 + nz**2) * np.sqrt(x**2 + y**2 + 1)
        return np.clip(smooth / np.maximum(length, 1e-9), _ASLANT, 1.0)

    def _pixels(self, points: Floats) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        local = transformed(self.T_camera_plane, points)
        z = np.maximum(local[..., 2], 1e-6)
        pixels = local @ self.camera.K.T
        column = np.clip((pixels[..., 0] / z).astype(int), 0, self.camera.width - 1)
        row = np.clip((pixels[..., 1] / z).astype(int), 0, self.camera.height - 1)
        return z, row, column


def object_view(
    depth_m: NDArray[np.float32],
    mask: Mask,
    covering: Mask,
    T_plane_camera: Floats,
    camera: PinholeCamera,
) -> ObjectView:
    """Return one object's view.

    Args:
        depth_m: filtered [H, W], 0 unknown.
        mask: of the object [H, W].
        covering: what may hide a part of it [H, W].
        T_plane_camera: [4, 4].
        camera: intrinsics.
    """
    import cv2

    inside = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5))
    outside = np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5))
    rim = np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float64)
    depth = depth_m.astype(np.float64)
    sure = mask & (rim < -_RIM_PX) & (depth > 0)
    if sure.sum() > 30:
        # The rim, and small holes, have the depth of the nearest pixel that is sure.
        found: Any = ndimage.distance_transform_edt(~sure, return_indices=True)
        away, (rows, columns) = found
        filled = np.where(away < 5, depth[rows, columns], 0)
        keep = mask & ~sure & (depth > 0) & (np.abs(depth - filled) < 0.006)
        depth = np.where(mask & ~sure & ~keep, filled, depth)
    clear = ~covering
    return ObjectView(depth, rim, clear, np.linalg.inv(T_plane_camera), camera)


def filtered_depth(depth_m: NDArray[np.float32], masks: Mask) -> NDArray[np.float32]:
    """Return the depth image smoothed within each object, edges kept."""
    import cv2

    out = depth_m.copy()
    for mask in masks:
        own = mask & (depth_m > 0)
        if own.sum() < 30:
            continue
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        # Elsewhere so far away that it does not count.
        crop = np.where(own[window], depth_m[window], 100.0).astype(np.float32)
        smooth = np.asarray(cv2.bilateralFilter(crop, 9, 0.008, 2.5))
        out[window] = np.where(own[window], smooth, out[window])
    return out


@dataclasses.dataclass(frozen=True, eq=False)
class Completed:
    """A closed surface in the plane's frame.

    Attributes:
        mesh: the surface.
        pieces: vertices of the mesh that each convex piece is the hull of.
        symmetries: that it has.
        contradicted: True where mask, depth and shape left nothing, and the solid stands for it.
    """

    mesh: Mesh
    pieces: tuple[NDArray[np.int64], ...]
    symmetries: tuple[str, ...]
    contradicted: bool


def complete(
    solid: Solid,
    view: ObjectView,
    points: Floats,
    floor_m: float,
    cells: int,
    symmetry: bool,
    pieces: int,
) -> Completed:
    """Return the object's closed surface in the plane's frame.

    Args:
        solid: that stands for it.
        view: of it.
        points: measured [P, 3], plane frame.
        floor_m: height of what it stands on.
        cells: along the longest side.
        symmetry: whether to look for symmetries.
        pieces: most convex pieces.
    """
    R = solid.rotation
    local = points @ R
    near = solid.distance(points) < 0.05
    low, high = solid.low.copy(), solid.high.copy()
    if near.sum() > 20:
        low = np.minimum(low, np.percentile(local[near], 0.5, axis=0))
        high = np.maximum(high, np.percentile(local[near], 99.5, axis=0))
    cell = float((high - low).max()) / cells
    wall = max(0.004, 1.6 * cell)  # thinner ones would have holes on this grid
    count = np.ceil((high - low) / cell).astype(int) + 2 * _MARGIN + 1
    origin = 0.5 * (low + high) - 0.5 * (count - 1) * cell
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in count), indexing="ij"), axis=-1)
    places = (origin + grid * cell) @ R.T
    base = solid.distance(places.reshape(-1, 3)).reshape(tuple(count))
    empty = view.emptiness(places)
    field = np.maximum(base, empty)
    kinds: tuple[str, ...] = ()
    if symmetry:
        at = (local - origin) / cell
        cut, kinds = _symmetric(field, empty, at, solid, cell, origin)
        # What was measured has a back, and a vessel a wall: no symmetry makes them thinner.
        kept = view.wall(places) | ((base > -wall) & (solid.kind == "turned"))
        field = np.where(kept, field, cut)
    field = np.minimum(field, view.shell(places, *_ahead(solid, view), wall))
    field = np.maximum(field, floor_m - places[..., 2])
    field = _one_piece(ndimage.gaussian_filter(np.clip(field, -3 * cell, 3 * cell), 0.6))
    mesh, contradicted = surface_net(field), False
    if len(mesh.faces) < _FEWEST_FACES:
        # Mask, depth and shape contradict each other: the solid alone is shown, and not believed.
        contradicted = True
        if (base < 0).sum() < _FEWEST_FACES:
            base = np.abs((grid - 0.5 * (count - 1)) * cell / (0.5 * (high - low))).max(-1) - 1
        field = np.clip(base, -3 * cell, 3 * cell)
        mesh = surface_net(field)
    # The cell around a sample: from half a cell before it.
    parts = convex_pieces(np.argwhere(field < 0), mesh.vertices + 0.5, pieces)
    placed = Mesh((origin + mesh.vertices * cell) @ R.T, mesh.faces)
    return Completed(placed, tuple(parts), kinds, contradicted)


def _symmetric(
    field: Floats, empty: Floats, at: Floats, solid: Solid, cell: float, origin: Floats
) -> tuple[Floats, tuple[str, ...]]:
    """Return the field cut by each symmetry that does not contradict the points at cells [P, 3]."""
    candidates: dict[str, Floats] = {}
    if solid.kind == "turned":
        candidates["turned"] = _turned(empty, solid, cell, origin)
    else:
        for axis, name in enumerate("xyz"):
            if solid.kind == "box":
                along = np.quantile(empty, _SEEN, axis=axis, keepdims=True)
                candidates[f"along {name}"] = np.broadcast_to(along, empty.shape)
            if abs(solid.rotation[2, axis]) < 0.5:
                candidates[f"mirror {name}"] = np.flip(empty, axis)
    kept = []
    for name, other in candidates.items():
        lost = ndimage.map_coordinates(other, at.T, order=1, mode="nearest") > 0.0035
        if lost.mean() < _CONTRADICTED:
            field = np.maximum(field, other)
            kept.append(name)
    return field, tuple(kept)


def _turned(empty: Floats, solid: Solid, cell: float, origin: Floats) -> Floats:
    """Return emptiness carried around the solid's axis."""
    middle = (0.5 * (solid.low + solid.high) - origin) / cell
    nx, ny, nz = empty.shape
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.arange(int(np.hypot(nx, ny) / 2) + 2)
    x = middle[0] + radius[:, None] * np.cos(angle)
    y = middle[1] + radius[:, None] * np.sin(angle)
    shape = (*x.shape, nz)
    at = [np.broadcast_to(v[..., None], shape) for v in (x, y)]
    z = np.broadcast_to(np.arange(nz), shape)
    around = ndimage.map_coordinates(empty, [*at, z], order=1, mode="nearest")
    profile = np.quantile(around, _SEEN, axis=1)
    gx, gy = np.meshgrid(np.arange(nx) - middle[0], np.arange(ny) - middle[1], indexing="ij")
    away = np.broadcast_to(np.hypot(gx, gy)[..., None], empty.shape)
    height = np.broadcast_to(np.arange(nz), empty.shape)
    return ndimage.map_coordinates(profile, [away, height], order=1, mode="nearest")


def _ahead(solid: Solid, view: ObjectView) -> tuple[Floats, Mask]:
    """Return how far outside of the solid the object's pixels are [H, W] m, and which leave it.

    Along the ray of a pixel that leaves, the solid ends soon: it is a hollow's far wall.
    """
    own = (view.rim_px <= 0) & (view.depth_m > 0)
    out = np.zeros(own.shape)
    v, u = np.nonzero(own)
    z = view.depth_m[own]
    camera = view.camera
    y = (v + 0.5 - camera.cy) / camera.fy
    x = (u + 0.5 - camera.cx - camera.K[0, 1] * y) / camera.fx
    points = np.stack([x * z, y * z, z], axis=1)
    T = np.linalg.inv(view.T_camera_plane)
    out[own] = solid.distance(transformed(T, points))
    step = points * (1 + 0.003 / np.maximum(z, 1e-6))[:, None]
    leaving = np.zeros(own.shape, bool)
    leaving[own] = (solid.distance(transformed(T, step)) > out[own] + 5e-4) & (out[own] > -0.012)
    # A box only bounds what stands in it: all that was measured has a back of its own.
    return out, leaving | (own & (solid.kind == "box"))


def _one_piece(field: Floats) -> Floats:
    """Return the field with only its largest solid part."""
    found: Any = ndimage.label(field < 0)
    labels, count = found
    if count > 1:
        sizes = ndimage.sum_labels(field < 0, labels, np.arange(1, count + 1))
        other = (labels > 0) & (labels != int(np.argmax(sizes)) + 1)
        field = np.where(other, np.abs(field) + 1e-6, field)
    return field
