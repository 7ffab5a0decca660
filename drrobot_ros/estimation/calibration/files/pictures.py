"""Pictures of a calibration: the robot drawn over each keyframe, all on one sheet, residuals."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.media import Image

SHEET_WIDTH = 1600
GAP = 6
GOOD, BAD, INK = (60, 170, 90), (205, 70, 55), (40, 40, 40)


def contact_sheet(
    images: Sequence[Image], captions: Sequence[str], good: Sequence[bool], title: str = ""
) -> Image:
    """Return images on one sheet, each with a caption and a bar green or red.

    Args:
        images: uint8 [H,W,3], of any sizes.
        captions: one each.
        good: one each: the colour of its bar.
        title: on top.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    columns = max(1, min(len(images), 2 if len(images) < 5 else 3 if len(images) < 10 else 4))
    rows = math.ceil(len(images) / columns)
    width = (SHEET_WIDTH - GAP * (columns + 1)) // columns
    shape = np.max([image.shape[0] / image.shape[1] for image in images], initial=0.1)
    height, bar = round(width * shape), 26
    top = 44 if title else GAP
    sheet = Pillow.new("RGB", (SHEET_WIDTH, top + rows * (height + bar + GAP)), (250, 250, 250))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=16)
    draw.text((GAP + 2, 10), title, INK, ImageFont.load_default(size=20))
    for i, image in enumerate(images):
        x = GAP + (i % columns) * (width + GAP)
        y = top + (i // columns) * (height + bar + GAP)
        small = Pillow.fromarray(image).resize(
            (width, round(width * image.shape[0] / image.shape[1])), Pillow.Resampling.LANCZOS
        )
        sheet.paste(small, (x, y))
        draw.rectangle((x, y + height, x + width, y + height + bar - 4), GOOD if good[i] else BAD)
        draw.text((x + 6, y + height + 1), captions[i], (255, 255, 255), font)
    return np.asarray(sheet, np.uint8)


def residual_plot(
    path: Path,
    before: NDArray[np.float64],
    residuals: NDArray[np.float64],
    used: Sequence[bool],
    names: Sequence[str],
) -> None:
    """Write a bar per keyframe, and a mark where it began; those left out are hatched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.0, 0.45 * len(names) + 2), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for i, (value, kept) in enumerate(zip(residuals, used, strict=True)):
        axis.bar(i, 100 * value, color="C0" if kept else "0.85", hatch="" if kept else "//")
    axis.plot(range(len(names)), 100 * before, "k_", ms=10, label="before")
    axis.legend(loc="upper right", fontsize="x-small")
    kept_values = residuals[np.asarray(used, bool)]
    if len(kept_values):
        axis.axhline(100 * float(np.median(kept_values)), color="0.3", lw=0.8, ls="--")
    axis.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize="x-small")
    axis.set_ylabel("silhouette error, % of the robot")
    axis.set_title("silhouette error of each keyframe; hatched: left out", fontsize="small")
    figure.savefig(path, dpi=110)


def offset_plot(
    path: Path, names: Sequence[str], offsets: NDArray[np.float64], std: NDArray[np.float64]
) -> None:
    """Write the joint offsets with two standard deviations, in degrees."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(5.0, 0.8 * len(names) + 1.5), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.axhline(0, color="0.4", lw=0.8)
    axis.errorbar(
        range(len(names)), np.rad2deg(offsets), yerr=2 * np.rad2deg(std), fmt="o", capsize=4
    )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize="small")
    axis.set_ylabel("offset, degrees (±2 sigma)")
    figure.savefig(path, dpi=110)
