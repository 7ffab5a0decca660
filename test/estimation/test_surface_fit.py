"""Registration of the robot's surface: the score against NumPy, and what the fit recovers."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.depth_scene import PLANE_WEIGHT, DepthScene
from drrobot_ros.estimation.manifold import exp_se3, inverse_se3
from drrobot_ros.estimation.normal_equations import ImageModel, ImageTarget
from drrobot_ros.estimation.surface_fit import FitPrior, FitScore, FitStage, SurfaceFit

K = np.array([[270.0, 0, 120.0], [0, 270.0, 90.0], [0, 0, 1.0]])
STAGES = (
    FitStage(10, 0.1, 0.5, -0.2),
    FitStage(10, 0.05, 0.2, 0.2),
    FitStage(15, 0.02, 0.05, 0.5),
)
Q = np.array([0.5, -0.2, 1.3, 0.7, 1.0, 0.2])


def camera_pose():
    """Camera 1.5 m in front of the arm, level with its middle, looking at it."""
    T = np.eye(4)
    T[:3, :3] = np.array([[0, 0, -1.0], [1, 0, 0], [0, -1, 0]])
    T[:3, 3] = [1.5, 0.05, 0.5]
    return T


def depth_image(arm, gaussians, q, T, wall=2.2):
    model = ImageModel(arm.tree, gaussians, arm.nq, arm.nv)
    out = model.images(q, T, ImageTarget(K=K, width=240, height=180, inset_px=0.6))
    z = out.depth / np.maximum(out.alpha, 1e-3)
    return np.where(out.alpha > 0.6, z, wall).astype(np.float32)


@pytest.fixture(scope="module")
def seen(arm, arm_gaussians):
    depth = depth_image(arm, arm_gaussians, Q, camera_pose())
    scene = DepthScene.of(depth, K)
    assert scene is not None
    return scene


@pytest.fixture(scope="module")
def fitter(arm, arm_gaussians):
    return SurfaceFit(arm, arm_gaussians, 400)


def test_the_wall_is_a_plane_and_the_robot_is_not(seen):
    wall = np.abs(seen.depth - 2.2) < 1e-3
    assert (seen.weight[wall] == PLANE_WEIGHT).mean() > 0.95
    assert (seen.weight[~wall] == 1.0).mean() > 0.9


def test_voxels_name_their_nearest_sample(seen):
    rng = np.random.default_rng(0)
    size = np.array(seen.nearest.shape)
    for _ in range(50):
        z, y, x = (rng.random(3) * size).astype(int)
        centre = seen.origin + (np.array([x, y, z]) + 0.5) * seen.cell
        distance = np.linalg.norm(seen.samples[:, :3] - centre, axis=1)
        named = distance[seen.nearest[z, y, x]]
        # Nearest by voxels: at most a diagonal farther than the nearest sample.
        assert named <= distance.min() + np.sqrt(3) * seen.cell


def numpy_score(arm, fit, scene, q, T_camera, rule):
    """What surface_placement.cpp computes, point by point."""
    T = inverse_se3(T_camera) @ arm.forward_kinematics(torch.as_tensor(q)).numpy()
    own = T[fit.link]
    x = np.einsum("nij,nj->ni", own[:, :3, :3], fit.means) + own[:, :3, 3]
    e = np.einsum("nij,nj->ni", own[:, :3, :3], fit.normals)
    f, c = scene.K[[0, 1], [0, 1]], scene.K[:2, 2]
    pixel = x[:, :2] / x[:, 2:] * f + c
    cell = np.floor(pixel / 4).astype(int)
    h, w = scene.depth.shape
    size = np.array([-(-w // 4), -(-h // 4)])
    facing = (x[:, 2] > 0.05) & (-(x * e).sum(1) >= 0.1 * x[:, 2])
    facing &= ((cell >= 0) & (cell < size)).all(1)
    front = np.full(len(x), np.inf)
    for i in np.flatnonzero(facing):
        near = facing & (np.abs(cell - cell[i]).max(1) <= 1)
        front[i] = x[near, 2].min()
    score = explained = visible = 0.0
    for i in np.flatnonzero(facing & (x[:, 2] < front + 0.06)):
        area = fit.area[i] * -(x[i] @ e[i]) / np.linalg.norm(x[i])
        visible += area
        voxel = np.floor((x[i] - scene.origin) / scene.cell).astype(int)
        if ((voxel >= 0) & (voxel < scene.nearest.shape[::-1])).all():
            y = scene.samples[scene.nearest[tuple(voxel[::-1])]]
            d = x[i] - y[:3]
            if e[i] @ y[3:6] > rule.min_cosine:
                k = ((d @ y[3:6]) ** 2 + 0.1 * d @ d) / rule.tolerance**2
                explained += area * y[6] / (1 + k * k)
        u, v = pixel[i].astype(int)
        if (pixel[i] < 0).any() or u >= w or v >= h or not scene.depth[v, u] > 0:
            continue
        z, limit = scene.depth[v, u], 2.5 * rule.tolerance + 0.01 * scene.depth[v, u]
        score -= area * rule.free_space * np.clip((z - x[i, 2] - limit) / limit, 0, 1)
        score -= area * rule.hidden * np.clip((x[i, 2] - limit - z) / limit, 0, 1)
    return score + explained, explained, visible


def test_score_is_numpys(arm, fitter, seen):
    rng = np.random.default_rng(1)
    rule = FitScore(tolerance=0.03, min_cosine=0.2)
    q = Q + 0.15 * rng.normal(size=(4, 6))
    T = np.stack([camera_pose() @ exp_se3(0.03 * rng.normal(size=6)) for _ in q])
    out = fitter.fit(seen, q, T, score=rule)
    for k in range(len(q)):
        expected = numpy_score(arm, fitter, seen, q[k], T[k], rule)
        got = out.score[k], out.explained[k], out.visible[k]
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-5)


def test_joints_slide_into_place(fitter, seen):
    rng = np.random.default_rng(2)
    start = Q + np.radians(10) * rng.choice([-1, 1], (30, 6))
    out = fitter.fit(seen, start, camera_pose(), STAGES)
    best = out.q[out.score.argmax()]
    assert np.degrees(np.abs(best - Q)[:4]).max() < 3.0
    assert np.degrees(np.abs(start - Q)).min() > 9.9
    np.testing.assert_array_equal(out.T_camera[0], camera_pose())


def test_camera_slides_into_place(fitter, seen):
    rng = np.random.default_rng(3)
    held = np.zeros(6, bool)
    T = np.stack(
        [camera_pose() @ exp_se3(np.repeat([0.1, 0.1], 3) * rng.normal(size=6)) for _ in range(8)]
    )
    # The camera moves about the base: a prior along what a round base leaves open is not needed
    # here, for the joints are known.
    out = fitter.fit(seen, np.tile(Q, (8, 1)), T, STAGES, joints=held, camera=True)
    best = out.T_camera[out.score.argmax()]
    assert np.linalg.norm(best[:3, 3] - camera_pose()[:3, 3]) < 0.035
    np.testing.assert_array_equal(out.q, np.tile(Q, (8, 1)))


def test_priors_hold_what_they_weigh(fitter, seen):
    start = (Q + 0.1)[None]
    held = FitPrior(np.full(6, 1e3), np.eye(4))
    out = fitter.fit(seen, start, camera_pose(), STAGES, prior=held)
    np.testing.assert_allclose(out.q, start, atol=1e-5)
    moved = camera_pose() @ exp_se3(np.full(6, 0.05))
    # A heavy camera prior pulls the camera from its start to the prior's mean.
    prior = FitPrior(np.zeros(6), camera_pose(), (1e3, 1e3))
    none = np.zeros(6, bool)
    out = fitter.fit(seen, start, moved, STAGES, joints=none, camera=True, prior=prior)
    np.testing.assert_allclose(out.T_camera[0], camera_pose(), atol=1e-4)


def test_limits_are_kept(arm, fitter, seen):
    out = fitter.fit(seen, np.asarray(arm.upper)[None], camera_pose(), STAGES)
    assert (out.q <= np.asarray(arm.upper) + 1e-12).all()
    assert (out.q >= np.asarray(arm.lower) - 1e-12).all()


def test_wrong_shapes_are_named(fitter, seen):
    with pytest.raises(InputError, match=r"\[n, 6\]"):
        fitter.fit(seen, Q, camera_pose())
    with pytest.raises(InputError, match="T_camera"):
        fitter.fit(seen, Q[None], np.eye(3))


def test_an_empty_depth_image_is_no_scene():
    assert DepthScene.of(np.zeros((180, 240), np.float32), K) is None


def test_a_large_scene_gets_larger_voxels(seen):
    fine = DepthScene.of(seen.depth, seen.K, cell=1e-4)
    assert fine is not None and fine.nearest.size < 4e6 and fine.cell > 1e-3
    assert dataclasses.replace(fine).cell == fine.cell
