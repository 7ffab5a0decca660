"""How far apart joints are in two pictures: read from the pictures alone."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.picture_difference import joints_between
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering.robot import render_robot

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])
TURN = np.deg2rad([0.8, -0.6, 0.7, -1.5, 1.2, 2.0])


@pytest.fixture(scope="module")
def eye(view) -> Viewpoint:
    return Viewpoint(PinholeCamera.from_fov(512, 384, 0.8), view.T_base_camera)


def picture(arm, splats, eye: Viewpoint, q: np.ndarray) -> np.ndarray:
    """The robot before a textured wall, its splats of many shades."""
    rng = np.random.default_rng(0)
    wall = np.repeat(np.repeat(rng.uniform(0.2, 0.8, (24, 32, 3)), 16, 0), 16, 1)
    with torch.no_grad():
        rgb, alpha, _ = render_robot(
            arm, splats, torch.from_numpy(q), eye.T_base_camera, eye.camera
        )
    mixed = rgb.numpy() + (1 - alpha.numpy()[..., None]) * wall
    return (255 * mixed.clip(0, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def shaded(splats):
    """Splats of random shades: corners that move with the surface."""
    torch.manual_seed(0)
    return dataclasses.replace(splats, colors=torch.rand_like(splats.colors))


def test_turns_are_read_from_two_pictures(arm, shaded, eye) -> None:
    now, wanted = (picture(arm, shaded, eye, q) for q in (Q, Q + TURN))
    guess = Q + np.deg2rad([0.3, -0.3, 0.3, 0.5, -0.5, 1.0])  # only differences are read
    found = joints_between(arm, shaded, now, wanted, eye, guess)
    assert found is not None and found.corners >= 20
    error = np.rad2deg(np.abs(found.q - TURN))
    assert error[:5].max() < 0.4 and error.max() < 0.8
    same = joints_between(arm, shaded, now, now, eye, Q)
    assert same is not None and np.rad2deg(np.abs(same.q)).max() < 0.02


def test_pictures_without_the_robot_tell_nothing(arm, shaded, eye) -> None:
    now = picture(arm, shaded, eye, Q)
    assert joints_between(arm, shaded, now, np.zeros_like(now), eye, Q) is None
    assert joints_between(arm, shaded, now, now[:-2], eye, Q) is None
    away = Viewpoint(eye.camera, eye.T_base_camera @ np.diag([-1.0, 1, -1, 1]))
    assert joints_between(arm, shaded, now, now, away, Q) is None
