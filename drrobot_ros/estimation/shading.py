"""Colours of the robot's surface under the light of one image.

What a surface looks like depends on its own colour and on where it faces. Both are few numbers: the
splats are grouped into parts of like colour, and each part's colour is a quadratic function of the
normal (nine spherical harmonics; Ramamoorthi and Hanrahan, 2001), fitted to the image around the
estimate. Shaded splats show where links of one colour lie before each other.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget

FloatImage = NDArray[np.float32]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MIN_PIXELS = 60.0


def harmonics(normals: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return a basis of quadratic functions of unit normals [...,3] -> [...,9]."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float32), -1, 0)
    one = np.ones_like(x)
    return np.stack([one, x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], -1)


@dataclasses.dataclass(frozen=True)
class Light:
    """What a fit says: coefficients [parts,9,3], and the residual's deviation."""

    coefficients: NDArray[np.float32]
    sigma: float


class Shading:
    """Shades a robot's splats as an image shows them.

    Args:
        model: the robot.
        gaussians: its splats, as drawn at the finest level.
        coarse: fewer of them, for the fit.
        labels: part of each of `gaussians`, one-hot [n,3].
        coarse_labels: and of `coarse`.
        make: makes what `shaded` is rendered with.
    """

    def __init__(
        self,
        model: Any,
        gaussians: Any,
        coarse: Any,
        labels: FloatImage,
        coarse_labels: FloatImage,
        make: Callable[..., ImageModel] = ImageModel,
    ) -> None:
        self._model = model
        self._normals = np.asarray(gaussians.normals, np.float32)
        self._link = np.asarray(gaussians.link_index)
        self._labels = labels
        self._coarse_normals = np.asarray(coarse.normals, np.float32)
        self._coarse_link = np.asarray(coarse.link_index)
        tree = model.tree
        self._facing = ImageModel(tree, coarse, model.nq, model.nv, np.zeros_like(coarse_labels))
        self._parts = ImageModel(tree, coarse, model.nq, model.nv, coarse_labels)
        self.shaded = make(tree, gaussians, model.nq, model.nv, np.zeros_like(labels))

    def fit(
        self, q: Vector, T: Matrix, bare: ImageTarget, color: FloatImage, trust: FloatImage
    ) -> Light | None:
        """Fit the light of an image around an estimate; None where too little is seen.

        Args:
            q: joint positions [nq].
            T: camera pose [4,4].
            bare: intrinsics and size of the image, and how splats are drawn.
            color: the image [H,W,3] 0..1.
            trust: how surely a pixel shows the robot [H,W] 0..1.
        """
        rotations = self._rotations(q)
        world = np.einsum("nij,nj->ni", rotations[self._coarse_link], self._coarse_normals)
        self._facing.set_colors(0.5 * world + 0.5)
        facing = self._facing.images(q, T, bare)
        parts = self._parts.images(q, T, bare).rgb
        use = (facing.alpha > 0.97) & (trust > 0.3)
        if use.sum() < MIN_PIXELS:
            return None
        normals = 2 * facing.rgb[use] / facing.alpha[use][:, None] - 1
        length = np.linalg.norm(normals, axis=-1)
        normals /= np.maximum(length, 1e-3)[:, None]
        # Splats of unlike normals overlap at inner edges: their mean says nothing.
        weight = trust[use] * (length > 0.6)
        share = parts[use] / facing.alpha[use][:, None]
        basis = harmonics(normals)
        seen = color[use]
        coefficients = np.zeros((3, 9, 3), np.float32)
        present = (share * weight[:, None]).sum(0) > MIN_PIXELS
        used = [k for k in range(3) if present[k]]
        if not used:
            return None
        design = np.concatenate([basis * share[:, k : k + 1] for k in used], 1)
        ridge = np.tile(np.r_[0.1, np.full(3, 3.0), np.full(5, 10.0)], len(used))
        robust = weight * (share[:, used].sum(1) > 0.9)
        sigma, x = 0.1, np.zeros((design.shape[1], 3))
        for _ in range(3):
            A = design.T @ (design * robust[:, None]) + np.diag(ridge)
            x = np.linalg.solve(A, design.T @ (seen * robust[:, None]))
            off = np.sqrt(np.square(seen - design @ x).mean(-1))
            sigma = float(np.clip(1.5 * np.median(off), 0.02, 0.2))
            robust = weight / (1 + np.square(off / (2 * sigma)))
        for i, k in enumerate(used):
            coefficients[k] = x[9 * i : 9 * i + 9]
        # Parts too small to be fitted look like the largest one.
        most = int(np.argmax((share * weight[:, None]).sum(0)))
        for k in range(3):
            if k not in used:
                coefficients[k] = coefficients[most]
        return Light(coefficients, sigma)

    def apply(self, q: Vector, light: Light) -> None:
        """Colour the splats of `shaded` as seen at q under a light."""
        rotations = self._rotations(q)
        world = np.einsum("nij,nj->ni", rotations[self._link], self._normals)
        basis = harmonics(world)
        colors = np.zeros((len(basis), 3), np.float32)
        for k in range(3):
            colors += self._labels[:, k : k + 1] * (basis @ light.coefficients[k])
        self.shaded.set_colors(np.clip(colors, 0, 1))

    def _rotations(self, q: Vector) -> NDArray[np.float32]:
        links = self._model.forward_kinematics(torch.as_tensor(q, dtype=torch.float64))
        return links[:, :3, :3].numpy().astype(np.float32)
