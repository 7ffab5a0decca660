"""The surface of a robot: all its visual meshes as one list of coloured triangles."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import ModelError
from drrobot_ros.robot.visuals import Visual

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class TriangleSoup:
    """Triangles fixed to links.

    Attributes:
        corners: [F, 3, 3] corners in link coordinates, m.
        link: [F] row of the link in the kinematic tree.
        rgba: [F, 4] colours 0 to 1.
    """

    corners: Floats
    link: Ints
    rgba: Floats

    def __len__(self) -> int:
        return len(self.link)

    @classmethod
    def from_visuals(cls, visuals: Sequence[Visual]) -> "TriangleSoup":
        """Return the triangles of all visuals, without those that have no area.

        Raises:
            ModelError: there is no triangle at all.
        """
        corners, links, colors = [np.zeros((0, 3, 3))], [np.zeros(0, np.int64)], [np.zeros((0, 4))]
        for visual in visuals:
            n = len(visual.faces)
            corners.append(visual.vertices[visual.faces].reshape(n, 3, 3))
            links.append(np.full(n, visual.link, dtype=np.int64))
            own = visual.face_colors
            colors.append(np.tile(visual.color, (n, 1)) if own is None else own)
        soup = cls(np.concatenate(corners), np.concatenate(links), np.concatenate(colors))
        usable = np.isfinite(soup.corners).all(axis=(1, 2)) & (soup.areas() > 0)
        usable &= soup.rgba[:, 3] > 0
        if not usable.any():
            raise ModelError("the robot has no visual surface to put Gaussians on")
        return soup.select(usable)

    def select(self, index: NDArray[np.bool_] | Ints) -> "TriangleSoup":
        """Return the triangles chosen by a mask or by indices."""
        return TriangleSoup(self.corners[index], self.link[index], self.rgba[index])

    def areas(self) -> Floats:
        """Return the areas [F] in m^2."""
        return 0.5 * np.linalg.norm(self._cross(), axis=1)

    def normals(self) -> Floats:
        """Return the unit normals [F, 3] in link coordinates, by the winding of the corners."""
        cross = self._cross()
        return cross / np.linalg.norm(cross, axis=1, keepdims=True)

    def _cross(self) -> Floats:
        edges = self.corners[:, 1:] - self.corners[:, :1]
        return np.cross(edges[:, 0], edges[:, 1])

    def subdivided(self, edge_m: float) -> "TriangleSoup":
        """Return the same surface with no edge longer than `edge_m`, by halving triangles."""
        done: list[TriangleSoup] = []
        rest = self
        while len(rest):
            lengths = np.linalg.norm(rest.corners - np.roll(rest.corners, -1, axis=1), axis=2)
            longest = lengths.argmax(axis=1)
            long = lengths.max(axis=1) > edge_m
            done.append(rest.select(~long))
            rest, longest = rest.select(long), longest[long]
            rows = np.arange(len(rest))
            a = rest.corners[rows, longest]
            b = rest.corners[rows, (longest + 1) % 3]
            c = rest.corners[rows, (longest + 2) % 3]
            middle = (a + b) / 2
            halves = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
            rest = TriangleSoup(halves, np.tile(rest.link, 2), np.tile(rest.rgba, (2, 1)))
        return TriangleSoup(
            np.concatenate([d.corners for d in done]),
            np.concatenate([d.link for d in done]),
            np.concatenate([d.rgba for d in done]),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points on a surface, each standing for the same area.

    Attributes:
        position: [D, 3] in link coordinates, m.
        normal: [D, 3] unit, link coordinates.
        link: [D] row of the link.
        rgba: [D, 4] colours 0 to 1.
        area: of the surface each point stands for, m^2.
    """

    position: Floats
    normal: Floats
    link: Ints
    rgba: Floats
    area: float

    def __len__(self) -> int:
        return len(self.link)

    def select(self, index: NDArray[np.bool_] | Ints) -> "SurfacePoints":
        """Return the points chosen by a mask or by indices."""
        return SurfacePoints(
            self.position[index], self.normal[index], self.link[index], self.rgba[index], self.area
        )


def sample_points(soup: TriangleSoup, count: int, rng: np.random.Generator) -> SurfacePoints:
    """Return `count` points spread evenly over the area of the triangles.

    Systematic sampling: a triangle of area a gets floor or ceil of its share, and its points
    follow the R2 low-discrepancy sequence (M. Roberts, 2018), so they clump far less than random
    points do.
    """
    total = np.cumsum(soup.areas())
    step = total[-1] / count
    where = (np.arange(count) + rng.random()) * step
    face = np.minimum(np.searchsorted(total, where, side="right"), len(soup) - 1)
    # The position of a point in the sequence counts the points of its own triangle.
    first = np.searchsorted(face, face, side="left")
    n = np.arange(count) - first
    shift = rng.random((len(soup), 2))[face]
    plastic = 1.32471795724474602596
    u = (shift + np.stack([n / plastic, n / plastic**2], axis=1)) % 1.0
    outside = u.sum(axis=1) > 1
    u[outside] = 1 - u[outside]
    a, b, c = soup.corners[face].transpose(1, 0, 2)
    position = a + u[:, :1] * (b - a) + u[:, 1:] * (c - a)
    return SurfacePoints(position, soup.normals()[face], soup.link[face], soup.rgba[face], step)
