"""Inverse kinematics: within limits, from many starts, and honest about what is out of reach."""

import numpy as np
import pytest
import torch
from oracles import every_motion

from drrobot_ros.errors import InputError
from drrobot_ros.robot.ik import inverse_kinematics

ARMS = {
    "franka_emika_panda": "hand",
    "universal_robots_ur5e": "wrist_3_link",
    "ufactory_xarm7": "link7",
}


@pytest.mark.parametrize("name", ARMS)
def test_reachable_poses_are_reached(name, robot):
    model, link = robot(name), ARMS[name]
    target = model.link_pose(model.random_configuration(50, 5), link)
    result = inverse_kinematics(model, link, target)
    assert result.success.all()
    assert (result.q >= torch.as_tensor(model.lower)).all()
    assert (result.q <= torch.as_tensor(model.upper)).all()
    T = model.link_pose(result.q, link)
    assert (T[:, :3, 3] - target[:, :3, 3]).norm(dim=1).max() < 1e-4
    assert (T[:, :3, :3] - target[:, :3, :3]).abs().max() < 2e-3
    assert result.position_error_m.max() < 1e-4


def test_nearest_solution_to_the_start(robot):
    model = robot("universal_robots_ur5e")
    q = model.random_configuration(20, 3)
    near = q + 0.05
    target = model.link_pose(q, "wrist_3_link")
    result = inverse_kinematics(model, "wrist_3_link", target, q_start=near)
    assert result.success.all()
    assert (result.q - q).abs().max(dim=1).values.median() < 0.01


def test_null_space_goes_to_rest(robot):
    model = robot("franka_emika_panda")
    rest = model.neutral()
    target = model.link_pose(model.random_configuration(10, 1), "hand")
    free = inverse_kinematics(model, "hand", target, seed=4)
    drawn = inverse_kinematics(model, "hand", target, q_rest=rest, seed=4)
    assert drawn.success.all()
    assert (drawn.q - rest).norm(dim=1).mean() < (free.q - rest).norm(dim=1).mean()
    # With one joint to spare, what is left to gain along the null space is small.
    J = model.jacobian(drawn.q, "hand")
    inside = (drawn.q > torch.as_tensor(model.lower) + 1e-6) & (
        drawn.q < torch.as_tensor(model.upper) - 1e-6
    )
    J, gap = J * inside[:, None], (rest - drawn.q) * inside
    left = gap - (torch.linalg.pinv(J) @ (J @ gap[..., None])).squeeze(-1)
    assert left.norm(dim=1).median() < 0.2


def test_position_only_and_shapes(robot):
    model = robot("franka_emika_panda")
    T = model.link_pose(model.random_configuration(6, 2), "hand")
    points = T[:, :3, 3].reshape(2, 3, 3)
    result = inverse_kinematics(model, "hand", points, position_only=True, starts=4)
    assert result.q.shape == (2, 3, model.nq)
    assert result.success.shape == (2, 3)
    assert result.success.all()
    one = inverse_kinematics(model, "hand", T[0].float())
    assert one.q.dtype == torch.float32
    assert bool(one.success)
    assert inverse_kinematics(model, "hand", T[:0]).q.shape == (0, model.nq)


def test_out_of_reach(robot):
    model = robot("universal_robots_ur5e")
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = 5.0
    result = inverse_kinematics(model, "wrist_3_link", T, position_only=True, iterations=60)
    assert not bool(result.success)
    assert torch.isfinite(result.q).all()
    # As near as it gets: stretched out towards it.
    assert 3.9 < float(result.position_error_m) < 4.2


def test_floating_and_ball_joints():
    model = every_motion()
    target = model.link_pose(model.random_configuration(5, 7), "tip")
    result = inverse_kinematics(model, "tip", target, starts=2)
    assert result.success.all()
    assert torch.allclose(result.q[:, 3:7].norm(dim=1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"link": "hnad"}, "hnad.*valid"),
        ({"target": torch.eye(3)}, r"\[..., 4, 4\]"),
        ({"target": torch.full((4, 4), float("nan"))}, "finite"),
        ({"target": 2 * torch.eye(4)}, "rotation"),
        ({"starts": 0}, "starts"),
        ({"position_tolerance_m": 0.0}, "position_tolerance_m"),
        ({"q_start": np.zeros(3)}, "q_start"),
    ],
)
def test_refused(change, words, robot):
    model = robot("franka_emika_panda")
    arguments = {"link": "hand", "target": torch.eye(4, dtype=torch.float64)} | change
    with pytest.raises(InputError, match=words):
        inverse_kinematics(model, **arguments)
