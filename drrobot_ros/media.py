"""Image sequences in and out: videos, folders of images."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

Image = NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
#: Even where the video's player is old: a common codec, pixels every browser reads.
_CODEC = {"codec": "libx264", "pixelformat": "yuv420p", "macro_block_size": 2}
_OPTIONS = ("-crf", "18", "-preset", "veryfast", "-movflags", "+faststart")


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder, numbers in their names in numerical order.

    Raises:
        InputError: there is none.
    """
    files = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(f"no images in {folder}; looked for {', '.join(SUFFIXES)}")

    def key(path: Path) -> list[Any]:
        parts = re.split(r"(\d+)", path.name)
        return [(int(p), "") if p.isdigit() else (-1, p) for p in parts]

    return sorted(files, key=key)


def read_sequence(source: str | Path, rate_hz: float) -> tuple[float, Iterator[Image]]:
    """Return the rate and the RGB images, uint8 [H, W, 3], of a video, a folder or one image.

    Args:
        source: the file or folder.
        rate_hz: of the images; 0: what the video says, 30 for a folder.

    Raises:
        InputError: it does not exist or cannot be read.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return rate_hz or 30.0, (_read_image(file) for file in image_files(path))
    if not path.is_file():
        raise InputError(f"there is no file or folder {path}")
    if path.suffix.lower() in SUFFIXES:
        return rate_hz or 30.0, iter([_read_image(path)])
    import imageio

    try:
        reader: Any = imageio.get_reader(path, "ffmpeg")
        own_rate = float(reader.get_meta_data()["fps"])
    except Exception as error:  # the plugin has many errors of its own
        raise InputError(f"cannot read the video {path}: {_first_line(error)}") from error
    return rate_hz or own_rate, (np.asarray(frame)[..., :3] for frame in reader)


class VideoWriter:
    """Writes an H.264 video that browsers play; a context manager.

    Args:
        path: of the file, ending in .mp4.
        rate_hz: images a second.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        import imageio

        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"fps": rate_hz, "output_params": list(_OPTIONS), **_CODEC}
        self._writer: Any = imageio.get_writer(path, "ffmpeg", **options)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, image: Image) -> None:
        """Append an image; an odd row or column is cut off."""
        height, width = image.shape[:2]
        self._writer.append_data(image[: height // 2 * 2, : width // 2 * 2])


def write_image(path: Path, image: Image) -> None:
    """Write an image, in the format of the file's ending."""
    from PIL import Image as Pillow

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        Pillow.fromarray(image).save(path)
    except ValueError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def _read_image(path: Path) -> Image:
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as image:
            return np.array(image.convert("RGB"))
    except OSError as error:
        raise InputError(f"cannot read the image {path}: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
