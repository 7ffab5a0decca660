"""Image, depth and mask files as cameras and other tools leave them."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.media import SUFFIXES

COLOR, DEPTH, MASK = "images", "depth", "masks"
#: Names of subfolders, and what the names of files begin with, of each kind.
FOLDERS = {COLOR: ("images", "image", "rgb", "color"), DEPTH: ("depth",), MASK: ("masks", "mask")}
BEGINNINGS = {COLOR: ("image", "rgb", "color", "frame"), DEPTH: ("depth",), MASK: ("mask",)}
DEPTH_SUFFIXES = (".npy", ".png", ".tif", ".tiff")


def find_images(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each kind in a folder by key: their number, or their stem without one.

    Each kind is a subfolder (images/, depth/, masks/), or files of the folder itself whose names
    begin so (image_3.png, depth_3.npy, mask_3.png; image_3_mask.png is a mask as well). If no file
    is called like an image, all that are nothing else are images.

    Raises:
        InputError: there are no images, or two of a kind have one key.
    """
    found = {kind: _in_subfolder(folder, kind) for kind in FOLDERS}
    own = [p for p in sorted(folder.iterdir()) if p.is_file() and _could_be(p)]
    kinds = {path: _kind(path) for path in own}
    for kind in FOLDERS:
        if not found[kind]:
            found[kind] = [p for p in own if kinds[p] == kind]
    if not found[COLOR]:
        found[COLOR] = [p for p in own if kinds[p] is None and p.suffix.lower() != ".npy"]
    if not found[COLOR]:
        raise InputError(
            f"no images in {folder}: looked for a subfolder {', '.join(FOLDERS[COLOR])} and for "
            f"files named {', '.join(b + '*' for b in BEGINNINGS[COLOR])} of type "
            f"{', '.join(SUFFIXES)}"
        )
    return {kind: _by_key(paths) for kind, paths in found.items()}


def natural_order(keys: dict[str, Path]) -> list[str]:
    """Return keys in order, numbers by their value."""
    return sorted(keys, key=lambda k: (0, int(k), "") if k.isdigit() else (1, 0, k))


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return the colours [H,W,3] of an image file, the right way up as its camera noted it.

    Raises:
        InputError: it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError as error:
        raise InputError(f"cannot read the image {path}: {error}") from error


def read_depth(path: Path) -> NDArray[np.float32]:
    """Return depth [H,W] in m, NaN where unknown: whole numbers are mm, others m.

    Raises:
        InputError: it cannot be read, or is no depth image.
    """
    try:
        if path.suffix.lower() == ".npy":
            raw = np.load(path, allow_pickle=False)
        else:
            from PIL import Image

            with Image.open(path) as image:
                raw = np.array(image)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the depth image {path}: {error}") from error
    if raw.ndim != 2 or raw.dtype == np.uint8:
        raise InputError(
            f"{path} is no depth image: {raw.dtype} {list(raw.shape)}; valid: one channel, 16 bit "
            "in mm or floating point in m"
        )
    depth = raw.astype(np.float32)
    if np.issubdtype(raw.dtype, np.integer):
        depth *= 1e-3
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def read_mask(path: Path) -> NDArray[np.float32]:
    """Return the probability [H,W] 0..1 of a mask file.

    Raises:
        InputError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), np.float32) / 255.0
    except OSError as error:
        raise InputError(f"cannot read the mask {path}: {error}") from error


def _in_subfolder(folder: Path, kind: str) -> list[Path]:
    for name in FOLDERS[kind]:
        if (folder / name).is_dir():
            return [p for p in sorted((folder / name).iterdir()) if p.is_file() and _could_be(p)]
    return []


def _could_be(path: Path) -> bool:
    return path.suffix.lower() in (*SUFFIXES, ".npy")


def _kind(path: Path) -> str | None:
    name = path.stem.lower()
    if name.startswith(BEGINNINGS[MASK]) or name.endswith("_mask"):
        return MASK
    if name.startswith(BEGINNINGS[DEPTH]):
        return DEPTH if path.suffix.lower() in DEPTH_SUFFIXES else None
    if name.startswith(BEGINNINGS[COLOR]) and path.suffix.lower() in SUFFIXES:
        return COLOR
    return None


def _by_key(paths: list[Path]) -> dict[str, Path]:
    keyed: dict[str, Path] = {}
    for path in paths:
        numbers = re.findall(r"\d+", path.stem)
        key = str(int(numbers[-1])) if numbers else path.stem
        if key in keyed:
            # One depth twice, as numbers and as a picture: the numbers say more.
            if {keyed[key].suffix, path.suffix} == {".npy", ".png"}:
                keyed[key] = path if path.suffix == ".npy" else keyed[key]
                continue
            raise InputError(f"{keyed[key].name} and {path.name} both are number {key}")
        keyed[key] = path
    return keyed
