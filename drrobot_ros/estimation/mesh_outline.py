"""The outline of the robot's meshes, in place of the one that its splats draw.

Splats round edges and reach beyond them by another part of a pixel on each side of a link. A
contour that is read to a tenth of a pixel then bends joints, always to the same side, and a camera
that is looked for turns along. Around every estimate the meshes themselves are drawn, and what the
splats differ from them by is taken off what they are compared with: residuals are then those of
the meshes, and only their derivatives those of splats.
"""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.estimation.manifold import inverse_se3
from drrobot_ros.estimation.normal_equations import FloatImage, ImageTarget
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.coverage import LinkMeshes

# Details that no image shows make a mesh large: half a pixel at a metre or two, and on the mean of
# a contour a few thousandths.
CELL_M = 0.002
SAMPLES = 4  # along a pixel's side


@dataclasses.dataclass(frozen=True)
class MeshOutline:
    """Draws the outline of a robot's meshes."""

    _model: Any
    _meshes: LinkMeshes

    @classmethod
    def of(cls, model: Any, gaussians: Any) -> "MeshOutline | None":
        """Return it; None for a robot without meshes, and for trained splats.

        What splats were trained on is a better witness of the outline than the meshes.
        """
        visuals = getattr(model, "visuals", ())
        if not visuals or getattr(gaussians, "about", None):
            return None
        return cls(model, LinkMeshes.of(visuals, CELL_M))

    def coverage(
        self, q: NDArray[np.float64], T: NDArray[np.float64], camera: PinholeCamera, link: int
    ) -> FloatImage:
        """Return the share of every pixel that shows the robot [H,W].

        Args:
            q: joint positions [nq].
            T: camera's pose [4,4] in the base, or in the link that carries it.
            camera: intrinsics and size.
            link: index of that link, -1: the base.
        """
        links = self._model.forward_kinematics(torch.from_numpy(np.ascontiguousarray(q))).numpy()
        T_base_camera = T if link < 0 else links[link] @ T
        return self._meshes.coverage(inverse_se3(T_base_camera) @ links, camera, samples=SAMPLES)

    def begin(
        self, q: NDArray[np.float64], T: NDArray[np.float64], camera: PinholeCamera, link: int
    ) -> Callable[[], FloatImage]:
        """Begin to draw `coverage` beside other work; return what waits for it and returns it."""
        drawn: Future[FloatImage] = Future()

        def draw() -> None:
            try:
                drawn.set_result(self.coverage(q, T, camera, link))
            except BaseException as error:
                drawn.set_exception(error)

        threading.Thread(target=draw, name="outline", daemon=True).start()
        return drawn.result


def corrected(target: ImageTarget, drawn: FloatImage, outline: FloatImage) -> ImageTarget:
    """Return a target less what the splats' outline is off by at an estimate.

    Args:
        target: its mask is what images say.
        drawn: the splats' alpha at the estimate [H,W].
        outline: the meshes' there [H,W].
    """
    if target.mask is None:
        return target
    return dataclasses.replace(target, mask=target.mask + (drawn - outline))
