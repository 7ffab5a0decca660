"""Log-odds of the robot per pixel: what sources are given, what they answer, how answers add up."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import FloatImage, ImageTarget, RenderedImages
from drrobot_ros.estimation.segmentation import MAX_LOG_ODDS, dilate

BAND = 0.045  # of the image's width: about how far an estimate's contour may be off


@dataclasses.dataclass(frozen=True)
class PhotoSet:
    """Images of one camera that are looked at together, and the robot as estimated in them.

    Attributes:
        levels: the images, all of one size.
        rendered: the robot at the estimate in each, splats coloured by part.
        still: whether the camera stands still in the robot's base.
        name: of the camera.
    """

    levels: Sequence[Level]
    rendered: Sequence[RenderedImages]
    still: bool = True
    name: str = "camera"

    @property
    def width(self) -> int:
        """Width of the images, px."""
        return self.levels[0].camera.width

    @property
    def band_px(self) -> int:
        """Width of the band around the robot in which evidence is compared, px."""
        return max(2, round(BAND * self.width))

    def coverage(self) -> FloatImage:
        """Return the share of images in which the robot, as estimated, covers a pixel [H,W]."""
        reach = max(1, round(0.008 * self.width))
        covered = np.stack([dilate(r.alpha, reach) > 0.1 for r in self.rendered])
        return np.asarray(covered.mean(0), np.float32)


class EvidenceSource(Protocol):
    """Something that tells the robot from what is not."""

    def __call__(self, photos: PhotoSet) -> Sequence[FloatImage | None]:
        """Return log p(seen | robot) / p(seen | not the robot) per pixel of every image [H,W].

        0 where it says nothing; None where it says nothing of a whole image.
        """
        ...


def add_odds(photos: PhotoSet, answers: Sequence[Sequence[FloatImage | None]]) -> list[FloatImage]:
    """Return the sum of what sources answered, per image, as if they erred independently."""
    total = [np.zeros(r.alpha.shape, np.float32) for r in photos.rendered]
    for answer in answers:
        for i, odds in enumerate(answer):
            if odds is not None:
                total[i] = total[i] + odds
    return [np.clip(t, -MAX_LOG_ODDS, MAX_LOG_ODDS) for t in total]


def silhouette_target(bare: ImageTarget, odds: FloatImage) -> ImageTarget:
    """Return a target whose silhouette is the likelier label, trusted as far as it is likelier.

    A pixel with probability p of the robot weighs |2 p - 1|, so one that tells nothing is ignored.
    """
    return dataclasses.replace(
        bare,
        mask=(odds > 0).astype(np.float32),
        mask_weight=np.abs(np.tanh(0.5 * odds)).astype(np.float32),
    )
