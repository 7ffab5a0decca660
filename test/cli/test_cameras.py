"""The camera as the command line gives it."""

import argparse

import numpy as np
import pytest

from drrobot_ros.commands.cameras import lens_from
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.geometry.lens import Lens
from drrobot_ros.geometry.pose_numbers import numbers_from_pose, pose_from_numbers
from drrobot_ros.recordings.camera_info import read_camera_info

CALIBRATION = """
image_width: 64
image_height: 48
camera_name: c
camera_matrix: {rows: 3, cols: 3, data: [60, 0, 32, 0, 61, 24, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0, 0, 0]}
"""


def options(**values):
    return argparse.Namespace(**{"camera": None, "camera_info": None, **values})


def test_intrinsics_from_four_numbers():
    camera = lens_from(options(camera=[60, 61, 30, 20]), 64, 48).camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60, 61, 30, 20)
    assert (camera.width, camera.height) == (64, 48)


def test_calibration_file(tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text(CALIBRATION)
    lens = lens_from(options(camera_info=str(file)), 64, 48)
    assert (lens.camera.fx, lens.camera.fy) == (60, 61)
    assert lens.distortion == (-0.3, 0.1, 0, 0, 0)
    with pytest.raises(InputError, match="is for 64x48, the images are 32x24"):
        lens_from(options(camera_info=str(file)), 32, 24)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("image_width: 3", "it needs image_width, image_height and camera_matrix"),
        ("[1, 2", "cannot read"),
        (CALIBRATION.replace("61,", ""), "reshape"),
        (CALIBRATION.replace("data: [60", "data: [0"), "calibrat"),
    ],
)
def test_wrong_calibration_files(tmp_path, text, complaint):
    file = tmp_path / "camera.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=complaint):
        read_camera_info(file)


def test_missing_calibration_file():
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        read_camera_info("nowhere.yaml")


def test_rectified_image_has_straight_lines():
    camera = PinholeCamera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48)
    image = np.zeros((48, 64, 3), np.uint8)
    image[4] = 255
    bent = Lens(camera, (-0.3, 0.1, 0, 0, 0)).rectify(image)
    middle, side = (int(np.argmax(bent[:12, x, 0])) for x in (32, 60))
    assert middle != side
    assert Lens(camera).rectify(image) is image


def test_pose_numbers_both_ways():
    # The camera one metre ahead, looking back: its z axis is -x, its x axis is +y.
    T = np.array([[0.0, 0, -1, 1], [1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1]])
    numbers = numbers_from_pose(T)
    np.testing.assert_allclose(pose_from_numbers(numbers), T, atol=1e-9)
    other_sign = [*numbers[:3], *(-2 * n for n in numbers[3:])]
    np.testing.assert_allclose(pose_from_numbers(other_sign), T, atol=1e-9)


def test_roll_pitch_yaw_turn_about_fixed_axes():
    T = pose_from_numbers([1, 2, 3, np.pi / 2, 0, np.pi / 2])
    # Roll takes y to z, then yaw takes x to y: the new x axis is y, the new y axis is z.
    np.testing.assert_allclose(T[:3, :3], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(T[:3, 3], [1, 2, 3])


@pytest.mark.parametrize("numbers", [[1] * 5, [0] * 7, [float("nan")] * 6])
def test_wrong_pose_numbers(numbers):
    with pytest.raises(InputError, match="pose"):
        pose_from_numbers(numbers)
