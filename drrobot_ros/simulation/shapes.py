"""Small household shapes to be put on a table, convex and not, with convex pieces for contact."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vertices = NDArray[np.float64]
Faces = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """A closed surface that stands on z = 0 around the z axis.

    Attributes:
        vertices: [V, 3] m.
        faces: [F, 3], outward.
        pieces: vertices [n, 3] of convex pieces that fill the shape together.
    """

    vertices: Vertices
    faces: Faces
    pieces: tuple[Vertices, ...]


def box(rng: np.random.Generator) -> Shape:
    """Return a box of 4 to 13 cm."""
    return _convex(_primitive("box", extents=rng.uniform((0.04, 0.05, 0.04), (0.09, 0.13, 0.16))))


def cylinder(rng: np.random.Generator) -> Shape:
    """Return a can, upright or lying."""
    radius, height = rng.uniform(0.022, 0.045), rng.uniform(0.05, 0.15)
    mesh = _primitive("cylinder", radius=radius, height=height, sections=48)
    return _convex(_lain(mesh) if rng.uniform() < 0.3 else mesh)


def ellipsoid(rng: np.random.Generator) -> Shape:
    """Return a ball or an egg."""
    vertices, faces = _primitive("icosphere", subdivisions=3)
    return _convex((vertices * rng.uniform(0.025, 0.05, 3), faces))


def capsule(rng: np.random.Generator) -> Shape:
    """Return a lying capsule."""
    radius = rng.uniform(0.02, 0.035)
    mesh = _primitive("capsule", radius=radius, height=rng.uniform(0.05, 0.12), count=(24, 24))
    return _convex(_lain(mesh))


def wedge(rng: np.random.Generator) -> Shape:
    """Return a prism with a sloped side."""
    a, b, h = rng.uniform(0.07, 0.12), rng.uniform(0.05, 0.09), rng.uniform(0.05, 0.09)
    top = rng.uniform(0.2, 0.5) * a
    outline = np.array([(0, 0), (a, 0), (top, h), (0, h)])
    vertices, faces = _prism(outline, b)
    upright = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], axis=1)
    return _convex((upright, faces))


def bottle(rng: np.random.Generator) -> Shape:
    """Return a bottle with a neck."""
    r, h = rng.uniform(0.025, 0.038), rng.uniform(0.13, 0.19)
    neck, shoulder = rng.uniform(0.35, 0.5) * r, rng.uniform(0.55, 0.7) * h
    top = shoulder + rng.uniform(0.15, 0.25) * h
    profile = np.array([(0, 0), (r, 0), (r, shoulder), (neck, top), (neck, h), (0, h)])
    vertices, faces = _lathe(profile)
    body = vertices[vertices[:, 2] < 0.5 * (shoulder + top)]
    rim = vertices[vertices[:, 2] > shoulder + 1e-6]
    return Shape(vertices, faces, (body, np.vstack([body[body[:, 2] >= shoulder], rim]), rim))


def cup(rng: np.random.Generator) -> Shape:
    """Return a hollow cup, wider at its top."""
    r, h = rng.uniform(0.028, 0.038), rng.uniform(0.07, 0.11)
    return _vessel(r, r * rng.uniform(1.0, 1.25), h, rng.uniform(0.003, 0.005))


def mug(rng: np.random.Generator) -> Shape:
    """Return a hollow mug with a handle."""
    r, h, wall = rng.uniform(0.034, 0.044), rng.uniform(0.08, 0.1), rng.uniform(0.003, 0.005)
    vessel = _vessel(r, r, h, wall)
    ring, thick = 0.3 * h, rng.uniform(0.005, 0.007)
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 17)
    circle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    out = np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=1)
    around = thick * np.cos(circle)[:, None, None] * out
    around = around + thick * np.sin(circle)[:, None, None] * np.array([0, 1.0, 0])
    centre = np.array([r - 0.5 * wall, 0, 0.5 * h]) + ring * out
    tube = (centre + around).transpose(1, 0, 2).reshape(-1, 3)
    faces = _tube_faces(len(angles), len(circle))
    joined = np.concatenate([vessel.faces, faces + len(vessel.vertices)])
    pieces = [tube.reshape(17, 10, 3)[i : i + 5].reshape(-1, 3) for i in range(0, 16, 4)]
    return Shape(np.vstack([vessel.vertices, tube]), joined, (*vessel.pieces, *pieces))


def l_shape(rng: np.random.Generator) -> Shape:
    """Return an L, flat or standing."""
    a, b, w = rng.uniform(0.08, 0.13), rng.uniform(0.08, 0.13), rng.uniform(0.03, 0.045)
    outline = np.array([(0, 0), (a, 0), (a, w), (w, w), (w, b), (0, b)])
    parts = [((0, 0), (a, w)), ((0, 0), (w, b))]
    return _bars(outline, parts, rng)


def t_shape(rng: np.random.Generator) -> Shape:
    """Return a T, flat or standing on its bar."""
    a, b, w = rng.uniform(0.09, 0.13), rng.uniform(0.08, 0.11), rng.uniform(0.03, 0.04)
    u, v = 0.5 * (a - w), 0.5 * (a + w)
    outline = np.array([(0, 0), (a, 0), (a, w), (v, w), (v, b), (u, b), (u, w), (0, w)])
    return _bars(outline, [((0, 0), (a, w)), ((u, 0), (v, b))], rng)


SHAPES: dict[str, Callable[[np.random.Generator], Shape]] = {
    "box": box,
    "cylinder": cylinder,
    "ellipsoid": ellipsoid,
    "capsule": capsule,
    "wedge": wedge,
    "bottle": bottle,
    "cup": cup,
    "mug": mug,
    "L-shape": l_shape,
    "T-shape": t_shape,
}
NON_CONVEX = ("bottle", "cup", "mug", "L-shape", "T-shape")


def _primitive(kind: str, **sizes: Any) -> tuple[Vertices, Faces]:
    import trimesh

    mesh = getattr(trimesh.creation, kind)(**sizes)
    return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)


def _lain(mesh: tuple[Vertices, Faces]) -> tuple[Vertices, Faces]:
    vertices, faces = mesh
    return vertices[:, [1, 2, 0]], faces


def _standing(vertices: Vertices) -> Vertices:
    low, high = vertices.min(0), vertices.max(0)
    return vertices - np.array([*(0.5 * (low + high))[:2], low[2]])


def _convex(mesh: tuple[Vertices, Faces]) -> Shape:
    vertices = _standing(mesh[0])
    return Shape(vertices, mesh[1], (vertices,))


def _fan(corners: NDArray[np.int64], centre: int) -> Faces:
    return np.stack([corners, np.roll(corners, -1), np.full_like(corners, centre)], axis=1)


def _prism(outline: Vertices, height: float) -> tuple[Vertices, Faces]:
    """Return the prism on a counter-clockwise outline that its inner corner's middle sees."""
    n = len(outline)
    centre = _seeing_point(outline)
    rings = [np.column_stack([outline, np.full(n, z)]) for z in (0.0, height)]
    caps = np.array([[*centre, 0.0], [*centre, height]])
    vertices = np.vstack([*rings, caps])
    i = np.arange(n)
    j = (i + 1) % n
    sides = np.concatenate([np.stack([i, j, j + n], 1), np.stack([i, j + n, i + n], 1)])
    bottom = _fan(i, 2 * n)[:, ::-1]
    return vertices, np.concatenate([sides, bottom, _fan(i + n, 2 * n + 1)])


def _seeing_point(outline: Vertices) -> NDArray[np.float64]:
    """Return a point of a star-shaped outline's kernel: inside of every edge's line, the most."""
    edge = np.roll(outline, -1, axis=0) - outline
    normal = np.stack([-edge[:, 1], edge[:, 0]], 1) / np.linalg.norm(edge, axis=1)[:, None]
    low, high = outline.min(0), outline.max(0)
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 60).T), -1).reshape(-1, 2)
    inside = ((grid[:, None] - outline) * normal).sum(-1).min(1)
    return grid[inside.argmax()]


def _bars(outline: Vertices, parts: Sequence[Any], rng: np.random.Generator) -> Shape:
    height = rng.uniform(0.03, 0.05)
    vertices, faces = _prism(outline, height)
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    pieces = []
    for low, high in parts:
        low3, high3 = np.array([*low, 0.0]), np.array([*high, height])
        pieces.append(low3 + corners * (high3 - low3))
    if rng.uniform() < 0.4:  # standing on an edge

        def raised(points: Vertices) -> Vertices:
            return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)

        vertices, pieces = raised(vertices), [raised(p) for p in pieces]
    low, high = vertices.min(0), vertices.max(0)
    shift = np.array([*(0.5 * (low + high))[:2], low[2]])
    return Shape(vertices - shift, faces, tuple(p - shift for p in pieces))


def _lathe(profile: Vertices, sections: int = 48) -> tuple[Vertices, Faces]:
    """Return the surface of an (r, z) profile that starts and ends on the axis, turned around z."""
    angles = np.linspace(0, 2 * np.pi, sections, endpoint=False)
    inner = profile[1:-1]
    x = inner[:, :1] * np.cos(angles)
    rings = np.stack([x, inner[:, :1] * np.sin(angles), np.repeat(inner[:, 1:], sections, 1)], -1)
    ends = np.array([[0, 0, profile[0, 1]], [0, 0, profile[-1, 1]]])
    vertices = np.vstack([rings.reshape(-1, 3), ends])
    count, base = len(inner), len(inner) * sections
    ring = np.arange(sections)
    first = _fan(ring, base)[:, ::-1]
    last = _fan(ring + (count - 1) * sections, base + 1)
    sides = [_band(k * sections + ring, (k + 1) * sections + ring) for k in range(count - 1)]
    return vertices, np.concatenate([first, *sides, last])


def _band(lower: NDArray[np.int64], upper: NDArray[np.int64]) -> Faces:
    a, b = np.roll(lower, -1), np.roll(upper, -1)
    return np.concatenate([np.stack([lower, a, b], 1), np.stack([lower, b, upper], 1)])


def _tube_faces(rings: int, sections: int) -> Faces:
    ring = np.arange(sections)
    bands = [_band((k + 1) * sections + ring, k * sections + ring) for k in range(rings - 1)]
    caps = [np.stack([np.zeros(sections - 2, int), ring[1:-1], ring[2:]], 1)]
    caps.append((caps[0] + (rings - 1) * sections)[:, ::-1])
    return np.concatenate([*bands, *caps])


def _vessel(bottom: float, top: float, height: float, wall: float, sides: int = 16) -> Shape:
    profile = [(0, 0), (bottom, 0), (top, height), (top - wall, height), (bottom - wall, wall)]
    vertices, faces = _lathe(np.array([*profile, (0, wall)]))
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    corners = [
        np.column_stack([r * ring, np.full(sides + 1, z)])
        for r, z in ((bottom, 0), (top, height), (top - wall, height), (bottom - wall, wall))
    ]
    pieces = [np.vstack([c[k : k + 2] for c in corners]) for k in range(sides)]
    pieces.append(np.vstack([corners[0], corners[3]]))
    return Shape(vertices, faces, tuple(pieces))
