"""Make the README's pictures from what ``make demo`` wrote: ``python tools/readme_images.py``."""

from pathlib import Path

import imageio.v3 as iio
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FROM, TO = ROOT / "demo", ROOT / "docs" / "images"
PICTURE_PX, VIDEO_PX, EVERY, FRAMES = 1500, 960, 3, 110


def scaled(image: Image.Image, width: int) -> Image.Image:
    """Return the image in another width."""
    return image.resize(
        (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
    )


def main() -> None:
    """Write overlay.jpg and demo.webp."""
    TO.mkdir(parents=True, exist_ok=True)
    scaled(Image.open(FROM / "overlay.png"), PICTURE_PX).save(TO / "overlay.jpg", quality=88)
    video = iio.imiter(FROM / "overlay.mp4", plugin="FFMPEG")
    images = [scaled(Image.fromarray(f), VIDEO_PX) for i, f in enumerate(video) if i % EVERY == 0]
    first, *rest = images[:FRAMES]
    path = TO / "demo.webp"
    first.save(path, save_all=True, append_images=rest, duration=100, loop=0, quality=55, method=6)


if __name__ == "__main__":
    main()
