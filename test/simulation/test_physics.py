"""The world with physics: what rests, what is pushed, what is seen."""

import sys
from pathlib import Path

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel, primitives
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.physics import PhysicsWorld, Solid

sys.path.insert(0, str(Path(__file__).parents[1] / "grasping"))

from gantry import gantry_urdf

PLANE = (np.array([0.0, 0.0, 1.0]), 0.0)


@pytest.fixture(scope="module")
def model():
    return RobotModel.load(gantry_urdf())


def cube(name="cube", at=(0.1, 0.0, 0.02), half=0.02, **more) -> Solid:
    T = np.eye(4)
    T[:3, 3] = at
    return Solid(name, (primitives.box(np.full(3, half))[0],), T, **more)


def test_solids_fall_rest_and_keep_their_mass(model):
    world = PhysicsWorld(model, [cube(at=(0.1, 0, 0.06)), cube("far", (0.4, 0, 0.3), fixed=True)],
                         plane=PLANE)  # fmt: skip
    assert not world.touched_by("cube")
    world.step(0.05)
    assert not world.still()
    world.step(1.0)
    np.testing.assert_allclose(world.solid_pose("cube")[:3, 3], [0.1, 0, 0.02], atol=1e-3)
    np.testing.assert_allclose(world.solid_pose("far")[:3, 3], [0.4, 0, 0.3])
    assert world.touched_by("cube") == {"ground"} and world.still()
    world.reset()
    np.testing.assert_allclose(world.solid_pose("cube")[:3, 3], [0.1, 0, 0.06], atol=1e-9)


def test_joints_go_where_they_are_told(model):
    world = PhysicsWorld(model, plane=PLANE)
    start = model.home().numpy()
    world.place(start)
    np.testing.assert_allclose(world.q(), start, atol=1e-9)
    goal = start + np.array([0.1, -0.1, -0.1, 0.3, 0.2, -0.2, 0.02])
    world.target(goal)
    world.step(1.0)
    np.testing.assert_allclose(world.q(), goal, atol=2e-3)
    assert np.abs(world.qvel()).max() < 0.02
    # The finger that follows does follow, and the model agrees about where everything is.
    T = model.link_pose(model.neutral().new_tensor(world.q()), "right").numpy()
    np.testing.assert_allclose(world.link_pose("right"), T, atol=2e-3)


def test_hand_alone_pushes(model):
    world = PhysicsWorld(model, [cube()], plane=PLANE, hand="palm")
    T = np.eye(4)
    T[:3, :3] = np.diag([1.0, -1.0, -1.0])
    T[:3, 3] = [0.0, 0, 0.14]
    world.place_hand(T)
    np.testing.assert_allclose(world.link_pose("palm"), T, atol=1e-9)
    world.step(0.5, lambda t: world.move_hand(np.array([0.24 * t, 0, 0])))
    np.testing.assert_allclose(world.link_pose("palm")[:3, 3], [0.12, 0, 0.14], atol=0.02)
    assert world.solid_pose("cube")[0, 3] > 0.12
    with pytest.raises(InputError, match="no carriage"):
        PhysicsWorld(model).place_hand(T)


def test_friction_decides_what_slides(model):
    tilted = (np.array([np.sin(0.3), 0.0, np.cos(0.3)]), 0.0)
    slid = {}
    for friction in (0.1, 0.8):
        solid = cube(at=(0.006, 0, 0.0199))
        solid.T_base_solid[:3, :3] = [
            [np.cos(0.3), 0, np.sin(0.3)], [0, 1, 0], [-np.sin(0.3), 0, np.cos(0.3)]
        ]  # fmt: skip
        world = PhysicsWorld(model, [solid], plane=tilted)
        world.set_solid("cube", friction=friction, mass_kg=0.5)
        world.step(0.5)
        slid[friction] = float(world.solid_pose("cube")[0, 3])
    assert slid[0.1] > 0.1 and slid[0.8] < 0.02


def test_seen(model):
    camera = PinholeCamera.from_fov(96, 72, 0.7)
    T = look_at((0.9, 0.0, 0.5), (0.1, 0.0, 0.02))
    with PhysicsWorld(model, [cube(half=0.04, rgb=(0.9, 0.1, 0.1))], plane=PLANE,
                      look=SceneConfig()) as world:  # fmt: skip
        frame = world.render(camera, T)
        mask = frame.masks["cube"]
        assert mask.sum() > 30 and not (mask & frame.robot).any()
        distance = np.linalg.norm([0.8, 0.5])
        assert np.median(frame.depth_m[mask]) == pytest.approx(distance - 0.04, abs=0.04)
        red = frame.rgb[mask].mean(0)
        assert red[0] > 2 * red[1]
    with pytest.raises(InputError, match="cannot be drawn"):
        PhysicsWorld(model).render(camera, T)


def test_bad_solids(model):
    with pytest.raises(InputError, match="different names"):
        PhysicsWorld(model, [cube(), cube()])
    with pytest.raises(InputError, match="mass_kg must be positive"):
        cube(mass_kg=0.0)
    with pytest.raises(InputError, match="has no pieces"):
        Solid("a", (), np.eye(4))
    world = PhysicsWorld(model, [cube()])
    with pytest.raises(InputError, match="unknown solid 'ball'; valid: cube"):
        world.solid_pose("ball")
