"""The pinhole camera: projection, resizing, pointing, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import PinholeCamera, look_at

K = np.array([[500.0, 0, 310], [0, 510, 250], [0, 0, 1]])


def test_field_of_view_reaches_the_top_of_the_image():
    camera = PinholeCamera.from_fov(640, 480, math.radians(60))
    top = torch.tensor([0.0, -math.tan(math.radians(30)), 1.0], dtype=torch.float64)
    pixel = camera.project(top)
    torch.testing.assert_close(pixel, torch.tensor([320.0, 0.0], dtype=torch.float64))
    assert camera.fx == camera.fy
    assert (camera.cx, camera.cy) == (320, 240)


def test_projection_is_right_and_down():
    camera = PinholeCamera(K, 640, 480)
    pixel = camera.project(torch.tensor([0.2, 0.1, 2.0], dtype=torch.float64))
    assert pixel.tolist() == pytest.approx([310 + 50, 250 + 25.5])


def test_unproject_undoes_project_with_skew():
    skewed = K.copy()
    skewed[0, 1] = 3.0
    camera = PinholeCamera(skewed, 640, 480)
    points = torch.randn(20, 3, dtype=torch.float64) + torch.tensor([0, 0, 5.0])
    pixels = camera.project(points)
    torch.testing.assert_close(camera.unproject(pixels, points[:, 2]), points)


def test_projection_has_gradients():
    camera = PinholeCamera(K, 640, 480)
    points = torch.tensor([[0.1, -0.2, 1.5]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(camera.project, points)


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0])
def test_scaled_camera_sees_the_same_at_scaled_pixels(scale):
    camera = PinholeCamera(K, 640, 480)
    small = camera.scaled(scale)
    point = torch.tensor([0.3, 0.2, 1.0], dtype=torch.float64)
    torch.testing.assert_close(small.project(point), scale * camera.project(point))
    assert (small.width, small.height) == (640 * scale, 480 * scale)


def test_resizing_to_whole_pixels_keeps_the_image_borders():
    camera = PinholeCamera(K, 640, 480).scaled(1 / 7)
    assert (camera.width, camera.height) == (91, 69)
    assert camera.cx / camera.width == pytest.approx(310 / 640)
    assert camera.fy / camera.height == pytest.approx(510 / 480)


def test_flat_k_of_a_ros_message_is_taken():
    assert PinholeCamera(K.ravel(), 640, 480).fy == 510


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.zeros((3, 3)), "not calibrated"),
        (np.full((3, 3), np.nan), "finite"),
        (np.eye(4), "3x3"),
        ("no matrix", "3x3"),
        (K.T, r"\[fx s cx"),
        (-K, "not calibrated"),
    ],
)
def test_wrong_intrinsics_are_refused(matrix, text):
    with pytest.raises(InputError, match=text):
        PinholeCamera(matrix, 640, 480)


@pytest.mark.parametrize("size", [(0, 480), (640, -1), (640.5, 480), (True, 480)])
def test_wrong_sizes_are_refused(size):
    with pytest.raises(InputError, match=r"width|height"):
        PinholeCamera(K, *size)


@pytest.mark.parametrize("angle", [0.0, math.pi, -1.0, math.nan])
def test_wrong_fields_of_view_are_refused(angle):
    with pytest.raises(InputError, match="vertical_fov_rad"):
        PinholeCamera.from_fov(640, 480, angle)


def test_camera_is_frozen():
    camera = PinholeCamera(K, 640, 480)
    with pytest.raises(ValueError, match="read-only"):
        camera.K[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        camera.width = 3  # pyright: ignore[reportAttributeAccessIssue]
    assert K[0, 0] == 500


def test_look_at_puts_the_target_in_the_middle_and_up_at_the_top():
    eye, target = [1.0, 2.0, 1.5], [0.1, 0.0, 0.4]
    T = look_at(eye, target)
    np.testing.assert_allclose(T[:3, :3].T @ T[:3, :3], np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    inverse = np.linalg.inv(T)
    in_camera = inverse @ [*target, 1]
    np.testing.assert_allclose(in_camera[:2], 0, atol=1e-12)
    assert in_camera[2] == pytest.approx(np.linalg.norm(np.subtract(eye, target)))
    above = inverse @ [0.1, 0.0, 0.6, 1]
    assert above[1] < 0
    assert above[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("eye", [[0, 0, 2.0], [0, 0, -2.0]])
def test_look_at_straight_down_is_still_a_rotation(eye):
    T = look_at(eye, [0, 0, 0])
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(T[:3, 2], [0, 0, -np.sign(eye[2])], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0, 0, 0], [0, 0, 0]), "coincide"),
        (([0, 0, math.nan], [0, 0, 0]), "eye"),
        (([0, 0, 1], [0, 0]), "target"),
        (([0, 0, 1], [1, 0, 0], [0, 0, 0]), "up"),
    ],
)
def test_look_at_refuses_nonsense(arguments, text):
    with pytest.raises(InputError, match=text):
        look_at(*arguments)
