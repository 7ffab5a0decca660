"""The robot in the picture explains its own pixels."""

import dataclasses
import importlib

import numpy as np
import pytest
from scene_tables import QUICK, table

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import look_at
from drrobot_ros.rendering.robot import render_robot
from drrobot_ros.scene import RobotInView, reconstruct
from drrobot_ros.scene.robot_pixels import robot_pixels
from drrobot_ros.splats import GaussianRobot


@pytest.fixture(scope="module")
def arm(robot):
    model = robot("six_axis_arm")
    gaussians = GaussianRobot.from_model(model, 3000, seed=1)
    return RobotInView(model, gaussians, model.home().numpy())


@pytest.fixture(scope="module")
def with_arm(arm):
    """Return a table with a robot in front of a part of it, and where the robot is seen."""
    given, _, owner = table()
    # The robot's base far behind the table: moved there by the camera's pose.
    T = look_at((0.1, -2.0, 0.9), (0.0, 0.0, 0.3))
    _, alpha, depth = render_robot(arm.model, arm.gaussians, arm.q, T, given.camera)
    alpha, depth = alpha.detach().numpy(), depth.detach().numpy()
    return dataclasses.replace(given, T_base_camera=T, robot=arm), alpha, depth, owner


def test_pixels_are_those_where_the_robot_is_drawn_and_nearest(with_arm):
    given, alpha, depth, _ = with_arm
    assert (alpha > 0.9).sum() > 200
    behind = np.where(alpha > 0.5, depth, 5.0)
    found = robot_pixels(given, behind)
    assert found[alpha > 0.9].all()
    assert found.mean() < 4 * (alpha > 0.5).mean()
    assert not robot_pixels(given, np.full_like(depth, 0.3)).any()  # all is before the robot
    nobody = dataclasses.replace(given, robot=None)
    assert not robot_pixels(nobody, behind).any()


def test_a_wrong_pose_is_named(with_arm):
    given = with_arm[0]
    q = np.array(given.robot.q)
    q[0] = np.nan
    wrong = dataclasses.replace(given, robot=dataclasses.replace(given.robot, q=q))
    with pytest.raises(InputError, match="finite"):
        robot_pixels(wrong, np.ones((240, 320), np.float32))


def test_an_object_does_not_take_the_robots_pixels(arm, monkeypatch):
    """A rod before an object, in its box, is the object's until a robot explains it."""
    given, _, owner = table(("box",), seed=3)
    rod = np.zeros(owner.shape, bool)
    rows, columns = np.nonzero(owner == 0)
    rod[: rows.min() + 12, columns.max() - 25 : columns.max() - 5] = True
    near = given.depth_m[owner == 0].min() - 0.02
    depth = np.where(rod, near, given.depth_m).astype(np.float32)
    color = given.color.copy()
    color[rod] = given.color[owner == 0][0]
    seen = dataclasses.replace(given, depth_m=depth, color=color)
    config = dataclasses.replace(QUICK, appearance=False, meshes=False)
    taken = reconstruct(seen, config).objects[0].mask
    stages = importlib.import_module("drrobot_ros.scene.reconstruct")
    monkeypatch.setattr(stages, "robot_pixels", lambda *_: rod)
    explained = reconstruct(dataclasses.replace(seen, robot=arm), config).objects[0].mask
    assert (taken & rod).sum() > 20
    assert not (explained & rod).any()
    own = (owner == 0) & ~rod
    assert (explained & own).sum() > 0.85 * own.sum()
