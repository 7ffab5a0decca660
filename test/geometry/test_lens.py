"""Distortion: rectified images are what the pinhole would have seen."""

import cv2
import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import EQUIDISTANT, MODELS, Lens, lens_from_ros

K = np.array([[150.0, 0, 79.5], [0, 150, 59.5], [0, 0, 1]])
COEFFICIENTS = {
    "plumb_bob": (-0.25, 0.08, 0.002, -0.001, -0.01),
    "rational_polynomial": (0.3, -0.1, 0.001, 0.0, 0.01, 0.5, -0.05, 0.02),
    "equidistant": (-0.05, 0.01, 0.002, -0.001),
}
POINTS = np.array([[0.3, 0.2, 1.0], [-0.35, 0.1, 1.0], [0.05, -0.3, 1.0]])


def distorted_pixels(model, d):
    """Where OpenCV's forward model puts the points: independent of the maps under test."""
    d = np.array(d)
    zero = np.zeros(3)
    if model == EQUIDISTANT:
        found, _ = cv2.fisheye.projectPoints(POINTS[:, None], zero, zero, K, d)
    else:
        found, _ = cv2.projectPoints(POINTS, zero, zero, K, d)
    return found.reshape(-1, 2)


@pytest.mark.parametrize("model", MODELS)
def test_points_of_raw_images_are_rectified(model):
    d = COEFFICIENTS[model]
    lens = lens_from_ros(K, 160, 120, d, model)
    raw = distorted_pixels(model, d) + 0.5
    straight = POINTS[:, :2] * 150 + K[:2, 2] + 0.5
    assert np.abs(raw - straight).max() > 0.5
    np.testing.assert_allclose(lens.rectify_points(raw), straight, atol=2e-3)
    assert lens.rectify_points(np.zeros((0, 2))).shape == (0, 2)
    twice = lens.resized(320, 240).rectify_points(2 * raw)
    np.testing.assert_allclose(twice, 2 * straight, atol=4e-3)


@pytest.mark.parametrize("model", MODELS)
def test_points_come_back_to_where_the_pinhole_sees_them(model):
    d = COEFFICIENTS[model]
    lens = lens_from_ros(K, 160, 120, d, model)
    at = distorted_pixels(model, d)
    x, y = np.meshgrid(np.arange(160), np.arange(120))
    straight = POINTS[:, :2] * 150 + K[:2, 2]
    for (u, v), wanted in zip(at, straight, strict=True):
        raw = np.exp(-((x - u) ** 2 + (y - v) ** 2) / 8.0)
        image = np.repeat((255 * raw)[..., None], 3, axis=2).astype(np.uint8)
        seen = lens.rectify(image)[..., 0].astype(float)
        found = np.array([(seen * x).sum(), (seen * y).sum()]) / seen.sum()
        assert np.abs(found - wanted).max() < 0.15
        assert np.abs(wanted - [u, v]).max() > 0.3  # it was distorted at all


def test_depth_and_masks_are_not_mixed():
    lens = lens_from_ros(K, 160, 120, COEFFICIENTS["plumb_bob"])
    depth = np.where(np.arange(160) < 50, 1.0, 3.0).astype(np.float32) * np.ones(
        (120, 1), np.float32
    )
    assert set(np.unique(lens.rectify_plane(depth))) <= {0.0, 1.0, 3.0}
    mask = depth > 2
    assert lens.rectify_plane(mask).dtype == np.bool_


def test_pixels_beyond_the_raw_image_are_known():
    shrinks = lens_from_ros(K, 160, 120, (0.4, 0.0, 0.0, 0.0, 0.0))
    white = shrinks.rectify(np.full((120, 160, 3), 255, np.uint8))[..., 0]
    assert not shrinks.valid[0, 0] and shrinks.valid[60, 80]
    assert (white[~shrinks.valid] < 200).all()
    assert lens_from_ros(K, 160, 120).valid.all()


def test_nothing_to_do_is_nothing_done():
    image = np.zeros((120, 160, 3), np.uint8)
    assert lens_from_ros(K, 160, 120).rectify(image) is image
    assert lens_from_ros(K, 160, 120).camera.cx == 80.0


@pytest.mark.parametrize(
    ("model", "d", "complaint"),
    [
        ("thin_prism", (), "unknown distortion model 'thin_prism'; valid: plumb_bob"),
        ("equidistant", (0.1,) * 5, "equidistant has 0 or 4 coefficients, got 5"),
        ("plumb_bob", (float("nan"),) * 5, "must be finite"),
    ],
)
def test_bad_lenses(model, d, complaint):
    with pytest.raises(InputError, match=complaint):
        Lens(PinholeCamera(K, 160, 120), d, model)


def test_image_of_another_size():
    with pytest.raises(InputError, match="the image is 80x60, its camera 160x120"):
        lens_from_ros(K, 160, 120).rectify(np.zeros((60, 80, 3), np.uint8))
