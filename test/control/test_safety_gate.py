"""What breaks a limit is refused with the reason and the moment; what does not, passes."""

import numpy as np
import pytest
import torch

from drrobot_ros.control.collisions import CollisionChecker
from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
from drrobot_ros.control.timing import follow_path, move_to
from drrobot_ros.control.trajectory import Trajectory
from drrobot_ros.errors import InputError

HOME = np.array([0.0, -1.57, 1.2, -1.2, -1.57, 0.0])
ASIDE = HOME + np.array([0.8, 0.2, -0.2, 0.3, 0.2, 0.5])


@pytest.fixture(scope="module")
def ur5e(robot):
    return robot("universal_robots_ur5e")


@pytest.fixture(scope="module")
def gate(ur5e) -> SafetyGate:
    return SafetyGate(ur5e, SafetyConfig())


def test_a_planned_motion_passes_and_reports_its_shares(gate: SafetyGate) -> None:
    motion = move_to(gate.limits, HOME, ASIDE, 100.0)
    report = gate.check(motion, HOME)
    assert 0.9 < max(report.velocity, report.acceleration, report.jerk) < 1.01
    assert report.nearest.spare_m > 0
    assert report.checks > 10
    assert gate.check(Trajectory.still(HOME), HOME).velocity == 0


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("position", lambda m: Trajectory(m.times_s, m.q + 9 * np.eye(6)[1], m.v, m.a)),
        ("velocity", lambda m: Trajectory(m.times_s / 2, m.q, 2 * m.v, 4 * m.a)),
        ("start", lambda m: Trajectory(m.times_s, m.q + 0.05, m.v, m.a)),
        ("velocity", lambda m: Trajectory(m.times_s[:60], m.q[:60], m.v[:60], m.a[:60])),
    ],
)
def test_broken_limits_are_refused(gate: SafetyGate, kind: str, change) -> None:
    motion = change(move_to(gate.limits, HOME, ASIDE, 100.0))
    with pytest.raises(UnsafeMotionError, match=r"sample \d+") as refused:
        gate.check(motion, HOME if kind == "start" else None)
    assert refused.value.kind == kind


def test_jumps_between_samples_are_seen(gate: SafetyGate) -> None:
    motion = move_to(gate.limits, HOME, ASIDE, 100.0)
    q = motion.q.copy()
    q[70, 0] += 0.02  # one sample aside: its neighbours' velocities say nothing of it
    with pytest.raises(UnsafeMotionError) as refused:
        gate.check(Trajectory(motion.times_s, q, motion.v, motion.a))
    assert refused.value.kind in ("velocity", "acceleration")
    assert 68 <= refused.value.sample <= 71
    a = motion.a.copy()
    a[50:, 1] += 0.5
    with pytest.raises(UnsafeMotionError) as refused:
        gate.check(Trajectory(motion.times_s, motion.q, motion.v, a))


def test_a_thin_wall_in_the_way_is_met(ur5e) -> None:
    """Thinner than the way of the hand between two samples."""
    middle = ur5e.forward_kinematics(torch.from_numpy((HOME + ASIDE) / 2))[-1].numpy()
    wall = Obstacle("wall", "box", (0.001, 0.001, 0.3), middle)
    gate = SafetyGate(ur5e, SafetyConfig(), [wall])
    motion = move_to(gate.limits, HOME, ASIDE, 10.0)  # coarse samples
    with pytest.raises(UnsafeMotionError, match="obstacle/wall are") as refused:
        gate.check(motion, HOME)
    assert refused.value.kind == "collision"
    assert 0.2 < refused.value.time_s / motion.duration_s < 0.8


def test_every_moment_of_an_accepted_motion_keeps_half_the_margin(ur5e) -> None:
    """The promise between the moments that were measured, against measuring all of them."""
    there = ur5e.forward_kinematics(torch.from_numpy(HOME + 0.6 * np.eye(6)[0]))[-1].numpy()
    ball = Obstacle("ball", "sphere", (0.12,), there)
    config = SafetyConfig(collision_margin_m=0.02)
    gate = SafetyGate(ur5e, config, [ball])
    dense = CollisionChecker(ur5e, [ball], margin_m=0.02)
    random = np.random.default_rng(5)
    accepted = refused = 0
    for _ in range(25):
        goal = np.clip(HOME + random.normal(0, 0.7, 6), gate.limits.lower, gate.limits.upper)
        motion = move_to(gate.limits, HOME, goal, 50.0)
        every = motion.sample(np.linspace(0, motion.duration_s, 400))[0]
        worst = min(dense.nearest(q).spare_m for q in every)
        try:
            gate.check(motion)
        except UnsafeMotionError:
            refused += 1
            assert worst < 0.005
        else:
            accepted += 1
            assert worst > -0.01
    assert accepted > 3 and refused > 3


def test_corridor_and_workspace(ur5e) -> None:
    pan, lift = np.eye(6)[:2]
    around = np.stack([HOME, HOME + 0.4 * pan + 0.5 * lift, HOME + 0.8 * pan])
    narrow = SafetyGate(ur5e, SafetyConfig(corridor=0.3))
    curve = follow_path(narrow.limits, around, np.array([0.0, 2.0, 4.0]), 50.0)
    with pytest.raises(UnsafeMotionError, match=r"'shoulder_lift_joint' is 0\.5"):
        narrow.check(curve)
    narrow.check(move_to(narrow.limits, HOME, around[-1], 50.0))
    boxed = SafetyGate(ur5e, SafetyConfig(workspace=(-1.0, -1.0, -0.5, 1.0, 0.5, 1.5)))
    boxed.check(move_to(boxed.limits, HOME, HOME + 0.1 * pan, 50.0))
    with pytest.raises(UnsafeMotionError, match=r"leaves the box by .* along y"):
        boxed.check(move_to(boxed.limits, HOME, HOME + 1.8 * pan + 0.3 * lift, 50.0))


def test_wrong_settings_and_robots_are_refused(gate: SafetyGate, robot) -> None:
    with pytest.raises(InputError, match="workspace must be empty or two corners"):
        SafetyConfig(workspace=(0.0, 0.0, 0.0, -1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="has 5 joints, the robot 6"):
        gate.check(Trajectory.still(np.zeros(5)))
    with pytest.raises(InputError, match="ball or floating joints"):
        SafetyGate(robot("every_joint.xml"))
