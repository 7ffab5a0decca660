"""Procedural textures, so that a scene needs no image files."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Image = NDArray[np.uint8]


def planks(rng: np.random.Generator, size: int = 512, rows: int = 8) -> Image:
    """Return a light wooden floor [size, size, 3] that repeats."""
    image = np.empty((size, size, 3))
    grain = _noise(rng, size, (1.0, 60.0)) * 0.5 + _noise(rng, size, (0.7, 14.0)) * 0.5
    height = size // rows
    base = np.array([0.80, 0.68, 0.54])
    for row in range(rows):
        band = slice(row * height, (row + 1) * height)
        joints = np.sort(rng.choice(size, 2, replace=False))
        tone = np.empty(size)
        tone[:] = rng.normal(0, 0.045)
        tone[joints[0] : joints[1]] = rng.normal(0, 0.045)
        shift = rng.integers(size)
        shade = 1 + tone[None, :] + 0.06 * np.roll(grain, shift, axis=1)[band]
        shade[:1] *= 0.75
        shade[:, joints] *= 0.8
        image[band] = base * shade[..., None]
    return _bytes(image)


def wood(rng: np.random.Generator, size: int = 512) -> Image:
    """Return a pale table top [size, size, 3] with soft grain."""
    grain = _noise(rng, size, (1.2, 80.0)) + 0.6 * _noise(rng, size, (5.0, 150.0))
    return _bytes(np.array([0.90, 0.83, 0.73]) * (1 + 0.03 * grain)[..., None])


def plaster(rng: np.random.Generator, size: int = 256) -> Image:
    """Return a painted wall [size, size, 3] that is not quite even."""
    tone = 0.5 * _noise(rng, size, (1.0, 1.0)) + _noise(rng, size, (25.0, 25.0))
    return _bytes(np.array([0.66, 0.79, 0.80]) * (1 + 0.008 * tone)[..., None])


def palette(colors: NDArray[np.floating], block: int = 4) -> tuple[Image, NDArray[np.float64]]:
    """Return an image with a block of pixels per colour [n, 3], and the centres [n, 2] (u, v)."""
    side = int(np.ceil(np.sqrt(len(colors))))
    grid = np.zeros((side * side, 3))
    grid[: len(colors)] = colors
    image = grid.reshape(side, side, 3).repeat(block, axis=0).repeat(block, axis=1)
    index = np.arange(len(colors))
    centre = np.stack([index % side, index // side], axis=1) + 0.5
    return _bytes(image), centre / side


def _noise(rng: np.random.Generator, size: int, sigma: tuple[float, float]) -> NDArray:
    image = gaussian_filter(rng.normal(size=(size, size)), sigma, mode="wrap")
    return image / image.std()


def _bytes(image: NDArray[np.floating]) -> Image:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
