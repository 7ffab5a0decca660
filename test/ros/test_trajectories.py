"""Trajectories and the simulated arm's motion."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from drrobot_ros.errors import InputError
from drrobot_ros.ros.joints import JointNames
from drrobot_ros.ros.motion import Arm, Sway
from drrobot_ros.ros.trajectories import State, UnknownJointError, read_trajectory

NAMES = JointNames({"a": 0, "b": 1, "c": 2}, {"a": 0, "b": 1, "c": 2}, 3)
LIMITS = (np.array([-1.0, -2.0, -np.inf]), np.array([1.0, 2.0, np.inf]))
NOW = np.array([0.1, 0.2, 0.3])


def message(names, *points) -> JointTrajectory:
    """Return a trajectory of points (time, positions[, velocities[, accelerations]])."""
    out = JointTrajectory(joint_names=list(names))
    for time_s, positions, *rates in points:
        nanosec = round(time_s % 1 * 1e9)
        point = JointTrajectoryPoint(
            positions=[float(p) for p in positions],
            time_from_start=Duration(sec=int(time_s), nanosec=nanosec),
        )
        for field, values in zip(("velocities", "accelerations"), rates, strict=False):
            setattr(point, field, [float(v) for v in values])
        out.points.append(point)
    return out


def read(*arguments):
    return read_trajectory(message(*arguments), NAMES, State.at_rest(NOW), LIMITS)


def test_starts_where_the_arm_is_and_leaves_the_other_joints():
    trajectory = read(["c", "a"], (2.0, [1.3, 0.5]))
    np.testing.assert_allclose(trajectory.at(0), NOW)
    np.testing.assert_allclose(trajectory.at(1), [0.3, 0.2, 0.8])
    np.testing.assert_allclose(trajectory.at(2), [0.5, 0.2, 1.3])
    np.testing.assert_allclose(trajectory.at(99), [0.5, 0.2, 1.3])
    assert trajectory.duration_s == 2.0


def test_cubic_between_velocities():
    trajectory = read(["a"], (1.0, [0.5], [0.4]), (2.0, [0.0], [0.0]))
    h = 1e-5
    for time_s, velocity in ((0.0, 0.0), (1.0, 0.4), (2.0 - h, 0.0)):
        slope = (trajectory.at(time_s + h)[0] - trajectory.at(time_s)[0]) / h
        assert slope == pytest.approx(velocity, abs=1e-3)
    assert trajectory.at(1.0)[0] == pytest.approx(0.5)
    # Without velocities straight on.
    straight = read(["a"], (1.0, [0.5]), (2.0, [0.0]))
    assert straight.at(1.5)[0] == pytest.approx(0.25)


def test_quintic_between_accelerations_joins_a_motion_under_way():
    first = read(["a"], (1.0, [0.5], [0.4], [0.3]), (2.0, [0.8], [0.0], [0.0]))
    now = first.state(0.7)
    assert now.velocity[0] == pytest.approx(
        (first.at(0.7 + 1e-5) - first.at(0.7))[0] * 1e5, abs=1e-4
    )
    later = first.state(0.9)
    again = message(["a"], (0.0, later.q[:1], later.velocity[:1], later.acceleration[:1]))
    joined = read_trajectory(again, NAMES, now, LIMITS, wait_s=0.2)
    ways = [
        [t.at(x)[0] for x in np.linspace(x0, x0 + 0.2, 9)] for t, x0 in ((joined, 0), (first, 0.7))
    ]
    np.testing.assert_allclose(*ways, atol=1e-9)  # until it begins, the old motion goes on


def test_first_point_may_be_now():
    trajectory = read(["a"], (0.0, [0.4]), (1.0, [0.5]))
    assert trajectory.at(0)[0] == pytest.approx(0.4)
    assert trajectory.at(0.5)[0] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((["a"],), "no points"),
        (([], (1.0, [])), "names no joints"),
        ((["a", "a"], (1.0, [0, 0])), "twice"),
        ((["a"], (1.0, [0, 0])), "point 0 has 2 positions for 1 joints"),
        ((["a"], (1.0, [0], [0, 0])), "2 velocities for 1"),
        ((["a"], (1.0, [np.nan])), "not finite"),
        ((["a"], (2.0, [0]), (1.0, [0])), "times must increase: point 1 is at 1.0 s after 2.0"),
        ((["a"], (1.0, [0]), (1.0, [0])), "times must increase"),
        ((["a", "b"], (1.0, [0, 2.5])), r"joint 'b' at 2.5000; valid: -2.0000 to 2.0000"),
    ],
)
def test_unusable(arguments, words):
    with pytest.raises(InputError, match=words):
        read(*arguments)


def test_unknown_joint():
    with pytest.raises(UnknownJointError, match="unknown joint 'd'; valid: a, b, c"):
        read(["a", "d"], (1.0, [0, 0]))


def test_sway_starts_smoothly_and_keeps_to_the_limits():
    start = np.array([0.95, 0.0, 5.0])
    sway = Sway(start, NAMES, LIMITS)
    np.testing.assert_allclose(sway.at(0.0, 0.4, 4.0), start)
    q = np.array([sway.at(t, 0.4, 4.0) for t in np.arange(0, 20, 0.01)])
    assert (q >= LIMITS[0]).all() and (q <= LIMITS[1]).all()
    assert np.abs(np.diff(q[:3], axis=0)).max() < 1e-3
    assert np.ptp(q[400:], axis=0) == pytest.approx([0.8, 0.8, 0.8], abs=0.02)
    np.testing.assert_array_equal(sway.at(7.0, 0.0, 4.0)[1:], start[1:])


def test_arm_follows_and_holds():
    arm = Arm(Sway(NOW, NAMES, LIMITS), 10.0)
    arm.amplitude, arm.period_s = 0.3, 5.0
    before = arm.at(13.0)
    assert np.abs(before - NOW).max() > 0.05
    arm.follow(
        read_trajectory(message(["a"], (1.0, [0.9])), NAMES, State.at_rest(before), LIMITS), 13.0
    )
    np.testing.assert_allclose(arm.at(13.0), before)
    assert arm.at(20.0)[0] == pytest.approx(0.9)
    np.testing.assert_allclose(arm.at(20.0)[1:], before[1:])
    now = State.at_rest(arm.at(20.0))
    arm.follow(read_trajectory(message(["a"], (2.0, [-0.9])), NAMES, now, LIMITS), 20.0)
    arm.stop(21.0)
    np.testing.assert_allclose(arm.at(25.0)[0], 0.0, atol=1e-9)
