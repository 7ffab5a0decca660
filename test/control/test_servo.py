"""The loop closed by sight, against an arm whose encoders are wrong and a camera that is late."""

from collections import deque

import numpy as np
import pytest

from drrobot_ros.control.execution import CommandedMotion
from drrobot_ros.control.following import ClockWatch, FollowingConfig, FollowingMonitor
from drrobot_ros.control.safety import SafetyGate
from drrobot_ros.control.servo import OffsetObserver, ServoConfig, ServoState, VisualServo
from drrobot_ros.errors import InputError
from drrobot_ros.simulation.referee import Referee

HOME = np.array([0.0, 0.4, 0.8, 0.0, 0.5, 0.0])
GOAL = HOME + np.array([0.8, -0.3, 0.2, 0.4, -0.2, 0.5])
OFFSETS = np.deg2rad([5.0, -5.0, -5.0, 5.0, -5.0, 5.0])
TICK_S, LEAD_S = 0.02, 0.03


@pytest.fixture(scope="module")
def gate(arm) -> SafetyGate:
    return SafetyGate(arm)


class World:
    """An arm that goes by wrong encoders, and a camera that sees it late and not exactly."""

    def __init__(self, gate: SafetyGate, config: ServoConfig, goal=GOAL, offsets=OFFSETS) -> None:
        self.offsets, self.random = offsets, np.random.default_rng(0)
        self.motion = CommandedMotion(gate, HOME + offsets)
        self.servo = VisualServo(self.motion, goal, config, 0.0)
        self.now_s, self.told, self._seen, self._frame_s = 0.0, [], deque(), 0.0
        self.sigma = np.full(6, 0.003)
        self.sees = True

    def encoders(self, time_s: float):
        return self.motion.at(time_s - 0.01)[0]  # the arm lags

    def true_q(self):
        return self.encoders(self.now_s) - self.offsets

    def tick(self) -> None:
        self.told.append(self.motion.at(self.now_s)[0])
        if self.sees and self.now_s >= self._frame_s:
            self._frame_s += 1 / 15
            seen = self.true_q() + self.random.normal(0, np.deg2rad(0.2), 6)
            self._seen.append((self.now_s, seen))
        while self._seen and self._seen[0][0] < self.now_s - 0.08:
            stamp_s, seen = self._seen.popleft()
            self.servo.see(stamp_s, seen, self.sigma, self.encoders(stamp_s))
        motion = self.servo.step(self.now_s, self.now_s + LEAD_S)
        if motion is not None:
            self.motion.take(motion, self.now_s + LEAD_S)
        self.now_s += TICK_S

    def run(self, seconds: float) -> None:
        end = self.now_s + seconds
        while self.now_s < end and not (self.servo.ended and self.motion.is_at_rest(self.now_s)):
            self.tick()


def faults(world: World, arm, models_root) -> list[str]:
    referee = Referee(models_root / "six_axis_arm" / "six_axis_arm.urdf", arm.joint_names)
    limits, q = world.motion.limits, np.array(world.told)
    rates = {n: getattr(limits, n) for n in ("velocity", "acceleration", "jerk")}
    return referee.judge(q, TICK_S, true_q=q - world.offsets, **rates).faults()


def test_ends_where_it_is_seen_to_be_wanted(gate: SafetyGate, arm, models_root) -> None:
    world = World(gate, ServoConfig())
    world.run(20.0)
    assert world.servo.state == ServoState.REACHED
    assert np.rad2deg(np.abs(world.true_q() - GOAL)).max() < 0.35
    np.testing.assert_allclose(world.servo.observer.offsets, OFFSETS, atol=np.deg2rad(0.3))
    assert world.now_s < 8.0 and world.servo.corrections < 40
    assert faults(world, arm, models_root) == []


def test_pictures_that_are_compared_have_the_last_word(gate: SafetyGate) -> None:
    """What an estimator gets wrong at the goal is not in the difference of two pictures."""
    bias = np.deg2rad([0.5, -1.0, 1.0, 1.5, -1.5, 2.0])
    ends = {}
    for matched in (False, True):
        world = World(gate, ServoConfig())
        world.servo = VisualServo(world.motion, GOAL, ServoConfig(), 0.0, matched)
        see = world.servo.see

        def biased(stamp_s, seen, sigma, encoders, see=see, world=world) -> None:
            see(stamp_s, seen + bias, np.full(6, 0.03), encoders)
            if world.servo.wants_match and world.motion.is_at_rest(stamp_s):
                turn = GOAL - (encoders - world.offsets) + world.random.normal(0, 1e-3, 6)
                told = np.array([1e-3] * 5 + [1.0])  # the last joint does not show
                world.servo.match(stamp_s, turn, told, encoders)

        world.servo.see = biased
        world.run(20.0)
        ends[matched] = np.rad2deg(np.abs(world.true_q() - GOAL))
        assert not matched or world.servo.state == ServoState.REACHED
    assert ends[False].max() > 1.2
    assert ends[True][:5].max() < 0.3 and 1.0 < ends[True][5] < 2.6
    world.servo.unmatched()
    assert not world.servo.wants_match


def test_without_looking_the_error_of_the_encoders_stays(gate: SafetyGate) -> None:
    """What the loop is measured against."""
    motion = CommandedMotion(gate, HOME + OFFSETS)
    motion.take(motion.to(GOAL, 0.0), 0.0)
    np.testing.assert_allclose(np.rad2deg(np.abs(motion.goal - OFFSETS - GOAL)), 5.0, atol=1e-6)


@pytest.mark.parametrize("after_s", [0.7, 1.2])
def test_a_camera_that_falls_silent_stops_the_arm(
    gate: SafetyGate, arm, models_root, after_s: float
) -> None:
    far = HOME + np.array([2.5, -0.3, 0.2, 0.4, -0.2, 0.5])
    world = World(gate, ServoConfig(stale_s=0.3), far)
    world.run(after_s)
    assert not world.motion.is_at_rest(world.now_s)
    world.sees = False
    world.run(5.0)
    assert world.servo.state == ServoState.BLIND and "was not seen" in world.servo.reason
    assert world.motion.is_at_rest(world.now_s) and world.now_s < after_s + 1.3
    assert np.abs(world.true_q() - far).max() > 0.1
    assert faults(world, arm, models_root) == []


def test_what_cannot_be_is_not_believed(gate: SafetyGate) -> None:
    offsets = np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    world = World(gate, ServoConfig(), offsets=offsets)
    world.run(5.0)
    assert world.servo.state == ServoState.IMPLAUSIBLE
    assert "'joint_3' seems to be" in world.servo.reason
    with pytest.raises(InputError, match="goal: joint 'joint_1' at 9"):
        VisualServo(world.motion, np.full(6, 9.0), ServoConfig(), 0.0)


def test_a_goal_in_itself_is_refused_at_rest(gate: SafetyGate) -> None:
    world = World(gate, ServoConfig(), np.array([0.0, 1.87, 2.37, 0.0, 1.87, 0.0]))
    world.run(5.0)
    assert world.servo.state == ServoState.UNSAFE and "collision" in world.servo.reason
    assert world.servo.corrections == 0


def test_joints_that_are_not_seen_keep_their_encoders() -> None:
    observer = OffsetObserver(2, ServoConfig())
    for k in range(20):
        sigma = np.array([0.003, np.nan])
        observer.see(k / 15, np.array([0.1, 9.0]), sigma, np.array([0.2, 0.3]), np.zeros(2))
    np.testing.assert_allclose(observer.offsets, [0.1, 0.0], atol=1e-3)
    assert observer.sigma[1] > 0.14 and observer.sigma[0] < 0.01
    moving = OffsetObserver(1, ServoConfig(timing_s=0.1))
    moving.see(0.0, np.zeros(1), np.full(1, 0.003), np.full(1, 0.2), np.full(1, 1.0))
    assert 0.05 < moving.offsets[0] < 0.15  # in motion the stamps decide: believed by half


def test_what_was_learnt_wrong_is_learnt_anew() -> None:
    observer = OffsetObserver(1, ServoConfig())
    for k in range(60):
        wrong = np.full(1, 0.15 if k < 30 else 0.05)
        observer.see(k / 15, np.zeros(1), np.full(1, 0.003), wrong, np.zeros(1))
        if k == 29:
            assert observer.offsets[0] == pytest.approx(0.15, abs=1e-3)
    assert observer.offsets[0] == pytest.approx(0.05, abs=5e-3)


def test_an_arm_that_does_not_follow_is_noticed() -> None:
    monitor = FollowingMonitor(["a", "b"], FollowingConfig())
    monitor.restart(0.0)
    for t in np.arange(0, 1, 0.02):
        monitor.told(t, np.array([t, 0.0]))
        monitor.heard(t, np.array([max(t - 0.12, 0.0), np.nan]))  # late, as arms are
    assert monitor.problem(1.0) == "" and monitor.error < 0.01
    for t in np.arange(1, 1.3, 0.02):
        monitor.told(t, np.array([t, 0.0]))
        monitor.heard(t, np.array([0.7, 0.0]))
    assert "joint 'a' is 0." in monitor.problem(1.3)
    monitor.restart(2.0)
    assert monitor.problem(2.2) == ""
    assert "no joint states for 0.40 s" in monitor.problem(2.4)


def test_a_clock_that_is_set_is_noticed() -> None:
    watch = ClockWatch()
    assert [watch.jump_s(*x) for x in ((5.0, 1.0), (5.1, 1.1), (5.25, 1.2))] == [0.0, 0.0, 0.0]
    assert watch.jump_s(3.3, 1.3) == pytest.approx(-2.05)
    assert watch.jump_s(3.4, 1.4) == 0.0
