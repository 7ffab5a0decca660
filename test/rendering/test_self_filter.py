"""The robot taken out of depth images."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.rendering.self_filter import is_robot, without


def scene():
    """Return measured depth, coverage and rendered depth: a wall at 3 m, a robot at 1 m."""
    alpha = np.zeros((40, 60), np.float32)
    alpha[10:30, 20:40] = 1.0
    rendered = np.where(alpha > 0, 1.0, 0.0).astype(np.float32)
    depth = np.where(alpha > 0, 1.01, 3.0).astype(np.float32)
    return depth, alpha, rendered


def test_robot_goes_and_the_wall_stays():
    depth, alpha, rendered = scene()
    found = is_robot(depth, alpha, rendered, margin_m=0.05)
    np.testing.assert_array_equal(found, alpha > 0)
    left = without(depth, found)
    assert np.isnan(left[alpha > 0]).all() and (left[alpha == 0] == 3.0).all()
    assert without((1000 * depth).astype(np.uint16), found)[20, 30] == 0


def test_what_is_before_the_robot_stays():
    depth, alpha, rendered = scene()
    depth[15:20, 25:30] = 0.6  # a hand
    depth[25, 35] = np.nan
    depth[26, 35] = 0.0
    found = is_robot(depth, alpha, rendered, margin_px=3, margin_m=0.05)
    assert not found[15:20, 25:30].any()
    assert found[25, 35] and found[26, 35]
    # Nearer only by less than the margin: sensor noise, so the robot.
    depth[:] = np.where(alpha > 0, 0.97, 3.0)
    assert is_robot(depth, alpha, rendered, margin_m=0.05)[20, 30]
    assert not is_robot(depth, alpha, rendered, margin_m=0.02)[20, 30]


def test_margin_takes_the_fringe_too():
    depth, alpha, rendered = scene()
    depth[10:30, 18:20] = 1.02  # the robot is a little wider than it is rendered
    found = is_robot(depth, alpha, rendered, margin_px=3, margin_m=0.05)
    assert found[12:28, 17:20].all() and not found[20, 16]
    assert found[7, 30] and not found[6, 30]


def test_bad_input():
    depth, alpha, rendered = scene()
    with pytest.raises(InputError, match=r"\(20, 60\)"):
        is_robot(depth[:20], alpha, rendered)
    with pytest.raises(InputError, match="-1 px"):
        is_robot(depth, alpha, rendered, margin_px=-1)
