"""Noise of a stereo depth camera and of its colour image."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from drrobot_ros.configuration import setting, validate
from drrobot_ros.geometry.camera import PinholeCamera


@dataclasses.dataclass(frozen=True)
class DepthNoiseConfig:
    """How bad the sensor is; the defaults are those of a small stereo camera."""

    depth_m: float = setting(
        0.0015, "standard deviation at 1 m, grows with the square", unit="m", minimum=0.0
    )
    blur_px: float = setting(1.2, "noise is alike over this distance", unit="px", minimum=0.0)
    step_m: float = setting(0.0005, "depth comes in steps", unit="m", minimum=0.0)
    edge_m: float = setting(0.02, "a jump larger than this is an edge", unit="m", minimum=0.0)
    edge_lost: float = setting(0.5, "part of the edge pixels without depth", minimum=0, maximum=1)
    edge_between: float = setting(
        0.2, "part of the edge pixels whose depth is between both sides", minimum=0, maximum=1
    )
    steep_rad: float = setting(
        1.35, "surfaces seen flatter than this have no depth", unit="rad", minimum=0.0
    )
    lost: float = setting(0.004, "part of all other pixels without depth", minimum=0, maximum=1)
    color: float = setting(2.5, "standard deviation of colours, of 255", minimum=0.0)

    def __post_init__(self) -> None:
        validate(self)


def add_depth_noise(
    depth_m: NDArray[np.float32],
    camera: PinholeCamera,
    rng: np.random.Generator,
    config: DepthNoiseConfig,
) -> NDArray[np.float32]:
    """Return a depth image [H, W] m as a sensor gives it; 0 where it gives nothing."""
    z = depth_m.astype(np.float64)
    noise = 0.6 * rng.normal(size=z.shape)
    soft = gaussian_filter(rng.normal(size=z.shape), config.blur_px)
    noise += 0.8 * soft / soft.std()
    out = z + config.depth_m * z**2 * noise
    if config.step_m > 0:
        out = np.round(out / config.step_m) * config.step_m
    near, far = minimum_filter(z, 3), maximum_filter(z, 3)
    edge = far - near > config.edge_m
    dice = rng.uniform(size=z.shape)
    between = near + rng.uniform(size=z.shape) * (far - near)
    out = np.where(edge & (dice > 1 - config.edge_between), between, out)
    rows, columns = np.gradient(z)
    slope = np.hypot(columns * camera.fx, rows * camera.fy) / np.maximum(z, 1e-6)
    # The slope of depth against viewing direction is the tangent of the surface's tilt.
    lost = (np.arctan(slope) > config.steep_rad) & ~edge
    lost |= edge & (dice < config.edge_lost)
    lost |= rng.uniform(size=z.shape) < config.lost
    return np.where(lost | (z <= 0), 0.0, out).astype(np.float32)


def add_color_noise(
    color: NDArray[np.uint8], rng: np.random.Generator, config: DepthNoiseConfig
) -> NDArray[np.uint8]:
    """Return an image [H, W, 3] as a sensor gives it."""
    soft = gaussian_filter(color.astype(np.float64), (0.5, 0.5, 0))
    return np.clip(soft + rng.normal(0, config.color, color.shape) + 0.5, 0, 255).astype(np.uint8)
