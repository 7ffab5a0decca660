"""What an arm is told over time: joined smoothly, stopped in time, safe to the judge's eye."""

import numpy as np
import pytest

from drrobot_ros.control.config import SafetyConfig
from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.control.safety import SafetyGate, UnsafeMotionError
from drrobot_ros.control.stopping import rest_of, safe_stop
from drrobot_ros.control.timing import follow_path, move_to
from drrobot_ros.errors import InputError
from drrobot_ros.simulation.referee import Block, Referee

HOME = np.array([0.0, 0.4, 0.8, 0.0, 0.5, 0.0])
THERE = HOME + np.array([1.2, -0.3, 0.2, 0.3, -0.2, 0.5])
WALL = Block("wall", (0.02, 0.5, 1.0), (-0.25, 0.0, 0.0))
STEP_S = 0.01
PAN, LIFT = np.eye(6)[:2]


@pytest.fixture(scope="module")
def gate(arm) -> SafetyGate:
    T = np.eye(4)
    T[:3, 3] = WALL.at
    return SafetyGate(arm, SafetyConfig(), [Obstacle("wall", "box", WALL.half, T)])


@pytest.fixture(scope="module")
def referee(arm, models_root) -> Referee:
    file = models_root / "six_axis_arm" / "six_axis_arm.urdf"
    return Referee(file, arm.joint_names, [WALL])


def sampled(motion: CommandedMotion, begin_s: float, end_s: float) -> list[np.ndarray]:
    return [motion.at(t)[0] for t in STEP_S * np.arange(round(begin_s / STEP_S), end_s / STEP_S)]


def judged(
    referee: Referee, limits: MotionLimits, told: list, offsets: np.ndarray | float = 0.0
) -> list[str]:
    """Return the judge's complaints about what the arm was told."""
    q = np.array(told)
    rates = {n: getattr(limits, n) for n in ("velocity", "acceleration", "jerk")}
    return referee.judge(q, STEP_S, true_q=q - offsets, **rates).faults()


def test_the_judge_sees_collisions_and_jumps(referee: Referee, gate: SafetyGate) -> None:
    """It would not say otherwise whatever comes."""
    limits = {n: getattr(gate.limits, n) for n in ("velocity", "acceleration", "jerk")}
    motion = move_to(gate.limits, HOME, HOME + 2.9 * PAN, 100.0)
    verdict = referee.judge(motion.q, STEP_S, **limits)
    assert any("wall" in pair for pair in verdict.collisions) and verdict.deepest_m > 0.01
    q = motion.q[:40].copy()
    assert referee.judge(q, STEP_S, **limits).faults() == []
    q[20] += 0.003
    assert len(referee.judge(q, STEP_S, **limits).faults()) == 2
    assert referee.judge(q + 5.0, STEP_S, **limits).position > 1.0
    assert referee.contacts(np.array([0.0, 1.9, 2.4, 0, 1.9, 0]))[1]  # folded into itself


@pytest.mark.parametrize("at_s", [0.0, 0.1, 0.45, 0.8, 1.3])
def test_a_stop_is_quick_smooth_and_on_the_way(
    gate: SafetyGate, referee: Referee, at_s: float
) -> None:
    motion = CommandedMotion(gate, HOME)
    whole = motion.to(THERE, 0.0)
    motion.take(whole, 0.0)
    speed = np.abs(motion.at(at_s)[1]).max()
    stop = motion.stop(at_s)
    motion.take(stop, at_s)
    left_s = motion.end_s - at_s
    assert left_s <= whole.duration_s - at_s + 0.011
    assert left_s <= speed / gate.config.max_acceleration + 0.35  # jerk takes the rest
    assert judged(referee, gate.limits, sampled(motion, -0.1, motion.end_s + 0.1)) == []
    line = (THERE - HOME) / np.linalg.norm(THERE - HOME)
    off = motion.goal - HOME - ((motion.goal - HOME) @ line) * line
    np.testing.assert_allclose(off, 0.0, atol=1e-6)
    assert motion.is_at_rest(motion.end_s)
    assert speed == 0 or not motion.is_at_rest(at_s + 0.02)


def test_a_stop_keeps_to_a_curve_where_nothing_else_is_allowed(gate: SafetyGate) -> None:
    points = np.array([HOME, HOME + 0.5 * PAN + 0.4 * LIFT, HOME + PAN])
    curve = follow_path(gate.limits, points, np.array([0.0, 1.0, 2.0]), 100.0)
    dense = curve.sample(np.linspace(0, curve.duration_s, 4000))[0]

    def only_along(motion) -> None:
        gate.check(motion)
        if max(np.abs(dense - q).max(1).min() for q in motion.q) > 1e-3:
            raise InputError("off the curve")

    middle = 0.4 * curve.duration_s
    stop = safe_stop(gate.limits, curve, middle, 100.0, only_along)
    assert stop.duration_s < 0.8 * (curve.duration_s - middle)

    def nothing(_) -> None:
        raise InputError("no")

    left = safe_stop(gate.limits, curve, middle, 100.0, nothing)
    np.testing.assert_allclose(left.q[-1], curve.q[-1])
    np.testing.assert_allclose(rest_of(curve, middle).at(0.3)[0], curve.at(middle + 0.3)[0])


def test_goals_replace_each_other_in_motion(gate: SafetyGate, referee: Referee) -> None:
    random = np.random.default_rng(1)
    motion, now = CommandedMotion(gate, HOME), 0.0
    turned, told = 0, []
    for _ in range(12):
        goal = np.clip(HOME + random.normal(0, 0.5, 6), gate.limits.lower, gate.limits.upper)
        try:
            motion.take(motion.to(goal, now + 0.03), now + 0.03)
            turned += not motion.is_at_rest(now + 0.05)
        except UnsafeMotionError:
            pass
        later = now + STEP_S * random.integers(5, 60)
        told += sampled(motion, now, later)
        now = later
    told += sampled(motion, now, motion.end_s + 0.1)
    assert turned > 4
    assert judged(referee, gate.limits, told) == []


def test_offsets_are_added_for_the_arm_and_not_for_the_walls(
    gate: SafetyGate, referee: Referee
) -> None:
    offsets = np.deg2rad([5.0, -5.0, 5.0, -5.0, 5.0, -5.0])
    motion = CommandedMotion(gate, HOME + offsets, offsets)
    motion.take(motion.to(THERE, 0.0), 0.0)
    np.testing.assert_allclose(motion.goal, THERE + offsets, atol=1e-9)
    assert judged(referee, gate.limits, sampled(motion, -0.1, motion.end_s), offsets) == []
    # What its encoder would say is limited as well.
    edge = gate.limits.upper.copy()
    far = np.where(np.arange(6) == 0, edge - 0.01, HOME)
    with pytest.raises(UnsafeMotionError, match=r"'joint_1' would be commanded to .* off"):
        CommandedMotion(gate, HOME + offsets, offsets).to(far, 0.0)


def test_paths_start_where_the_arm_stands(gate: SafetyGate, referee: Referee) -> None:
    motion = CommandedMotion(gate, HOME + 0.01)
    path = move_to(gate.limits, HOME, THERE, 100.0)
    taken, report = motion.along(path, 0.0)
    assert report.nearest.spare_m > 0
    np.testing.assert_allclose(taken.q[0], HOME + 0.01)
    motion.take(taken, 0.0)
    assert judged(referee, gate.limits, sampled(motion, -0.1, motion.end_s)) == []
    with pytest.raises(UnsafeMotionError, match="still moving"):
        motion.along(path, 0.5)
    with pytest.raises(UnsafeMotionError, match="the motion starts at"):
        CommandedMotion(gate, HOME + 0.2).along(path, 0.0)


def test_nothing_unsafe_is_taken_over(gate: SafetyGate) -> None:
    motion = CommandedMotion(gate, HOME)
    for goal, error in (
        (HOME + 9.0, "valid:"),
        (np.full(6, np.nan), "valid:"),
        (HOME[:5], "must be 6 numbers"),
        (HOME + 2.9 * PAN, "wall"),
    ):
        with pytest.raises(InputError, match=error):
            motion.to(np.asarray(goal), 0.0)
    other = CommandedMotion(gate, HOME + 0.1)
    with pytest.raises(InputError, match="replaced meanwhile"):
        motion.take(other.to(THERE, 0.0), 0.0)
    assert motion.is_at_rest(0.0) and motion.end_s == -np.inf
    np.testing.assert_allclose(motion.stop(1.0).q, [HOME])
