"""Panels with captions, and bars of joint errors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

Image = NDArray[np.uint8]

_DARK, _LIGHT, _DIM = (24, 27, 31), (240, 242, 245), (150, 157, 165)
_GOOD, _FAIR, _BAD = (74, 190, 120), (240, 170, 40), (230, 80, 60)
_GAP = 6
#: Errors that fill a bar, and where its colours change, degrees.
_FULL_DEG, _FAIR_DEG, _BAD_DEG = 10.0, 1.5, 4.0


def enlarge(image: Image, width: int, height: int) -> Image:
    """Return the image in another size, uint8 [height, width, 3]."""
    size = (width, height)
    return np.array(Pillow.fromarray(image).resize(size, Pillow.Resampling.BICUBIC))


def caption(image: Image, text: str) -> Image:
    """Return the image with a caption in its upper left corner."""
    canvas = Pillow.fromarray(image)
    draw = ImageDraw.Draw(canvas, "RGBA")
    font = _font(max(12, image.shape[0] // 22))
    pad = font.size // 2
    left, top, right, bottom = draw.textbbox((2 * pad, 2 * pad), text, font=font)
    draw.rounded_rectangle(
        (left - pad, top - pad, right + pad, bottom + pad), pad, fill=(*_DARK, 200)
    )
    draw.text((2 * pad, 2 * pad), text, font=font, fill=_LIGHT)
    return np.array(canvas)


def side_by_side(images: Sequence[Image]) -> Image:
    """Return images of one height beside each other."""
    height = images[0].shape[0]
    gap = np.full((height, _GAP, 3), _DARK, np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1)


def error_bars(
    names: Sequence[str], errors_deg: NDArray[np.float64] | None, width: int, title: str
) -> Image:
    """Return a strip with a bar per joint; None: nothing is known of them."""
    height = max(60, width // 16)
    canvas = Pillow.new("RGB", (width, height), _DARK)
    draw = ImageDraw.Draw(canvas)
    font = _font(height // 5)
    draw.text((12, height // 2), title, font=font, fill=_LIGHT, anchor="lm")
    left = 12 + int(max(0.2 * width, draw.textlength(title, font=font) + 24))
    step = (width - left) / max(1, len(names))
    for i, name in enumerate(names):
        x, room = left + i * step, step - 16
        error = None if errors_deg is None else float(errors_deg[i])
        value = "" if error is None else f"{error:.1f}°"
        short = name.removesuffix("_joint").replace("_", " ")
        draw.text((x, height * 0.3), short, font=font, fill=_DIM, anchor="lm")
        draw.text((x + room, height * 0.3), value, font=font, fill=_LIGHT, anchor="rm")
        y, thick = height * 0.65, height * 0.09
        draw.rectangle((x, y - thick, x + room, y + thick), fill=(52, 57, 64))
        if error is not None:
            color = _GOOD if error < _FAIR_DEG else _FAIR if error < _BAD_DEG else _BAD
            share = min(1.0, error / _FULL_DEG)
            draw.rectangle((x, y - thick, x + max(2.0, room * share), y + thick), fill=color)
    return np.array(canvas)


def stack(images: Sequence[Image]) -> Image:
    """Return images of one width on top of each other."""
    return np.concatenate(list(images), axis=0)


def _font(size: int) -> "ImageFont.FreeTypeFont":
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's own, built into its wheels
    return font
