"""Motions keep every limit, end where they should, and slow down no more than they must."""

import numpy as np
import pytest

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.timing import follow_path, move_to, stop
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError
from drrobot_ros.robot import RobotModel

RATE = 200.0
SHORT = """<mujoco><worldbody><body name="base"><geom size=".1"/><body name="slider">
<joint name="slide" type="slide" range="0 0.1" limited="true"/><geom size=".1"/>
</body></body></worldbody></mujoco>"""


@pytest.fixture
def limits(robot) -> MotionLimits:
    return MotionLimits.of(robot("six_axis_arm"), SafetyConfig())


def shares(limits: MotionLimits, motion: Trajectory) -> np.ndarray:
    """Largest shares of the limits of velocity, acceleration and jerk."""
    _, v, a = motion.sample(np.linspace(0, motion.duration_s, 3001))
    jerk = np.diff(motion.a, axis=0) * RATE
    pairs = ((v, limits.velocity), (a, limits.acceleration), (jerk, limits.jerk))
    return np.array([np.abs(x / limit).max() for x, limit in pairs])


def test_limits_are_the_stricter_of_robot_and_settings(robot) -> None:
    model = robot("six_axis_arm")
    wide = MotionLimits.of(model, SafetyConfig(velocity_scale=1.0, max_velocity=100.0))
    assert np.array_equal(wide.velocity, np.minimum(model.velocity_limit, 100.0))
    tight = MotionLimits.of(model, SafetyConfig(max_velocity=0.25, position_margin=0.1))
    assert (tight.velocity == 0.25).all()
    assert np.allclose(tight.lower, model.lower + 0.1)
    short = RobotModel.from_mjcf(SHORT)
    little = MotionLimits.of(short, SafetyConfig(position_margin=0.06))
    assert (little.lower < little.upper).all()  # a short joint keeps most of its range
    assert np.allclose(little.lower, short.lower + 0.05 * (short.upper - short.lower))


def test_moving_from_rest_is_straight_and_within_the_limits(limits: MotionLimits) -> None:
    start, goal = np.zeros(6), np.array([1.0, -0.6, 0.3, 0.8, -0.2, 0.0])
    motion = move_to(limits, start, goal, RATE)
    assert np.allclose(motion.q[0], start)
    assert np.allclose(motion.q[-1], goal, atol=1e-6)
    assert (shares(limits, motion) < 1.02).all()
    assert shares(limits, motion).max() > 0.9  # no slower than it must be
    along = motion.q @ goal / (goal @ goal)
    assert np.abs(motion.q - along[:, None] * goal).max() < 1e-3


def test_moving_on_while_in_motion_and_stopping(limits: MotionLimits) -> None:
    first = move_to(limits, np.zeros(6), np.full(6, 1.2), RATE)
    q, v, a = first.at(0.4 * first.duration_s)
    assert np.abs(v).max() > 0.1
    for motion in (
        move_to(limits, q, np.zeros(6), RATE, v, a),
        stop(limits, q, v, a, RATE),
    ):
        assert np.allclose(motion.v[0], v)
        assert np.abs(motion.v[-1]).max() < 1e-6
        assert (shares(limits, motion) < 1.02).all()
    assert stop(limits, q, v, a, RATE).duration_s < 1.0


@pytest.mark.parametrize("seconds", [0.2, 5.0, 60.0])
def test_a_path_keeps_its_points_and_is_only_slowed_down(
    limits: MotionLimits, seconds: float
) -> None:
    times = np.linspace(0, seconds, 9)
    points = 0.6 * np.sin(np.arange(9)[:, None] * [0.5, 0.7, 0.3, 0.9, 0.2, 0.4])
    motion = follow_path(limits, points, times, RATE)
    assert (shares(limits, motion) < 1.02).all()
    assert motion.duration_s >= seconds - 1e-9
    slower = motion.duration_s / seconds
    if seconds == 60.0:
        assert slower < 1.01
    if seconds == 0.2:
        assert shares(limits, motion).max() > 0.9
    there = motion.sample(times * slower)[0]
    assert np.abs(there - points).max() < 0.02


def test_samples_between_samples_follow_one_smooth_curve() -> None:
    t = np.linspace(0, 2, 21)
    motion = Trajectory(t, np.sin(t)[:, None], np.cos(t)[:, None], -np.sin(t)[:, None])
    fine = np.linspace(0, 2, 333)
    q, v, a = motion.sample(fine)
    assert np.abs(q[:, 0] - np.sin(fine)).max() < 1e-8
    assert np.abs(v[:, 0] - np.cos(fine)).max() < 1e-6
    assert np.abs(a[:, 0] + np.sin(fine)).max() < 1e-4
    assert motion.at(5.0)[1] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times_s": [0.0, 0.0]}, "sample 1 is at 0.0 s"),
        ({"times_s": [0.1, 0.2]}, "sample 0 is at 0.1 s"),
        ({"q": [[0.0], [np.nan]]}, "q of sample 1 is not finite"),
        ({"v": [[0.0]]}, r"v is \[1, 1\]; must be \[2, 1\]"),
    ],
)
def test_bad_trajectories_are_refused(change: dict, message: str) -> None:
    good = {"times_s": [0.0, 1.0], "q": [[0.0], [1.0]], "v": [[0.0]] * 2, "a": [[0.0]] * 2}
    with pytest.raises(InputError, match=message):
        Trajectory(**{**good, **change})


def test_bad_requests_are_refused(limits: MotionLimits) -> None:
    with pytest.raises(InputError, match=r"goal: joint 'joint_2' at 9.0000; valid"):
        move_to(limits, np.zeros(6), np.array([0, 9.0, 0, 0, 0, 0]), RATE)
    with pytest.raises(InputError, match="start must be 6 numbers"):
        move_to(limits, np.zeros(5), np.zeros(6), RATE)
    with pytest.raises(InputError, match="increasing"):
        follow_path(limits, np.zeros((2, 6)), np.array([0.0, 0.0]), RATE)
    with pytest.raises(InputError, match=r"points must be \[n, 6\]"):
        follow_path(limits, np.zeros((2, 5)), np.array([0.0, 1.0]), RATE)
