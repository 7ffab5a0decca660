"""How far an image and a rendering agree on what is robot."""

import numpy as np

from drrobot_ros.estimation.evidence.odds import BAND
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import dilate


def agreement(target: ImageTarget, rendered: RenderedImages, band: float = BAND) -> float:
    """Return how far image and rendering agree on what is robot and what is not, 0..1.

    Robot and band count alike, however large each is; a pixel that tells nothing counts half, so an
    image without any evidence gets 0.5.

    Args:
        target: with a silhouette; without one of the rendering's size the answer is 0.
        rendered: the robot as estimated.
        band: width of the band around the robot, as a share of the image's width.
    """
    if target.mask is None or target.mask.shape != rendered.alpha.shape:
        return 0.0
    wide = dilate(rendered.alpha, max(2, round(band * target.width)))
    weight = 1.0 if target.weight is None else target.weight
    trust = 1.0 if target.mask_weight is None else target.mask_weight
    score = 0.5 + trust * (0.5 - np.abs(rendered.alpha - target.mask))
    shares = []
    for region in (rendered.alpha > 0.5, (rendered.alpha <= 0.5) & (wide > 0.5)):
        area = region * weight
        shares.append((area * score).sum() / max(area.sum(), 1e-6))
    return float(np.mean(shares))
