"""Rendered planes in the geometry of raw images, against OpenCV's projection and back again."""

import cv2
import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.geometry.raw_view import MAX_GROWTH, RawView

K = np.array([[190.0, 0, 161.3], [0, 185.0, 118.2], [0, 0, 1]])
CAMERA = PinholeCamera(K, 320, 240)
LENSES = {
    "barrel": Lens(CAMERA, (-0.3, 0.1, 1e-3, -2e-3, 0.0)),
    "pincushion": Lens(CAMERA, (0.15, 0.02, 0.0, 0.0, 0.0)),
    "rational": Lens(CAMERA, (0.4, -0.2, 1e-3, 1e-3, 0.01, 0.6, -0.1, 0.02), "rational_polynomial"),
    "fisheye": Lens(CAMERA, (0.02, -0.01, 0.003, -0.001), "equidistant"),
}


def raw_pixels(lens: Lens, points: np.ndarray) -> np.ndarray:
    """Return where OpenCV's model of a lens sees points [N, 3], our pixels [N, 2]."""
    shifted = lens.camera.K.copy()
    shifted[:2, 2] -= 0.5
    project = cv2.fisheye.projectPoints if lens.model == "equidistant" else cv2.projectPoints
    zero = np.zeros(3)
    pixels, _ = project(points[:, None], zero, zero, shifted, np.array(lens.distortion))
    return pixels[:, 0] + 0.5


@pytest.mark.parametrize("name", LENSES)
def test_a_rendered_dot_lands_where_the_lens_sees_it(name):
    lens = LENSES[name]
    view = RawView(lens)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.7, 0.7, (12, 2)), np.ones(12)])
    expected = raw_pixels(lens, points)
    seen = 0
    for point, pixel in zip(points, expected, strict=True):
        x, y = view.camera.K[:2] @ point
        if not (8 < pixel[0] < 312 and 8 < pixel[1] < 232):
            continue
        dots = np.mgrid[0 : view.camera.height, 0 : view.camera.width] + 0.5
        plane = np.exp(-((dots[1] - x) ** 2 + (dots[0] - y) ** 2) / (2 * 2.5**2))
        raw = view.raw(plane.astype(np.float32)).astype(float)
        rows, columns = np.mgrid[0:240, 0:320] + 0.5
        near = raw > 0.3  # the tails are stretched unevenly
        center = [(columns[near] * raw[near]).sum(), (rows[near] * raw[near]).sum()]
        np.testing.assert_allclose(np.array(center) / raw[near].sum(), pixel, atol=0.25)
        seen += 1
    assert seen > 5


@pytest.mark.parametrize("name", LENSES)
def test_there_and_back(name):
    lens = LENSES[name]
    view = RawView(lens)
    rows, columns = np.mgrid[0 : view.camera.height, 0 : view.camera.width]
    smooth = (np.sin(columns / 17) + np.cos(rows / 13)).astype(np.float32)
    back = lens.rectify_plane(view.raw(smooth))
    left = round(view.camera.cx - CAMERA.cx)
    top = round(view.camera.cy - CAMERA.cy)
    inside = smooth[top : top + 240, left : left + 320]
    covered = lens.rectify_plane(np.ones((240, 320), np.uint8)).astype(bool)
    assert covered.mean() > 0.7
    error = np.abs(back - inside)[covered]
    assert (
        np.quantile(error, 0.99) < 0.08
    )  # nearest neighbour there: a pixel of the pattern's slope


def test_the_canvas_holds_the_corners_that_a_rectified_image_loses():
    view = RawView(LENSES["barrel"])
    assert view.camera.width > 360 and view.camera.height > 260
    full = view.raw(np.ones((view.camera.height, view.camera.width), np.float32))
    assert full.min() > 0.99  # every raw pixel is looked up inside
    wide = PinholeCamera(np.array([[60.0, 0, 160], [0, 60, 120], [0, 0, 1]]), 320, 240)
    fisheye = RawView(Lens(wide, (1e-6, 0.0, 0.0, 0.0), "equidistant"))
    assert fisheye.camera.width <= 320 * MAX_GROWTH + 1


def test_nearest_does_not_mix_and_sizes_are_checked():
    view = RawView(LENSES["barrel"])
    steps = np.zeros((view.camera.height, view.camera.width), np.float32)
    steps[:, ::2] = 7.0
    assert set(np.unique(view.raw(steps, nearest=True))) == {0.0, 7.0}
    with pytest.raises(InputError, match=r"rendered should be"):
        view.raw(np.zeros((2, 2), np.float32))
    plain = RawView(Lens(CAMERA))
    plane = np.ones((240, 320), np.float32)
    assert plain.camera is CAMERA and plain.raw(plane) is plane
