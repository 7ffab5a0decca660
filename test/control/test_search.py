"""Search by looking only: limbs, breeding, limits; the prior of natural poses."""

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.limbs import Limbs
from drrobot_ros.control.limits import MotionLimits
from drrobot_ros.control.objectives import StayNear, Term, WeightedSum
from drrobot_ros.control.objectives.natural import NaturalPose
from drrobot_ros.control.search import SearchConfig, search_poses
from drrobot_ros.errors import InputError


def test_a_hands_limbs_are_its_fingers(robot) -> None:
    hand = robot("shadow_hand")
    limbs = Limbs.of(hand, hand.neutral().numpy())
    names = np.array(hand.joint_names)
    assert set(names[limbs.trunk]) == {"rh_WRJ2", "rh_WRJ1"}
    fingers = [{name[:5] for name in names[limb]} for limb in limbs.limbs]
    assert fingers == [{"rh_FF"}, {"rh_MF"}, {"rh_RF"}, {"rh_LF"}, {"rh_TH"}]
    travel = dict(zip(hand.joint_names, limbs.travel, strict=True))
    assert travel["rh_FFJ3"] == pytest.approx(1.57, abs=0.01)  # bends
    assert travel["rh_FFJ4"] == 0  # goes either way


def test_an_arm_is_one_limb_even_with_a_gripper(robot) -> None:
    for name in ("six_axis_arm", "franka_emika_panda"):
        model = robot(name)
        limbs = Limbs.of(model, model.neutral().numpy())
        assert not limbs.branched
        assert len(limbs.trunk) == 0 and len(limbs.limbs[0]) == model.nq


@pytest.mark.parametrize("name", ["shadow_hand", "six_axis_arm"])
def test_search_finds_a_far_pose_within_limits(robot, name: str) -> None:
    model = robot(name)
    limits = MotionLimits.of(model)
    start = np.clip(model.neutral().numpy(), limits.lower, limits.upper)
    goal = np.random.default_rng(3).uniform(limits.lower, limits.upper)
    objective = WeightedSum([Term(StayNear(goal))])
    few = SearchConfig(pool=300, rounds=0, kept=2)
    config = SearchConfig(pool=300, rounds=15, kept=2)
    drawn = search_poses(model, None, objective, start, limits, config=few)
    bred = search_poses(model, None, objective, start, limits, config=config)
    at_start = ((start - goal) ** 2).sum()
    assert drawn.costs[0] < at_start
    assert bred.costs[0] < 0.5 * drawn.costs[0]
    assert bred.tried == 300 + 15 * 60
    assert (bred.q >= limits.lower - 1e-9).all() and (bred.q <= limits.upper + 1e-9).all()
    assert np.abs(bred.q[0] - bred.q[1]).mean() >= config.apart
    assert ((bred.q[0] - goal) ** 2).sum() == pytest.approx(bred.costs[0])
    again = search_poses(model, None, objective, start, limits, config=config)
    assert np.array_equal(again.q, bred.q)


def test_search_holds_joints_and_stops(arm, arm_limits) -> None:
    start = np.full(6, 0.1)
    free = np.array([True, False, True, True, False, True])
    objective = WeightedSum([Term(StayNear(np.ones(6)))])
    found = search_poses(arm, None, objective, start, arm_limits, free=free)
    assert (found.q[:, ~free] == 0.1).all()
    calls = []

    def keep_on(share: float, q: np.ndarray) -> bool:
        calls.append(share)
        return len(calls) < 2

    stopped = search_poses(arm, None, objective, start, arm_limits, keep_on=keep_on)
    assert stopped.tried == 64 and 0 < calls[0] < calls[1] < 1
    with pytest.raises(InputError, match="start"):
        search_poses(arm, None, objective, np.full(6, 99.0), arm_limits)
    with pytest.raises(InputError, match="pool"):
        SearchConfig(pool=0)


def test_fingers_bent_as_wholes_look_natural(robot) -> None:
    hand = robot("shadow_hand")
    rest = hand.neutral().numpy()
    natural, limbs = NaturalPose(hand, rest), Limbs.of(hand, rest)
    bent, crooked, turned = rest.copy(), rest.copy(), rest.copy()
    first = limbs.limbs[0]
    bent[first] += 0.8 * limbs.travel[first]
    crooked[first[1]] += 0.8 * limbs.travel[first[1]]
    turned[limbs.trunk] = np.asarray(hand.lower)[limbs.trunk]
    q = torch.from_numpy(np.stack([rest, bent, crooked, turned])).requires_grad_()
    cost = natural(Candidate(hand, None, q))
    assert cost[0] < 1e-9
    assert cost[1] < 1e-6 and cost[2] > 0.01
    assert cost[3] > 0.1
    (gradient,) = torch.autograd.grad(cost.sum(), q)
    assert torch.isfinite(gradient).all() and gradient[2].abs().max() > 0
