"""Gaussians from cells: the mean and covariance of each cell, widened to close the gaps.

A disc of area a has variance a / (4 pi) along each axis. Gaussians with exactly their cell's
covariance leave gaps between them, so tangent scales are 2 k times the cell's; k = 1 makes a
scale the radius of the disc. Merging Gaussians undoes the widening, adds up the moments and
widens again, so the surface they cover stays the same.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.splats.cells import sums_by_cell
from drrobot_ros.splats.surface import Floats, Ints

_LONGEST = 1.3  # tangent scale over that of a round cell of mean area
_SHORTEST = 0.1
_THINNEST = 0.02  # normal scale over the mean spacing
_FULL = 0.8  # a cell that fills less than this share of its own ellipse becomes translucent


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Cells of a surface.

    Attributes:
        link: [N] row of the link.
        area: [N] m^2.
        mean: [N, 3] link coordinates, m.
        covariance: [N, 3, 3] m^2.
        normal: [N, 3] unit, outward.
        rgba: [N, 4] mean colour.
    """

    link: Ints
    area: Floats
    mean: Floats
    covariance: Floats
    normal: Floats
    rgba: Floats

    def merged(self, cell: Ints, count: int) -> "Moments":
        """Return the moments of `count` cells, each the union of those with its number."""
        area = sums_by_cell(cell, self.area, count)
        share = self.area / area[cell]
        mean = sums_by_cell(cell, self.mean * share[:, None], count)
        d = self.mean - mean[cell]
        spread = self.covariance + d[:, :, None] * d[:, None, :]
        covariance = sums_by_cell(cell, spread * share[:, None, None], count)
        rgba = sums_by_cell(cell, self.rgba * share[:, None], count)
        normal = sums_by_cell(cell, self.normal * share[:, None], count)
        length = np.linalg.norm(normal, axis=1)
        # Where the normals of a cell cancel, take that of any of its members.
        member = np.zeros(count, np.int64)
        member[cell] = np.arange(len(cell))
        normal[length < 1e-3] = self.normal[member[length < 1e-3]]
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        return Moments(self.link[member], area, mean, covariance, normal, rgba)

    def inset(self, depth_m: float) -> "Moments":
        """Return the cells moved inward along their normals."""
        return dataclasses.replace(self, mean=self.mean - depth_m * self.normal)

    def features(self, spacing_m: float, normal_weight: float, color_weight: float) -> Floats:
        """Return the coordinates [N, 9] in which cells are compact: one unit is one spacing."""
        position = self.mean / spacing_m
        color = self.rgba[:, :3] * color_weight
        return np.concatenate([position, self.normal * normal_weight, color], axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Shapes:
    """Axes and sizes of Gaussians: axes [N, 3, 3] (columns), scales [N, 3] m, opacities [N]."""

    axes: Floats
    scales: Floats
    opacities: Floats


def shapes_of(moments: Moments, coverage: float, opacity: float) -> Shapes:
    """Return the shapes of the Gaussians that stand for cells; `coverage` is k.

    Cells that hold little surface for their size (scraps in a gap) become translucent.
    """
    variance, axes = np.linalg.eigh(moments.covariance)  # ascending: the normal's axis first
    axes[np.linalg.det(axes) < 0, :, 0] *= -1
    deviation = np.sqrt(np.maximum(variance, 0))
    spacing = np.sqrt(moments.area.mean())
    round_scale = coverage * spacing / np.sqrt(np.pi)
    scales = np.empty_like(deviation)
    scales[:, 1:] = np.clip(
        2 * coverage * deviation[:, 1:], _SHORTEST * spacing, _LONGEST * round_scale
    )
    scales[:, 0] = np.maximum(deviation[:, 0], _THINNEST * spacing)
    ellipse = 4 * np.pi * np.maximum(deviation[:, 1] * deviation[:, 2], 1e-12)
    filled = np.clip(moments.area / ellipse / _FULL, 0, 1)
    return Shapes(axes, scales, opacity * filled * np.clip(moments.rgba[:, 3], 0, 1))


def moments_of(
    *,
    means: Floats,
    axes: Floats,
    scales: Floats,
    opacities: Floats,
    colors: Floats,
    normals: Floats,
    link: NDArray[np.integer],
    coverage: float,
) -> Moments:
    """Return the cells that Gaussians stand for: the inverse of `shapes_of`."""
    order = np.argsort(scales, axis=1)
    axes = np.take_along_axis(axes, order[:, None, :], axis=2)
    sizes = np.take_along_axis(scales, order, axis=1)
    area = np.pi * sizes[:, 1] * sizes[:, 2] / coverage**2 * np.maximum(opacities, 1e-3)
    sizes[:, 1:] /= 2 * coverage
    covariance = (axes * sizes[:, None, :] ** 2) @ axes.transpose(0, 2, 1)
    rgba = np.concatenate([colors, opacities[:, None]], axis=1)
    return Moments(np.asarray(link, np.int64), area, means, covariance, normals, rgba)
