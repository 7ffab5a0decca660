"""Baking textures into the faces of a mesh, dividing faces until their colours show."""

import numpy as np

_SMALLEST_EDGE_M = 0.004  # faces are not divided below this
_CONTRAST = 0.15  # a face is divided when its colours differ by more
_MAX_FACES = 60_000  # faces are not divided above this many


def _sample_weights(n: int) -> np.ndarray:
    """Return barycentric coordinates [n (n + 1) / 2, 3] spread evenly over a triangle."""
    grid = [(i + 1 / 3, j + 1 / 3) for i in range(n) for j in range(n - i)]
    ij = np.array(grid) / n
    return np.column_stack([ij, 1 - ij.sum(axis=1)])


_WEIGHTS = _sample_weights(4)


def bake_texture(
    vertices: np.ndarray, faces: np.ndarray, corner_uv: np.ndarray, texture: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (vertices, faces, face_colors [F, 4]) of a mesh with its texture in the faces.

    Faces whose colours differ are divided in four, the largest first, down to 4 mm or up to
    60,000 faces; the divided ones share no vertices with their neighbours.

    Args:
        vertices: [V, 3] m.
        faces: [F, 3].
        corner_uv: [F, 3, 2] texture coordinates of the corners, repeated outside 0 to 1.
        texture: [H, W, 3], 0 to 1, first row at v = 0.
    """
    pending = _Triangles(vertices[faces], corner_uv, np.arange(len(faces)), texture)
    done = []
    total = len(faces)
    while True:
        # The largest first, so that the budget goes where it is seen.
        coarse = pending.contrast & (pending.edge > _SMALLEST_EDGE_M)
        limit = pending.edge[coarse].max(initial=0.0) / 2
        split = coarse & (pending.edge > limit)
        total += 3 * int(split.sum())
        if not split.any() or total > _MAX_FACES:
            done.append(pending)
            break
        done.append(pending.select(~coarse))
        divided = pending.select(split).divide(texture)
        pending = pending.select(coarse & ~split).join(divided)
    rgb = np.concatenate([part.color for part in done])
    rgba = np.concatenate([rgb, np.ones((len(rgb), 1))], axis=1)
    source = np.concatenate([part.source for part in done])
    whole = source >= 0
    loose = np.concatenate([part.corners for part in done])[~whole].reshape(-1, 3)
    result = np.empty((len(rgb), 3), dtype=np.int32)
    result[whole] = faces[source[whole]]
    result[~whole] = len(vertices) + np.arange(len(loose)).reshape(-1, 3)
    return np.concatenate([vertices, loose]), result, rgba


class _Triangles:
    """Loose triangles with their texture coordinates, colours and sizes.

    `source` is the face of the mesh that a triangle still is, or -1 once it was divided.
    """

    def __init__(
        self, corners: np.ndarray, uv: np.ndarray, source: np.ndarray, texture: np.ndarray
    ) -> None:
        self.corners = corners
        self.uv = uv
        self.source = source
        self.edge = np.linalg.norm(corners - corners[:, [1, 2, 0]], axis=-1).max(axis=1)
        samples = _sample(uv, texture)
        self.color = samples.mean(axis=1)
        spread = samples.max(axis=1) - samples.min(axis=1)
        self.contrast = (spread > _CONTRAST).any(axis=1)

    def select(self, mask: np.ndarray) -> "_Triangles":
        """Return those where the mask is true."""
        return self._with({name: value[mask] for name, value in vars(self).items()})

    def join(self, other: "_Triangles") -> "_Triangles":
        """Return these and the others."""
        both = {name: np.concatenate([a, vars(other)[name]]) for name, a in vars(self).items()}
        return self._with(both)

    def divide(self, texture: np.ndarray) -> "_Triangles":
        """Return each triangle as four."""
        source = np.full(4 * len(self.corners), -1)
        return _Triangles(_divide(self.corners), _divide(self.uv), source, texture)

    def _with(self, values: dict[str, np.ndarray]) -> "_Triangles":
        result = _Triangles.__new__(_Triangles)
        vars(result).update(values)
        return result


def _divide(corners: np.ndarray) -> np.ndarray:
    """Return each triangle [F, 3, D] as four [4 F, 3, D], cut at the middles of its edges."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.concatenate([np.stack(part, axis=1) for part in parts])


def _sample(corner_uv: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Return the colours [F, S, 3] of triangles at S points each."""
    height, width = texture.shape[:2]
    uv = np.einsum("sk,fkd->fsd", _WEIGHTS, corner_uv)
    column = np.floor(uv[..., 0] * width).astype(np.int64) % width
    row = np.floor(uv[..., 1] * height).astype(np.int64) % height
    return texture[row, column]
