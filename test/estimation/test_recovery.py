"""A lost robot is searched beside tracking, and believed only once images agree."""

import dataclasses
import time

import numpy as np
import pytest

from drrobot_ros.estimation import (
    Observation,
    StopReason,
    Tracker,
    TrackerConfig,
    TrackingState,
)
from drrobot_ros.estimation.belief import Evidence
from drrobot_ros.estimation.localization import Candidate, Localization
from drrobot_ros.estimation.manifold import Coordinates
from drrobot_ros.estimation.recovery import (
    EVERY,
    Query,
    Recovery,
    flips,
    in_thread,
    nearest_turn,
    revolute_joints,
    trial,
    wait_for_searches,
)
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
T = look_at((1.35, 0.75, 0.75), (0.1, 0.0, 0.35))
Q = np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3])
IMAGE = Observation(np.zeros((240, 320, 3), np.uint8), CAMERA, 0.0)


class Finder:
    """Stands in for the localizer: remembers what it was asked, finds what it is told."""

    def __init__(self, q=Q):
        self.guesses, self.q = [], q

    def find(self, observation, guess, rng):
        self.guesses.append(guess)
        if self.q is None:
            raise RuntimeError("no such thing")
        return Localization([Candidate(self.q, T, 1.0, 1.0, None)], 1.0, True)


def made(arm, finder, run=lambda work: work(), clock=lambda: 0.0):
    recovery = Recovery(arm, None, run, clock)
    recovery._localizer = finder
    return recovery


def test_what_colours_alone_found_has_to_prove_itself_for_longer():
    depth = dataclasses.replace(IMAGE, depth_m=np.ones((240, 320), np.float32))

    def images_until_believed(observation, margin):
        belief = trial(Query("camera", observation, Q, T), 3)
        for i in range(1, 20):
            seen = Evidence(1.0, 100.0, StopReason.CONVERGED, margin, 1.0)
            if belief.judge(TrackerConfig(), seen) is TrackingState.TRACKING:
                return i
        return None

    assert images_until_believed(depth, -0.03) == images_until_believed(depth, 0.03) == 3
    assert images_until_believed(IMAGE, 0.0) == 6
    assert images_until_believed(IMAGE, -0.03) is None


def test_looks_nearby_before_it_looks_everywhere(arm):
    finder = Finder()
    recovery = made(arm, finder)
    for _ in range(2 * EVERY):
        assert recovery.start(Query("camera", IMAGE, Q, T), "anywhere", 0.3)
        assert recovery.take().q == pytest.approx(Q[None])
    everywhere = [g.q is None for g in finder.guesses]
    assert everywhere == ([False] * (EVERY - 1) + [True]) * 2
    assert finder.guesses[1].q_sigma > finder.guesses[0].q_sigma == 0.3
    recovery.reset()
    for _ in range(EVERY):
        recovery.start(Query("camera", IMAGE, Q, T, hint=Q + 0.1), "near", 0.3)
        recovery.take()
    assert all(g.q == pytest.approx(Q + 0.1) for g in finder.guesses[-EVERY:])


def test_one_search_at_a_time_and_its_progress_in_words(arm):
    work, now = [], [0.0]
    recovery = made(arm, Finder(), work.append, lambda: now[0])
    query = Query("camera", IMAGE, Q, T)
    assert recovery.progress == ""
    assert recovery.start(query, "near", 0.3)
    now[0] = 1.5
    assert not recovery.start(query, "near", 0.3)
    assert recovery.progress == "searching around the last estimate, attempt 1, for 1.5 s"
    assert recovery.take() is None
    work.pop()()
    assert recovery.take() is not None
    assert recovery.take() is None and not recovery.searching


def test_the_answer_to_what_was_asked_before_a_reset_is_dropped(arm):
    work = []
    recovery = made(arm, Finder(), work.append)
    recovery.start(Query("camera", IMAGE, Q, T), "near", 0.3)
    recovery.reset()
    work.pop()()
    assert recovery.take() is None
    assert recovery.start(Query("camera", IMAGE, Q, T), "near", 0.3)


def test_a_search_that_fails_says_so_and_finds_nothing(arm):
    recovery = made(arm, Finder(None))
    recovery.start(Query("camera", IMAGE, Q, T), "near", 0.3)
    assert len(recovery.take().q) == 0
    assert "no such thing" in recovery.failure


def test_the_end_of_the_process_waits_for_a_search():
    done = []
    in_thread(lambda: (time.sleep(0.3), done.append(True)))
    assert not done
    wait_for_searches()
    assert done


def test_what_was_found_moves_on_with_the_encoders(arm):
    recovery = made(arm, Finder())
    readings = np.where(np.arange(6) == 2, np.nan, Q + 0.05)
    recovery.start(Query("camera", IMAGE, Q, T, readings), "near", 0.3)
    coordinates = Coordinates.of(arm.tree, arm.nq, arm.nv)
    (q,) = recovery.take().carried(readings + 0.1, coordinates)
    assert q - Q == pytest.approx(np.where(np.arange(6) == 2, 0.0, 0.1))


def test_flips_stay_within_the_limits(arm):
    limits = np.full(6, -2.0), np.full(6, 4.0)
    found = flips(Q, revolute_joints(arm), limits)
    assert found and all((f >= -2).all() and (f <= 4).all() for f in found)
    assert any(np.allclose(f - Q, [np.pi, 0, 0, 0, 0, 0]) for f in found)
    assert len(flips(Q, revolute_joints(arm), (limits[0] - 9, limits[1] + 9))) == 6 + 4


def test_whole_turns_are_those_of_the_last_estimate(arm):
    limits = np.full(6, -6.0), np.full(6, 6.0)
    q = np.array([5.0, -3.0, 5.0, 0.1, 3.0, 0.0])
    near = np.array([-1.0, 3.0, 5.5, 0.0, -5.0, 0.0])
    found = nearest_turn(q, near, revolute_joints(arm), limits)
    turn = 2 * np.pi
    assert found == pytest.approx([5.0 - turn, -3.0 + turn, 5.0, 0.1, 3.0 - turn, 0.0])
    tight = limits[0] / 2, limits[1] / 2 + 2
    assert nearest_turn(q, near, revolute_joints(arm), tight)[4] == 3.0


def follow(arm, gaussians, start, poses, blank=()):
    """Return the estimates of a tracker that starts from somewhere, with depth, search at once."""
    try:
        robot = SimulatedRobot(arm, CAMERA, T, SceneConfig(background="room"))
    except Exception as error:
        pytest.skip(f"no off-screen rendering: {error}")
    config = TrackerConfig(budget_ms=0.0, lost_after=3, recovery_confirm=2, recovery="near")
    tracker = Tracker(arm, gaussians, config, run_search=lambda work: work())
    tracker.reset(start, T)
    estimates = []
    for i, q in enumerate(poses):
        frame = robot.render(q)
        seen = Observation(frame.rgb, CAMERA, i / 30, depth_m=frame.depth_m)
        if i in blank:
            seen = dataclasses.replace(seen, image=np.full_like(frame.rgb, 90), depth_m=None)
        estimates.append(tracker.update(seen))
    robot.close()
    return estimates


@pytest.fixture(scope="module")
def gaussians(arm):
    return GaussianRobot.from_model(arm, count=6000, seed=0)


OFF = np.radians(60) * np.array([1, -1, 1, 1, -1, -1])


@pytest.mark.parametrize("how", ["start", "teleported", "covered"])
def test_finds_an_arm_sixty_degrees_off(arm, gaussians, how):
    there = np.clip(Q + OFF, arm.lower, arm.upper)
    n = 10
    poses, start, blank = [there] * n, Q, ()
    if how != "start":
        poses[:2] = [Q] * 2
    if how == "covered":
        poses, blank = [*poses, *[there] * 4], range(2, 5)
    estimates = follow(arm, gaussians, start, poses, blank)
    last = estimates[-1]
    assert last.state is TrackingState.TRACKING
    assert np.degrees(np.abs(last.q - there)[:5]).max() < 6.0
    for e, q in zip(estimates, poses, strict=True):
        if e.state is TrackingState.TRACKING:
            assert np.degrees(np.abs(e.q - q)[:5]).max() < 6.0
    assert any(e.searching for e in estimates)
