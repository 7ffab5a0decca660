"""How far an image and a rendering agree on what is robot."""

import numpy as np

from drrobot_ros.estimation.evidence.odds import BAND
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import dilate

# An image that tells less than a few times this share of its pixels is hardly believed.
TOLD_LEAST = 0.05


def agreement(target: ImageTarget, rendered: RenderedImages, band: float = BAND) -> float:
    """Return how far image and rendering agree on what is robot and what is not, 0..1.

    Robot and band count alike, however large each is; a pixel that tells nothing counts half, so an
    image without any evidence gets 0.5.

    Args:
        target: with a silhouette; without one of the rendering's size the answer is 0.
        rendered: the robot as estimated.
        band: width of the band around the robot, as a share of the image's width.
    """
    return _shares(target, rendered, band, told=False)


def told_agreement(target: ImageTarget, rendered: RenderedImages, band: float = BAND) -> float:
    """Return how far they agree where the image tells robot from not, 0..1.

    As `agreement`, but a pixel counts as far as it tells anything: what looks like its background
    says nothing for or against a pose. An image that tells nothing at all gets 0.5.
    """
    return _shares(target, rendered, band, told=True)


def _shares(target: ImageTarget, rendered: RenderedImages, band: float, told: bool) -> float:
    if target.mask is None or target.mask.shape != rendered.alpha.shape:
        return 0.0
    wide = dilate(rendered.alpha, max(2, round(band * target.width)))
    weight = 1.0 if target.weight is None else target.weight
    trust = 1.0 if target.mask_weight is None else target.mask_weight
    fit = 1.0 - np.abs(rendered.alpha - target.mask)
    shares = []
    for region in (rendered.alpha > 0.5, (rendered.alpha <= 0.5) & (wide > 0.5)):
        area = region * weight
        known = float((area * trust).sum())
        untold = TOLD_LEAST * float(area.sum()) if told else float(area.sum()) - known
        agreed = float((area * trust * fit).sum()) + 0.5 * untold
        shares.append(agreed / max(known + untold, 1e-6))
    return float(np.mean(shares))
