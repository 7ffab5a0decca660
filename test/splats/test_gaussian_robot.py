"""GaussianRobot: what it holds, how it moves, and how true its outline is."""

import dataclasses

import numpy as np
import pytest
import torch

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.rendering.rasterize import rasterize
from drrobot_ros.splats import GaussianRobot, SurfaceConfig

COUNT = 3000


@pytest.fixture(scope="module")
def arm(robot):
    model = robot("six_axis_arm")
    return model, GaussianRobot.from_model(model, COUNT, seed=1)


def test_covers_the_robot_with_valid_gaussians(arm):
    model, gaussians = arm
    assert len(gaussians) == COUNT
    assert gaussians.link_names == model.link_names
    assert gaussians.robot_name == model.name
    seen = set(gaussians.link_index.tolist())
    assert seen == {v.link for v in model.visuals}
    for name in ("means", "quats", "scales", "opacities", "colors", "normals"):
        assert getattr(gaussians, name).dtype == torch.float32
    # Flat: the thinnest axis is the normal's.
    order = gaussians.scales.argmin(dim=1)
    axes = so3.quat_to_matrix(gaussians.quats)
    thin = axes.take_along_dim(order[:, None, None], dim=2)[:, :, 0]
    cosine = (thin * gaussians.normals).sum(dim=1).abs()
    assert (cosine > 0.95).float().mean() > 0.9


def test_same_seed_same_gaussians(arm):
    model, gaussians = arm
    again = GaussianRobot.from_model(model, COUNT, seed=1)
    other = GaussianRobot.from_model(model, COUNT, seed=2)
    assert torch.equal(again.means, gaussians.means)
    assert torch.equal(again.quats, gaussians.quats)
    assert not torch.equal(other.means, gaussians.means)


def test_colors_are_those_of_the_visuals(arm):
    model, gaussians = arm
    for link in {v.link for v in model.visuals}:
        own = [v for v in model.visuals if v.link == link]
        if any(v.face_colors is not None for v in own):
            continue
        colors = torch.tensor(np.array([v.color[:3] for v in own]), dtype=torch.float32)
        mine = gaussians.colors[gaussians.link_index == link]
        nearest = (mine[:, None] - colors[None]).abs().amax(dim=2).amin(dim=1)
        assert (nearest < 0.02).float().mean() > 0.85


def test_pose_follows_the_links(arm):
    model, gaussians = arm
    q = model.random_configuration(3, 5)
    T = model.forward_kinematics(q).float()
    means, quats = gaussians.pose(T)
    assert means.shape == (3, COUNT, 3)
    assert quats.shape == (3, COUNT, 4)
    for b, i in ((0, 7), (2, 1234)):
        link = gaussians.link_index[i]
        R = T[b, link, :3, :3]
        torch.testing.assert_close(means[b, i], R @ gaussians.means[i] + T[b, link, :3, 3])
        want = R @ so3.quat_to_matrix(gaussians.quats[i])
        torch.testing.assert_close(so3.quat_to_matrix(quats[b, i]), want, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="T_base_link must be"):
        gaussians.pose(T[:, :-1])


def test_pose_is_differentiable(arm):
    model, gaussians = arm
    few = gaussians.subset(20).to(torch.float64)
    q = model.random_configuration(1, 6)[0].requires_grad_()

    def posed(q):
        means, quats = few.pose(model.forward_kinematics(q))
        return torch.cat([means.flatten(), quats.flatten()])

    assert torch.autograd.gradcheck(posed, (q,))


def coverage_of_visuals(model, q, T_base_camera, camera, scale=4):
    """Return the share of each pixel that the meshes cover, by ray casting their triangles."""
    import mujoco

    m, data = model.mj_model, mujoco.MjData(model.mj_model)
    data.qpos[:] = model.mj_qpos(q)
    mujoco.mj_kinematics(m, data)
    mujoco.mj_comPos(m, data)
    T = model.T_world_base @ T_base_camera
    fine = camera.resized(camera.width * scale, camera.height * scale)
    rows, columns = np.indices((fine.height, fine.width)) + 0.5
    rays = np.stack([(columns - fine.cx) / fine.fx, (rows - fine.cy) / fine.fy, np.ones_like(rows)])
    rays = (T[:3, :3] @ rays.reshape(3, -1)).T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    n = len(rays)
    geoms, distance = np.zeros(n, np.int32), np.zeros(n)
    groups = np.array([1, 1, 1, 0, 0, 0], np.uint8)
    mujoco.mj_multiRay(
        m, data, T[:3, 3], rays.ravel(), groups, 1, -1, geoms, distance, None, n, 1e10
    )
    hit = (geoms >= 0).reshape(camera.height, scale, camera.width, scale)
    return hit.mean(axis=(1, 3))


def alpha_of(model, gaussians, q, T_base_camera, camera, inset_px=0.6):
    """Return the rendered alpha, with splats moved inward by part of a pixel as trackers do."""
    T = model.forward_kinematics(q).float()
    means, quats = gaussians.pose(T)
    rotations = T[gaussians.link_index, :3, :3]
    normals = (rotations @ gaussians.normals[..., None])[..., 0]
    viewmat = torch.tensor(np.linalg.inv(T_base_camera)).float()
    depth = means @ viewmat[2, :3] + viewmat[2, 3]
    means = means - normals * (inset_px / camera.fx * depth)[:, None]
    K = torch.tensor(camera.K).float()
    _, alpha, _ = rasterize(
        means,
        quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.colors,
        viewmat[None],
        K[None],
        camera.width,
        camera.height,
        rasterize_mode="antialiased",
    )
    return alpha[0, ..., 0].numpy()


@pytest.mark.parametrize(("count", "width", "least"), [(8000, 160, 0.965), (1500, 80, 0.935)])
def test_outline_is_true(robot, count, width, least):
    model = robot("six_axis_arm")
    gaussians = GaussianRobot.from_model(model, 8000)
    if count < len(gaussians):
        gaussians = gaussians.subset(count)
    camera = PinholeCamera.from_fov(width, width * 3 // 4, 0.8)
    excess, edge, overlap = [], [], []
    for seed, eye in enumerate([(1.3, 0.7, 0.8), (-0.4, -1.4, 0.6), (0.9, -1.0, 1.2)]):
        q = model.random_configuration(1, seed)[0]
        T = look_at(eye, (0, 0, 0.35))
        want = coverage_of_visuals(model, q, T, camera)
        alpha = alpha_of(model, gaussians, q, T, camera)
        a, b = alpha > 0.5, want > 0.5
        overlap.append((a & b).sum() / (a | b).sum())
        edge.append(np.abs(np.diff(b.astype(int), axis=0)).sum())
        edge[-1] += np.abs(np.diff(b.astype(int), axis=1)).sum()
        excess.append(alpha.sum() - want.sum())
    assert np.mean(overlap) > least
    # Area too much or too little, spread along the outline.
    assert abs(np.sum(excess) / np.sum(edge)) < 0.12


def test_subset_covers_the_same_surface(arm):
    _, gaussians = arm
    few = gaussians.subset(500)
    assert len(few) == 500
    assert gaussians.subset(COUNT) is gaussians
    area = gaussians.scales.sort(dim=1).values[:, 1:].prod(dim=1).sum()
    area_few = few.scales.sort(dim=1).values[:, 1:].prod(dim=1).sum()
    assert 0.65 < area_few / area < 1.0
    for link in set(gaussians.link_index.tolist()):
        one, other = gaussians.link_index == link, few.link_index == link
        spread = gaussians.means[one].amax(0) - gaussians.means[one].amin(0)
        spread_few = few.means[other].amax(0) - few.means[other].amin(0)
        assert (spread_few <= spread + 1e-4).all()
        if other.sum() > 30:
            assert (spread_few > 0.7 * spread).all()
    with pytest.raises(InputError, match="too few"):
        gaussians.subset(2)


def test_two_robots_do_not_mix(arm, robot):
    _, gaussians = arm
    gaussians.check_matches(robot("six_axis_arm"))
    with pytest.raises(InputError, match="only the model has"):
        gaussians.check_matches(robot("every_joint.xml"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": torch.zeros(5, 3)}, "quats must be"),
        ({"scales": torch.zeros(COUNT, 3)}, "scales must be positive"),
        ({"opacities": torch.full((COUNT,), 1.5)}, "opacities"),
        ({"colors": torch.full((COUNT, 3), float("nan"))}, "colors must be finite"),
        ({"quats": torch.full((COUNT, 4), 1.0)}, "quats must be of unit length"),
        ({"link_index": torch.full((COUNT,), 99)}, "link_index 99"),
    ],
)
def test_bad_tensors_are_named(arm, change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(arm[1], **change)


@pytest.mark.parametrize("count", [0, -3, 2.5, True, 3])
def test_bad_counts(arm, count):
    with pytest.raises(InputError):
        GaussianRobot.from_model(arm[0], count)


def test_config_is_checked():
    with pytest.raises(InputError, match="coverage"):
        SurfaceConfig(coverage=0.0)
