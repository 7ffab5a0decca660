"""States from agreement: uncertain at once, lost only when it lasts."""

import pytest

from drrobot_ros.estimation import StopReason, TrackerConfig, TrackingState
from drrobot_ros.estimation.belief import Belief, Evidence

CONFIG = TrackerConfig(uncertain_agreement=0.8, lost_agreement=0.6, lost_after=3)


def judge(belief, agreement, visible=100.0, reason=StopReason.CONVERGED, margin=None, **more):
    return belief.judge(CONFIG, Evidence(agreement, visible, reason, margin, **more))


def test_starts_with_a_search_and_settles_when_it_agrees():
    belief = Belief()
    assert belief.search_due
    assert judge(belief, 0.7) is TrackingState.UNCERTAIN
    assert belief.search_due
    assert judge(belief, 0.9) is TrackingState.TRACKING
    assert not belief.search_due


def test_short_doubt_is_waited_out():
    belief = Belief()
    judge(belief, 0.9)
    for _ in range(2):
        assert judge(belief, 0.5) is TrackingState.UNCERTAIN
        assert not belief.search_due
    assert judge(belief, 0.9) is TrackingState.TRACKING
    assert not belief.gave_up


@pytest.mark.parametrize(("agreement", "state"), [(0.5, "LOST"), (0.7, "UNCERTAIN")])
def test_lasting_doubt_searches_again(agreement, state):
    belief = Belief()
    judge(belief, 0.9)
    states = [judge(belief, agreement) for _ in range(3)]
    assert states[-1] is TrackingState[state]
    assert belief.gave_up and belief.search_due
    judge(belief, agreement)
    assert not belief.gave_up


def test_what_is_not_seen_is_lost_at_once():
    assert judge(Belief(), 1.0, visible=0.0) is TrackingState.LOST
    assert judge(Belief(), 1.0, reason=StopReason.NOTHING_VISIBLE) is TrackingState.LOST


def test_a_better_neighbour_makes_it_uncertain_until_it_is_gone():
    belief = Belief()
    assert judge(belief, 0.95, margin=0.05) is TrackingState.TRACKING
    assert judge(belief, 0.95, margin=-0.5) is TrackingState.UNCERTAIN
    assert judge(belief, 0.95) is TrackingState.UNCERTAIN  # not looked for: what was seen holds
    for _ in range(8):
        state = judge(belief, 0.95, margin=0.05)
    assert state is TrackingState.TRACKING
    assert belief.margin == pytest.approx(0.05, abs=0.03)


def test_a_start_on_trial_has_to_agree_with_several_images_in_a_row():
    belief = Belief(confirm=3)
    states = [judge(belief, a) for a in (0.9, 0.9, 0.7, 0.9, 0.9, 0.9, 0.9)]
    assert [s is TrackingState.TRACKING for s in states] == [False] * 5 + [True] * 2


def test_on_trial_neighbours_must_not_do_better():
    """Later they may, by as much as is configured: a pose that was confirmed is kept."""
    belief = Belief(confirm=2, least_margin=-0.01)
    states = [judge(belief, 0.9, margin=m) for m in (-0.03, 0.0, 0.03, 0.03)]
    assert [s is TrackingState.TRACKING for s in states] == [False, False, False, True]
    assert judge(belief, 0.9, margin=-0.09) is TrackingState.TRACKING
    assert belief.margin < -0.01
    plain = Belief(confirm=2)
    states = [judge(plain, 0.9, margin=-0.03) for _ in range(3)]
    assert states[-1] is TrackingState.TRACKING


@pytest.mark.parametrize("evidence", [{"outline": 0.7}, {"depth": 0.4}])
def test_outline_and_depth_can_contradict_an_agreement(evidence):
    belief = Belief()
    assert judge(belief, 0.95, outline=1.0, depth=0.9) is TrackingState.TRACKING
    states = [judge(belief, 0.95, **evidence) for _ in range(3)]
    assert states[0] is TrackingState.UNCERTAIN and states[-1] is TrackingState.LOST
    assert belief.gave_up
