"""Objectives: right values, gradients that agree with differences, bad input refused."""

import mujoco
import numpy as np
import pytest
import torch

from drrobot_ros.control.candidate import Candidate
from drrobot_ros.control.collisions import CollisionChecker
from drrobot_ros.control.objectives import (
    EndEffectorPose,
    ImageGoal,
    JointLimits,
    Manipulability,
    ObstacleDistance,
    PointTracks,
    SelfDistance,
    Smoothness,
    StayNear,
    Term,
    WeightedSum,
)
from drrobot_ros.control.objectives.spheres import LinkSpheres, link_surface, signed_distance
from drrobot_ros.control.objectives.tracks import visible_points
from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.errors import InputError

Q = np.array([0.3, -0.5, 0.8, 0.2, 0.6, -0.4])


def poses(q: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.atleast_2d(q), dtype=torch.float64)


def check_gradient(objective, candidate_of, q: torch.Tensor, step=1e-6, rtol=1e-4) -> None:
    """Compare the gradient of the summed cost with central differences along a direction."""
    x = q.clone().requires_grad_()
    cost = objective(candidate_of(x)).sum()
    (gradient,) = torch.autograd.grad(cost, x)
    assert torch.isfinite(gradient).all()
    direction = torch.sin(torch.arange(q.numel(), dtype=q.dtype) + 1).reshape(q.shape)
    ends = [float(objective(candidate_of(q + s * step * direction)).sum()) for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    assert expected != 0
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=rtol)


def regularizers(arm) -> list:
    T = arm.forward_kinematics(torch.from_numpy(Q + 0.1))[-1].numpy()
    tip = arm.link_names[-1]
    return [
        JointLimits(Q - 0.3, Q + 0.2, margin=0.25),
        StayNear(Q + 0.2, np.arange(1.0, 7.0)),
        Smoothness(0.1),
        EndEffectorPose(arm, tip, T, 0.01, 0.05),
        EndEffectorPose(arm, tip, T, 0.01, float("inf")),
        Manipulability(arm, tip),
    ]


@pytest.mark.parametrize("index", range(6))
def test_gradients_of_the_joints_terms(arm, splats, index: int) -> None:
    objective = regularizers(arm)[index]
    q = poses(np.stack([Q, Q * 0.8, Q + 0.05, Q]))
    assert objective(Candidate(arm, splats, q)).shape == (4,)
    check_gradient(objective, lambda x: Candidate(arm, splats, x), q)


def test_values_of_the_joints_terms(arm, splats) -> None:
    still = Candidate(arm, splats, poses(Q))
    assert float(StayNear(Q)(still)) == 0
    assert float(JointLimits(Q - 1, Q + 1, 0.1)(still)) == 0
    assert float(JointLimits(Q - 1, Q - 0.2, 0.1)(still)) == pytest.approx(6 * 0.3**2)
    T = arm.forward_kinematics(torch.from_numpy(Q))[-1].numpy()
    moved = T.copy()
    moved[:3, 3] += [0.0, 0.03, 0.04]
    tip = arm.link_names[-1]
    assert float(EndEffectorPose(arm, tip, T)(still)) == pytest.approx(0, abs=1e-12)
    assert float(EndEffectorPose(arm, tip, moved, 0.01)(still)) == pytest.approx(25)
    t = np.arange(5)[:, None] * 0.1
    parabola = Candidate(arm, splats, poses(0.5 * 3.0 * t**2 * np.ones(6)))
    assert Smoothness(0.1)(parabola).tolist() == pytest.approx([0, 54, 54, 54, 0])
    straight = Candidate(arm, splats, poses(np.zeros(6)))
    bent = Manipulability(arm, tip)
    assert float(bent(straight)) > float(bent(still))


def test_an_image_is_least_different_from_itself(arm, splats, view) -> None:
    def at(x: torch.Tensor) -> Candidate:
        return Candidate(arm, splats, x, (view,))

    seen = at(poses(Q)).render(0, 0)
    rgb, mask = seen.rgb.numpy().clip(0, 1), seen.alpha.numpy().clip(0, 1)
    for goal in (ImageGoal(rgb, mask), ImageGoal(rgb), ImageGoal(None, mask)):
        here = float(goal(at(poses(Q))))
        assert here < 1e-9
        for away in (0.03, 0.3):
            assert float(goal(at(poses(Q + away)))) > here + 1e-5
        # Splats end where they weigh 1/255: what their rims add has no gradient.
        check_gradient(goal, at, poses(Q + 0.15), step=2e-3, rtol=0.15)


def test_coarse_levels_see_what_does_not_overlap(arm, splats, view) -> None:
    """Turned far away, the fine difference is flat; the pyramid still says which way to go."""

    def at(x: torch.Tensor) -> Candidate:
        return Candidate(arm, splats, x, (view,))

    seen = at(poses(Q)).render(0, 0)
    goal = ImageGoal(None, seen.alpha.numpy().clip(0, 1), levels=5)
    slopes = []
    for away in (0.5, 0.7):
        x = poses(Q + away * np.eye(6)[0]).requires_grad_()
        slopes.append(float(torch.autograd.grad(goal(at(x)).sum(), x)[0][0, 0]))
    assert all(slope > 0 for slope in slopes)


@pytest.mark.parametrize("correspondence", [True, False])
def test_tracks_are_followed(arm, splats, view, correspondence: bool) -> None:
    still = Candidate(arm, splats, poses(Q), (view,))
    links, points = visible_points(still, 0, 40)
    assert len(points) == 40
    motion = poses(np.stack([Q, Q + 0.1, Q + 0.2]))
    tracks = PointTracks(np.zeros((3, 40, 2)), view, links, points, True)
    truth = tracks.project(Candidate(arm, splats, motion)).numpy()
    assert ((truth[0] > 0) & (truth[0] < [128, 96])).all()
    goal = PointTracks(truth, view, links, points, correspondence, robust_px=30.0)
    assert goal(Candidate(arm, splats, motion)).max() < 1e-9
    truth[1, 3] = np.nan
    goal = PointTracks(truth, view, links, points, correspondence, robust_px=30.0)
    assert goal(Candidate(arm, splats, motion)).max() < (1e-9 if correspondence else 1.0)
    check_gradient(goal, lambda x: Candidate(arm, splats, x), motion + 0.05)


def test_chamfer_distance_is_that_of_both_directions(arm, splats, view) -> None:
    links, points = np.array([3, 4, 5]), np.zeros((3, 3))
    at = Candidate(arm, splats, poses(Q))
    own = PointTracks(np.zeros((1, 3, 2)), view, links, points, True).project(at)[0].numpy()
    goal = own[[0, 2]] + [[3.0, 4.0], [0.0, 0.0]]
    squares = np.square(own[:, None] - goal[None]).sum(-1)
    expected = squares.min(1).mean() + squares.min(0).mean()
    found = PointTracks(goal[None], view, links, points, False)(at)
    assert float(found) == pytest.approx(expected)
    # Points that are hidden are left out, in both directions.
    seen = np.array([[True, True, False]])
    found = PointTracks(goal[None], view, links, points, False, visible=seen)(at)
    expected = squares[:2].min(1).mean() + squares[:2].min(0).mean()
    assert float(found) == pytest.approx(expected)
    with pytest.raises(InputError, match="visible must be"):
        PointTracks(goal[None], view, links, points, False, visible=~seen[:, :2])


def test_spheres_hold_the_links(arm) -> None:
    spheres = LinkSpheres.of(arm)
    for row in range(len(arm.link_names)):
        surface = link_surface(arm, row)
        own = spheres.links.numpy() == row
        if not len(surface):
            assert not own.any()
            continue
        gap = np.linalg.norm(surface[:, None] - spheres.centers[own].numpy(), axis=-1)
        assert (gap - spheres.radii[own].numpy()).min(1).max() < 1e-9
        size = np.linalg.norm(np.ptp(surface, axis=0))
        assert spheres.radii[own].max() < 0.6 * size  # no sphere around all of it


SHAPES = [
    Obstacle("o", "box", (0.1, 0.2, 0.3)),
    Obstacle("o", "sphere", (0.2,)),
    Obstacle("o", "capsule", (0.1, 0.2)),
    Obstacle("o", "cylinder", (0.1, 0.2)),
]


@pytest.mark.parametrize("obstacle", SHAPES, ids=lambda o: o.shape)
def test_distances_to_obstacles_are_mujocos(obstacle: Obstacle) -> None:
    sizes = " ".join(map(str, obstacle.size))
    m = mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody><geom type='{obstacle.shape}' size='{sizes}' euler='30 20 10'"
        " pos='.1 .2 .3'/><body name='p'><freejoint/><geom size='.001' mass='1'/></body>"
        "</worldbody></mujoco>"
    )
    d = mujoco.MjData(m)
    mujoco.mj_kinematics(m, d)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = d.geom_xmat[0].reshape(3, 3), d.geom_xpos[0]
    placed = Obstacle("o", obstacle.shape, obstacle.size, T)
    for p in np.random.default_rng(0).uniform(-0.6, 0.8, (40, 3)):
        d.qpos[:3] = p
        mujoco.mj_kinematics(m, d)
        expected = mujoco.mj_geomDistance(m, d, 0, 1, 5.0, None) + 0.001
        found = float(signed_distance(placed, torch.from_numpy(p)))
        if expected > 0:
            assert found == pytest.approx(expected, abs=1e-4)
        else:
            assert found <= 1e-9


def test_collision_terms_lead_out(arm, splats) -> None:
    middle = arm.forward_kinematics(torch.from_numpy(Q))[-1].numpy()[:3, 3]
    T = np.eye(4)
    T[:3, 3] = middle + 0.05 * np.eye(3)[0]
    checker = CollisionChecker(arm, [Obstacle("ball", "sphere", (0.08,), T)])
    obstacle = ObstacleDistance(arm, checker)
    own = SelfDistance(arm, checker)
    q = poses(Q)
    before = float(obstacle(Candidate(arm, splats, q)))
    assert before > 1
    check_gradient(obstacle, lambda x: Candidate(arm, splats, x), q)
    x = q.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.02)
    for _ in range(150):
        adam.zero_grad()
        cost = (obstacle(Candidate(arm, splats, x)) + own(Candidate(arm, splats, x))).sum()
        cost.backward()
        adam.step()
    assert float(obstacle(Candidate(arm, splats, x.detach()))) < 0.01 * before
    assert checker.nearest(x.detach()[0].numpy()).spare_m > -0.005


def test_self_distance_tells_colliding_configurations(robot) -> None:
    arm = robot("universal_robots_ur5e")
    checker = CollisionChecker(arm)
    own = SelfDistance(arm, checker, margin_m=0.02)
    random = np.random.default_rng(7).uniform(-2.8, 2.8, (300, 6))
    cost = own(Candidate(arm, None, torch.from_numpy(random))).numpy()
    hit = np.array([checker.nearest(q).distance_m < 0 for q in random])
    assert hit.sum() > 5
    assert (cost[hit] > 0.1).mean() > 0.6
    assert (cost[~hit] > 0.1).mean() < 0.1
    folded = torch.from_numpy(random[hit][cost[hit].argmax()])[None]
    check_gradient(own, lambda x: Candidate(arm, None, x), folded)


def test_sums_weigh_their_terms(arm, splats) -> None:
    at = Candidate(arm, splats, poses(np.stack([Q, Q + 1])))
    near, limits = StayNear(Q), JointLimits(Q, Q, 0.0)
    total, parts = WeightedSum([Term(near, 2.0), Term(limits, 0.5)]).evaluate(at)
    assert total.tolist() == pytest.approx([0, 2 * 6 + 0.5 * 6])
    assert parts["stay near"].tolist() == pytest.approx([0, 12])
    with pytest.raises(InputError, match="two objectives are named"):
        WeightedSum([Term(near), Term(StayNear(Q))])
    with pytest.raises(InputError, match="no objective"):
        WeightedSum([])
    with pytest.raises(InputError, match="must be finite"):
        Term(near, float("nan"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a, v: ImageGoal(None), "colours, a mask or both"),
        (lambda a, v: ImageGoal(np.full((4, 4, 3), 2.0)), "from 0 to 1"),
        (lambda a, v: ImageGoal(np.zeros((4, 4))), r"rgb must be \[H, W, 3\]"),
        (lambda a, v: ImageGoal(np.zeros((4, 4, 3)), np.zeros((5, 4))), "mask"),
        (lambda a, v: PointTracks(np.zeros((2, 3)), v, [1], np.zeros((1, 3)), True), "T, K, 2"),
        (
            lambda a, v: PointTracks(np.full((2, 1, 2), np.nan), v, [1], np.zeros((1, 3)), True),
            "time step 0 has no track",
        ),
        (
            lambda a, v: PointTracks(np.zeros((2, 3, 2)), v, [1], np.zeros((1, 3)), True),
            "3 tracks but 1 points",
        ),
        (lambda a, v: EndEffectorPose(a, "hand", np.eye(4)), "unknown link 'hand'"),
        (lambda a, v: Smoothness(0.0), "dt_s must be positive"),
    ],
)
def test_bad_goals_are_refused(arm, view, make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(arm, view)


def test_goals_that_do_not_fit_the_candidate_are_refused(arm, splats, view) -> None:
    at = Candidate(arm, splats, poses(Q), (view,))
    with pytest.raises(InputError, match=r"the goal is \[4, 4\], the viewpoint \[96, 128\]"):
        ImageGoal(np.zeros((4, 4, 3)))(at)
    with pytest.raises(InputError, match="no viewpoint 1; there are 1"):
        ImageGoal(np.zeros((96, 128, 3)), view=1)(at)
    with pytest.raises(InputError, match="2 time steps, the motion 1"):
        PointTracks(np.zeros((2, 1, 2)), view, [1], np.zeros((1, 3)), True)(at)
    with pytest.raises(InputError, match=r"q must be \[B, 6\]"):
        Candidate(arm, splats, torch.zeros(6))
