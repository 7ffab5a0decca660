"""What a depth image says of a rendered hypothesis, pixel by pixel.

Registration knows how near the robot's points are to surfaces seen; it does not see that a surface
goes on where the robot ends, nor what the robot's own links hide. The rendered Gaussians do, at a
hundred times the price: they judge the few best hypotheses, flips of nearly symmetric arms above
all.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.estimation.depth_scene import PLANE_WEIGHT, back_project, surface_normals
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import dilate

FloatImage = NDArray[np.float32]

AGREEMENT_M = 0.012  # error of a depth that half agrees
REACH_M = 0.05  # depths that differ less belong together
ON_ROBOT, BEHIND, BEFORE, ON_PLANE = 2.0, -3.0, -1.5, -1.0  # log-odds of a pixel's depth
MAX_BIAS_M = 0.02  # of the depth camera


class DepthJudge:
    """Judges hypotheses of one robot.

    Args:
        model: the robot.
        gaussians: its splats.
    """

    def __init__(self, model: Any, gaussians: Any, count: int = 3000) -> None:
        few = gaussians.subset(count)
        self._model = ImageModel(model.tree, few, model.nq, model.nv)
        self._inset_px = float(getattr(gaussians, "inset_px", 0.6))
        self._eps2d = float(getattr(gaussians, "eps2d", 0.3))
        self._seen: tuple[FloatImage, FloatImage] | None = None

    def judge(
        self,
        depth: FloatImage,
        K: NDArray[np.float64],
        q: NDArray[np.float64],
        T_camera: NDArray[np.float64],
        plane_weight: FloatImage | None = None,
    ) -> tuple[float, float]:
        """Return how much of the image a hypothesis explains, px, and how well, at most 1.

        Args:
            depth: [H,W] m, 0 unknown.
            K: its intrinsics [3,3] px.
            q: joint positions [nq].
            T_camera: camera pose [4,4].
            plane_weight: low where there is a large plane [h,w] of any size.
        """
        height, width = depth.shape
        target = ImageTarget(
            K=K, width=width, height=height, inset_px=self._inset_px, eps2d=self._eps2d
        )
        rendered = self._model.images(q, T_camera, target)
        if self._seen is None or self._seen[0] is not depth:
            self._seen = depth, normals_of(depth, K)
        return depth_agreement(
            depth, self._seen[1], rendered, K, plane_weight, max(2, round(0.02 * width))
        )


def depth_agreement(
    depth: FloatImage,
    normals: FloatImage,
    rendered: RenderedImages,
    K: NDArray[np.float64],
    plane_weight: FloatImage | None,
    band_px: int,
) -> tuple[float, float]:
    """Return how far the pixels' depths agree with a rendered hypothesis: sum px and mean.

    A pixel of the robot counts by how near its depth is to the rendered one and how alike the
    surfaces lie (a folded arm is as near to a flat screen, but round), and against the hypothesis
    where the camera looks through the robot; a pixel beside the outline counts against
    it where the surface seems to go on. A mean of 1 would be perfect.
    """
    odds, unbiased = depth_evidence(depth, rendered, plane_weight)
    known = unbiased > 0
    inside = (rendered.alpha > 0.5) & known
    if inside.sum() < 20:
        return 0.0, 0.0
    own = rendered.depth / np.maximum(rendered.alpha, 0.3)
    error = unbiased - own
    lie = (normals * normals_of(np.where(rendered.alpha > 0.5, own, 0.0), K)).sum(-1)
    gain = np.square(np.clip(lie, 0.0, 1.0)) / (1.0 + np.square(error / AGREEMENT_M))
    through, hidden = error > REACH_M, error < -REACH_M
    value = np.where(through, -1.0, np.where(hidden, -0.3, gain))
    beside = (dilate(rendered.alpha, band_px) > 0.5) & (rendered.alpha < 0.3)
    going_on = beside & (odds == ON_ROBOT)
    total = float(value[inside].sum() - 0.7 * going_on.sum())
    return total, total / float(inside.sum())


def normals_of(depth: FloatImage, K: NDArray[np.float64]) -> FloatImage:
    """Return the normals of a depth image [H,W,3], 0 where unknown."""
    depth = np.asarray(depth, np.float32)
    return surface_normals(back_project(depth, K), depth > 0)


def depth_evidence(
    depth: FloatImage, rendered: RenderedImages, plane_weight: FloatImage | None
) -> tuple[FloatImage, FloatImage]:
    """Return what depth says of every pixel, and the depth without the sensor's bias.

    Args:
        depth: observed [H,W] m, 0 unknown.
        rendered: the hypothesis.
        plane_weight: low where there is a large plane [h,w] of any size; None: no planes known.

    Returns:
        Log-odds that a pixel shows the robot [H,W], 0 where the depth is unknown, and the depth
        [H,W] m less the median difference to the rendered robot.
    """
    import cv2
    from scipy import ndimage

    inside = rendered.alpha > 0.7
    if not inside.any():
        return np.zeros_like(depth), depth
    own = np.where(inside, rendered.depth / np.maximum(rendered.alpha, 0.5), 0.0)
    at = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    expected = own[tuple(np.asarray(at))]
    error = depth - expected
    known = depth > 0
    fits = known & (rendered.alpha > 0.95) & (np.abs(error) < 0.06)
    bias = 0.0
    if fits.sum() > 50:
        bias = float(np.clip(np.median(error[fits]), -MAX_BIAS_M, MAX_BIAS_M))
    error = error - bias
    odds = np.where(error > REACH_M, BEHIND, np.where(error < -REACH_M, BEFORE, ON_ROBOT))
    if plane_weight is not None:
        size = depth.shape[::-1]
        weight = cv2.resize(plane_weight, size, interpolation=cv2.INTER_NEAREST)
        odds = np.where((weight < 0.5 + 0.5 * PLANE_WEIGHT) & (odds > 0), ON_PLANE, odds)
    odds = np.where(known, odds, 0.0).astype(np.float32)
    return odds, np.where(known, depth - np.float32(bias), 0.0).astype(np.float32)
