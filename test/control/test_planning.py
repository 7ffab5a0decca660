"""Planner: goals alone and together, what is refused, cancelling, pictures, safe motions."""

import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate, Viewpoint
from drrobot_ros.control.goals import JointGoal, LinkPoseGoal, PictureGoal, SentenceGoal
from drrobot_ros.control.optimizers import StopReason
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import Planner, PlanRequest
from drrobot_ros.control.safety import UnsafeMotionError
from drrobot_ros.errors import InputError
from drrobot_ros.geometry.camera import look_at

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])
SHORT = PlanConfig(starts=1, iterations=60, budget_s=0.0)


@pytest.fixture(scope="module")
def planner(arm, splats) -> Planner:
    return Planner(arm, splats)


def picture(arm, splats, view, q) -> np.ndarray:
    with torch.no_grad():
        seen = Candidate(arm, splats, torch.from_numpy(q)[None], (view,)).render(0, 0)
    return (255 * seen.rgb.clamp(0, 1)).numpy().astype(np.uint8)


def test_a_picture_is_reached_by_gauss_newton(planner, arm, splats, view) -> None:
    goal = Q + np.radians([25, -25, 25, -25, 25, 0])
    told = []
    request = PlanRequest(
        [PictureGoal(picture(arm, splats, view, goal))],
        Q,
        [view],
        arm.joint_names[:5],
        PlanConfig(budget_s=0.0, method="gauss_newton"),
    )
    plan = planner.plan(request, lambda p: told.append(p) or True)
    assert np.degrees(np.abs(plan.q[0] - goal)).max() < 3
    assert plan.q[0, 5] == Q[5]
    assert plan.cost < plan.start_cost
    assert {"start", "goal", "result", "overlay", "losses"} <= set(plan.pictures)
    assert plan.pictures["overlay"].shape == (96, 128, 3)
    assert told[-1].picture().shape == (96, 128, 3)
    assert all(0 <= p.fraction <= 1 for p in told)
    assert plan.unseen_joints == ()
    again = planner.plan(request)
    assert np.array_equal(again.q, plan.q)
    motion = planner.trajectory(plan)
    assert np.allclose(motion.q[0], Q) and np.allclose(motion.q[-1], plan.q[0])


def test_joints_that_a_picture_does_not_show_are_named(planner, arm, splats, view) -> None:
    """A camera so near that only the base and what turns with it are in the picture."""
    eye = Viewpoint(view.camera, look_at(np.array([0.5, 0.3, 0.15]), np.array([0.0, 0.0, 0.1])))
    goal = PictureGoal(picture(arm, splats, eye, Q))
    config = PlanConfig(budget_s=0.0, start_spread=0.1, starts=1)
    plan = planner.plan(PlanRequest([goal], Q, [eye], (), config))
    assert set(arm.joint_names[4:]) <= set(plan.unseen_joints)
    assert not set(arm.joint_names[:2]) & set(plan.unseen_joints)


def test_goals_add_up(planner, arm) -> None:
    T = arm.forward_kinematics(torch.from_numpy(Q + 0.15))[-1].numpy()
    tip = arm.link_names[-1]
    config = PlanConfig(starts=2, iterations=250, budget_s=0.0, stay_near=0.0, joint_limits=0.0)
    plan = planner.plan(PlanRequest([LinkPoseGoal(tip, T)], Q, (), (), config))
    at = arm.forward_kinematics(torch.from_numpy(plan.q[0]))[-1].numpy()
    assert np.linalg.norm(at[:3, 3] - T[:3, 3]) < 0.002
    both = [JointGoal(Q + 0.2, 1.0), JointGoal(Q - 0.2, 3.0)]
    plan = planner.plan(PlanRequest(both, Q, (), (), config))
    assert np.allclose(plan.q[0], Q - 0.1, atol=5e-3)
    assert {"joints", "joints 2"} <= set(plan.terms)


def test_it_is_cancelled_at_any_step(planner, arm, splats, view) -> None:
    wanted = [PictureGoal(picture(arm, splats, view, Q + 0.3))]
    for stop_at in (1, 3, 6):
        steps = []
        plan = planner.plan(
            PlanRequest(wanted, Q, [view], (), SHORT),
            lambda p, steps=steps, last=stop_at: steps.append(p) or len(steps) < last,
        )
        assert plan.stop_reason is StopReason.CANCELED
        assert len(steps) == stop_at
        assert plan.q.shape == (1, 6)


def test_a_motion_into_an_obstacle_is_refused(arm, splats) -> None:
    from drrobot_ros.control.obstacles import Obstacle
    from drrobot_ros.control.safety import SafetyGate

    goal = Q + 0.4
    T = np.eye(4)
    T[:3, 3] = arm.forward_kinematics(torch.from_numpy(goal))[-1].numpy()[:3, 3]
    gate = SafetyGate(arm, obstacles=[Obstacle("ball", "sphere", (0.05,), T)])
    careless = PlanConfig(starts=1, iterations=80, budget_s=0.0, obstacles=0.0, self_collision=0.0)
    planner = Planner(arm, splats, gate)
    plan = planner.plan(PlanRequest([JointGoal(goal)], Q, (), (), careless))
    with pytest.raises(UnsafeMotionError, match="collision"):
        planner.trajectory(plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goals": []}, "no goal"),
        ({"free_joints": ["joint_9"]}, "unknown joint 'joint_9'"),
        ({"start": np.zeros(5)}, "start must be 6 finite numbers"),
        ({"start": Q + 9 * np.eye(6)[1]}, "joint 'joint_2' at 8.5"),
        ({"goals": [SentenceGoal("a fist")]}, "needs a text-image model"),
        ({"goals": [JointGoal(np.full(6, 9.0))]}, "the joint goal: joint"),
        ({"goals": [LinkPoseGoal("hand", np.eye(4))]}, "unknown link 'hand'"),
        ({"goals": [PictureGoal(np.zeros((96, 128, 3), np.uint8), view=2)]}, "no viewpoint 2"),
        ({"goals": [PictureGoal(np.zeros((90, 128, 3), np.uint8))]}, "goal picture is"),
        ({"config": PlanConfig(method="gauss_newton")}, "gauss_newton reaches"),
    ],
)
def test_bad_requests_are_refused(planner, view, change: dict, message: str) -> None:
    given = {"goals": [JointGoal(Q)], "start": Q, "views": [view], "config": SHORT, **change}
    with pytest.raises(InputError, match=message):
        planner.plan(PlanRequest(**given))
