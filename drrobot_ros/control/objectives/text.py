"""Look like a sentence says (Dr. Robot, section 3.3.1, equation 9)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.text.encoder import TextImageEncoder, check_prompt
from drrobot_ros.errors import InputError


class TextSimilarity:
    """Minus the similarity of rendered views and a prompt, less that of negative prompts.

    Every view counts alike. Each is also seen in random crops and before random backgrounds, so
    that what is found looks right to more than one pair of eyes.

    Args:
        encoder: text-image model.
        prompt: what the robot is to look like.
        negative: what it is not to look like.
        views: which viewpoints count; None: all of the candidate.
        crops: further crops of each view, with other backgrounds.
        seed: of crops and backgrounds.

    Raises:
        InputError: an empty or overlong prompt, or a negative number of crops.
    """

    name = "text"

    def __init__(
        self,
        encoder: TextImageEncoder,
        prompt: str,
        negative: Sequence[str] = (),
        views: Sequence[int] | None = None,
        crops: int = 1,
        seed: int = 0,
    ) -> None:
        if crops < 0:
            raise InputError(f"crops must not be negative, got {crops}")
        self.prompt = check_prompt(prompt)
        self._encoder = encoder
        self._positive = encoder.embed_texts([self.prompt])[0]
        self._negative = None
        if negative:
            self._negative = encoder.embed_texts([check_prompt(n) for n in negative])
        self._views, self._crops = views, crops
        self._random = np.random.default_rng(seed)

    def __call__(self, candidate: Candidate) -> Tensor:
        """Return minus the mean similarity, -1..1, plus half the largest negative one [B]."""
        images, owner = self._images(candidate, self._crops)
        found = self._encoder.embed_images(images)
        cost = -(found @ self._positive.to(found))
        if self._negative is not None:
            worst = (found @ self._negative.to(found).T).amax(-1)
            cost = cost + 0.5 * torch.relu(worst)
        total = torch.zeros(len(candidate.q), dtype=cost.dtype)
        return total.index_add(0, owner, cost) * (len(candidate.q) / len(cost))

    @torch.no_grad()
    def similarity(self, candidate: Candidate) -> Tensor:
        """Return the mean similarity of the plain views to the prompt, -1..1 [B]."""
        images, owner = self._images(candidate, 0)
        found = self._encoder.embed_images(images) @ self._positive
        total = torch.zeros(len(candidate.q), dtype=found.dtype)
        return total.index_add(0, owner, found) * (len(candidate.q) / len(found))

    def _images(self, candidate: Candidate, crops: int) -> tuple[Tensor, Tensor]:
        views = range(len(candidate.views)) if self._views is None else self._views
        if not len(views):
            raise InputError("a text objective needs a viewpoint to look from")
        # All poses of a call are seen alike, or their costs could not be compared.
        alike = {view: [self._augmentation() for _ in range(crops)] for view in views}
        images, owner = [], []
        for b in range(len(candidate.q)):
            for view in views:
                seen = candidate.render(b, view)
                plain = seen.rgb.movedim(-1, 0)
                images.append(_square(plain, self._encoder.image_size))
                owner.append(b)
                clear = 1 - seen.alpha[None]
                own = torch.tensor(candidate.views[view].background)[:, None, None]
                for share, place, color in alike[view]:
                    image = plain + clear * (torch.from_numpy(color).to(plain) - own.to(plain))
                    images.append(_square(_crop(image, share, place), self._encoder.image_size))
                    owner.append(b)
        return torch.stack(images).clamp(0, 1), torch.tensor(owner)

    def _augmentation(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return the share of the edges that a crop keeps, its place 0..1 [2], a background."""
        random = self._random
        return random.uniform(0.85, 1.0), random.uniform(0, 1, 2), random.uniform(0, 1, (3, 1, 1))


def _crop(image: Tensor, share: float, place: NDArray[np.float64]) -> Tensor:
    h, w = (max(8, round(n * share)) for n in image.shape[1:])
    top, left = (
        int(p * (n - m + 1) * (1 - 1e-9))
        for p, n, m in zip(place, image.shape[1:], (h, w), strict=True)
    )
    return image[:, top : top + h, left : left + w]


def _square(image: Tensor, size: int) -> Tensor:
    """Return the middle square of an image [3,H,W] at a size, smoothly."""
    h, w = image.shape[1:]
    n = min(h, w)
    top, left = (h - n) // 2, (w - n) // 2
    square = image[None, :, top : top + n, left : left + n]
    return torch.nn.functional.interpolate(
        square, (size, size), mode="bilinear", align_corners=False, antialias=True
    )[0]
