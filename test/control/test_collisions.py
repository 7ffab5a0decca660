"""Distances against MuJoCo's own on the robot as loaded, and bounds that hold."""

import mujoco
import numpy as np
import pytest
import torch

from drrobot_ros.control.collisions import CollisionChecker
from drrobot_ros.control.obstacles import Obstacle, read_obstacles
from drrobot_ros.control.shapes import SIGHT_M
from drrobot_ros.errors import InputError


def pose(x: float, y: float, z: float) -> np.ndarray:
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def oracle(model, q: np.ndarray, checker: CollisionChecker) -> float:
    """Smallest distance of the compared links by mj_geomDistance on the model itself."""
    m = model.mj_model
    d = mujoco.MjData(m)
    d.qpos[:] = model.mj_qpos(q)
    mujoco.mj_kinematics(m, d)
    collide = [g for g in range(m.ngeom) if m.geom_contype[g] or m.geom_conaffinity[g]]
    row = {model.mj_body_id(r): r for r in range(len(model.link_names))}
    best = SIGHT_M
    for i, a in enumerate(collide):
        for b in collide[i + 1 :]:
            rows = tuple(sorted(row.get(int(m.geom_bodyid[g]), -1) for g in (a, b)))
            if rows[0] < 0 or rows[0] == rows[1] or rows in checker._ignored:
                continue
            best = min(best, mujoco.mj_geomDistance(m, d, a, b, SIGHT_M, None))
    return best


@pytest.mark.parametrize("name", ["universal_robots_ur5e", "franka_emika_panda"])
def test_distances_are_mujocos(robot, name: str) -> None:
    model = robot(name)
    m, names = model.mj_model, model.link_names
    solid = {int(b) for b, c in zip(m.geom_bodyid, m.geom_contype, strict=True) if c}
    bare = [name for r, name in enumerate(names) if model.mj_body_id(r) not in solid]
    # Links without collision shapes are compared by their visuals, which the oracle does not know.
    checker = CollisionChecker(model, (), [(a, b) for a in bare for b in names], margin_m=0.0)
    random = np.random.default_rng(2)
    seen = 0
    for q in random.uniform(model.lower, model.upper, (60, model.nq)):
        ours, theirs = checker.nearest(q).distance_m, oracle(model, q, checker)
        if theirs > 0:
            assert ours == pytest.approx(theirs, abs=1e-4)
            seen += theirs < SIGHT_M
        else:
            assert ours < 0
    assert seen > 10


def test_neighbours_are_not_compared_but_others_are(robot) -> None:
    model = robot("universal_robots_ur5e")
    checker = CollisionChecker(model)
    names = [frozenset(model.link_names[i] for i in pair) for pair in checker._ignored]
    assert {"upper_arm_link", "forearm_link"} in names
    assert {"upper_arm_link", "wrist_1_link"} not in names
    folded = np.array([0.0, -1.0, 2.9, -2.0, 0.0, 0.0])
    found = checker.nearest(folded)
    assert found.spare_m < 0
    allowed = CollisionChecker(model, allowed_pairs=[(found.first, found.second)])
    assert allowed.nearest(folded).distance_m > found.distance_m


def test_obstacles_are_met_at_the_right_distance(robot) -> None:
    model = robot("universal_robots_ur5e")
    q = np.array([0.0, -1.57, 1.2, -1.2, -1.57, 0.0])
    x, y, z = model.forward_kinematics(torch.from_numpy(q))[
        model.link_names.index("forearm_link")
    ].numpy()[:3, 3]
    ball = Obstacle("ball", "sphere", (0.05,), pose(x, y, z))
    assert CollisionChecker(model, [ball]).nearest(q).second == "obstacle/ball"
    floor = Obstacle("floor", "plane", (), pose(0, 0, -5.0))
    low = CollisionChecker(model, [floor])
    assert low.nearest(q).spare_m == CollisionChecker(model).nearest(q).spare_m
    corners = np.array([[a, b, c] for a in (-0.1, 0.1) for b in (-0.1, 0.1) for c in (-0.1, 0.1)])
    box = Obstacle("box", "box", (0.1, 0.1, 0.1), pose(x, y + 0.25, z))
    mesh = Obstacle("mesh", "mesh", (), pose(x, y + 0.25, z), corners)
    near = [CollisionChecker(model, [o]).nearest(q).distance_m for o in (box, mesh)]
    assert near[0] == pytest.approx(near[1], abs=1e-5)
    # The base cannot move: what it stands on is no obstacle to it.
    under = Obstacle("under", "plane", (), pose(0, 0, 0.001))
    assert "base" not in CollisionChecker(model, [under]).nearest(q).first


@pytest.mark.parametrize(
    "name", ["universal_robots_ur5e", "franka_emika_panda", "every_joint.urdf"]
)
def test_no_point_moves_more_than_the_reach(robot, name: str) -> None:
    model = robot(name)
    if model.nq != model.nv:
        pytest.skip("ball joints are not planned for")
    checker = CollisionChecker(model)
    random = np.random.default_rng(0)
    lower, upper = np.maximum(model.lower, -3), np.minimum(model.upper, 3)
    most = np.zeros(model.nq)
    for q in random.uniform(lower, upper, (50, model.nq)):
        T = model.forward_kinematics(torch.from_numpy(q)).numpy()
        for k in range(model.nq):
            moved = q.copy()
            moved[k] += 1e-4
            T1 = model.forward_kinematics(torch.from_numpy(moved)).numpy()
            for visual in model.visuals:
                p = np.c_[visual.vertices, np.ones(len(visual.vertices))].T
                step = ((T1 - T)[visual.link] @ p)[:3]
                most[k] = max(most[k], np.linalg.norm(step, axis=0).max() / 1e-4)
    assert (most <= checker.reach_m * 1.001).all()
    assert (most > 0.1 * checker.reach_m).any()


def test_the_box_holds_the_moving_links(robot) -> None:
    model = robot("universal_robots_ur5e")
    checker = CollisionChecker(model)
    q = np.array([0.3, -1.2, 1.0, -1.2, -1.57, 0.2])
    low, high = checker.box(q)
    T = model.forward_kinematics(torch.from_numpy(q)).numpy()
    points = np.concatenate(
        [v.vertices @ T[v.link, :3, :3].T + T[v.link, :3, 3] for v in model.visuals if v.link > 0]
    )
    assert (low < points.min(0) + 0.05).all() and (high > points.max(0) - 0.05).all()
    assert (low > points.min(0) - 0.15).all() and (high < points.max(0) + 0.15).all()


def test_obstacles_of_a_file(tmp_path) -> None:
    path = tmp_path / "obstacles.yaml"
    path.write_text(
        "obstacles:\n- {name: table, shape: box, size: [1, 1, .02], pose: [0, 0, -.1, 0, 0, 1.57]}"
    )
    (table,) = read_obstacles(path)
    assert table.name == "table" and table.T_base_obstacle[2, 3] == -0.1
    assert table.T_base_obstacle[0, 1] == pytest.approx(-1, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold a list 'obstacles'"),
        ("obstacles: [{shape: cube}]", "unknown shape 'cube'; valid: box, sphere"),
        ("obstacles: [{shape: box, size: [1]}]", "a box has 3 sizes"),
        ("obstacles: [{shape: sphere, size: [-1]}]", "sizes must be positive"),
        ("obstacles: [{shape: plane, pose: [1, 2]}]", "pose must be x y z roll pitch yaw"),
        ("obstacles: [{shape: plane, colour: red}]", r"unknown keys \['colour'\]"),
        ("obstacles: [{shape: sphere, size: [wide]}]", "could not convert"),
        ("obstacles: {", "cannot read obstacles"),
    ],
)
def test_bad_files_are_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "o.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_obstacles(path)
    with pytest.raises(InputError, match="unknown link 'hnad'"):
        raise_unknown_link()


def raise_unknown_link() -> None:
    from drrobot_ros.robot import RobotModel

    text = "<mujoco><worldbody><body name='a'><geom size='.1'/></body></worldbody></mujoco>"
    CollisionChecker(RobotModel.from_mjcf(text), allowed_pairs=[("a", "hnad")])
