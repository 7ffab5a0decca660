"""What can move or change in a simulated scene besides the robot."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import SceneConfig, SimulatedRobot

CAMERA = PinholeCamera.from_fov(160, 120, 0.9)
T_BASE_CAMERA = look_at((1.6, 0.0, 0.6), (0.0, 0, 0.3))


@pytest.fixture
def arm(robot, graphics):
    return robot("six_axis_arm")


def test_lights_scale_what_is_seen_and_come_back(arm):
    with SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, SceneConfig(shadows=False)) as simulated:
        before = simulated.render(arm.neutral(), truth=False).rgb.astype(float)
        simulated.set_light(np.array([0.5, 0.5, 0.25]))
        dim = simulated.render(arm.neutral(), truth=False).rgb.astype(float)
        simulated.set_light(1.0)
        after = simulated.render(arm.neutral(), truth=False).rgb
        with pytest.raises(InputError, match="factor"):
            simulated.set_light(-1.0)
    lit = (before > 40) & (before < 200)
    ratio = np.where(lit, dim / np.maximum(before, 1), np.nan)
    assert np.nanmedian(ratio[..., 0]) == pytest.approx(0.5, abs=0.03)
    assert np.nanmedian(ratio[..., 2]) == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(after, before)


def test_a_person_stands_on_the_floor_where_told_and_is_not_the_robot(arm):
    scene = SceneConfig(shadows=False, person=True)
    with SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, scene) as simulated:
        simulated.set_person(np.array([-0.8, 9.0]), 0.0)
        without = simulated.render(arm.neutral())
        simulated.set_person(np.array([-0.8, 0.5]), 0.0)
        behind = simulated.render(arm.neutral())
        simulated.set_person(np.array([0.8, 0.0]), 0.0)
        before = simulated.render(arm.neutral())
    changed = np.abs(behind.rgb.astype(int) - without.rgb).max(-1) > 20
    columns = np.nonzero(changed)[1]
    assert changed.sum() > 300
    assert (columns > 80).mean() > 0.95  # +y is on the right of a camera that looks along -x
    np.testing.assert_array_equal(behind.mask, without.mask)
    assert before.mask.sum() < 0.5 * without.mask.sum()


def test_nobody_can_be_moved_who_is_not_there(arm):
    simulated = SimulatedRobot(arm, CAMERA, T_BASE_CAMERA, SceneConfig())
    with simulated, pytest.raises(InputError, match="nobody"):
        simulated.set_person(np.zeros(2), 0.0)
