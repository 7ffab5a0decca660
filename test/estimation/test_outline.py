"""Whether an outline lies on edges, and a surface on the depth seen."""

import dataclasses

import numpy as np
import pytest

from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import RenderedImages
from drrobot_ros.estimation.outline import depth_fit, outline_on_edges
from drrobot_ros.geometry.camera import PinholeCamera

CAMERA = PinholeCamera.from_fov(160, 120, 0.8)
RNG = np.random.default_rng(0)


def box(x=50, value=1.0):
    plane = np.zeros((120, 160), np.float32)
    plane[30:90, x : x + 40] = value
    return plane


def rendered(x=50):
    alpha = box(x)
    return RenderedImages(np.zeros((120, 160, 3), np.float32), alpha, 1.5 * alpha, None)


def level(contrast=20, noise=0.0, **more):
    grey = 120.0 + contrast * box() + 255 * noise * RNG.normal(size=(120, 160))
    pixels = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, -1)
    return Level(CAMERA, pixels, pixels / np.float32(255), None, None, None, **more)


@pytest.mark.parametrize("contrast", [8, 20, 100])
def test_an_outline_on_edges_is_told_from_one_beside_them(contrast):
    seen = level(contrast)
    assert outline_on_edges(seen, rendered()) > 0.99
    # Both horizontal edges still lie on those of the box.
    assert outline_on_edges(seen, rendered(60)) < 0.65
    assert outline_on_edges(seen, rendered(105)) < 0.1


def test_noise_is_no_edge():
    share = outline_on_edges(level(0, noise=0.08), rendered())
    assert share < 0.3
    assert outline_on_edges(level(120, noise=0.03), rendered()) > 0.9


def test_what_is_ignored_does_not_count():
    weight = np.ones((120, 160), np.float32)
    weight[:, 85:] = 0
    seen = level(40)
    seen.pixels[:, 86:] = 120  # something hides the right end of the box
    assert outline_on_edges(seen, rendered()) < 0.8
    assert outline_on_edges(dataclasses.replace(seen, weight=weight), rendered()) > 0.99
    assert outline_on_edges(dataclasses.replace(seen, weight=0 * weight), rendered()) is None


def test_a_robot_out_of_the_image_has_no_outline():
    assert outline_on_edges(level(), rendered(400)) is None


def test_depth_fits_where_the_surface_is_whatever_the_sensors_bias():
    wall = np.full((120, 160), 3.0, np.float32)
    there = np.where(box() > 0, np.float32(1.512), wall)
    seen = dataclasses.replace(level(), depth=there)
    assert depth_fit(seen, rendered()) > 0.99
    assert depth_fit(seen, rendered(60)) == pytest.approx(0.75, abs=0.02)
    assert depth_fit(seen, rendered(105)) == 0.0
    assert depth_fit(level(), rendered()) is None
    assert depth_fit(dataclasses.replace(seen, depth=0 * wall), rendered()) is None
