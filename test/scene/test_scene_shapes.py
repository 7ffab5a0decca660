"""Ellipsoids, superquadrics, lathe shapes, cages, nets and pieces, each against what is known."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.scene.cage import box_cage, mean_value_coordinates
from drrobot_ros.scene.checks import unique_names
from drrobot_ros.scene.completion import object_view
from drrobot_ros.scene.ellipsoids import signed_distance, turned
from drrobot_ros.scene.evidence import _on_hull
from drrobot_ros.scene.levenberg import minimized
from drrobot_ros.scene.mesh_refinement import deepest_overlap, separated
from drrobot_ros.scene.pieces import convex_pieces, hull
from drrobot_ros.scene.plane import fit_plane
from drrobot_ros.scene.superquadrics import signed_distance as squared_distance
from drrobot_ros.scene.superquadrics import surface_points
from drrobot_ros.scene.surface_nets import surface_net, well_composed
from drrobot_ros.scene.types import Mesh


def volume(mesh):
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_distance_to_a_ball_is_exact_and_signed():
    points = torch.tensor([[[0.2, 0, 0], [0.1, 0, 0], [0.05, 0, 0]]], dtype=torch.float64)
    eye, axes = torch.eye(3, dtype=torch.float64)[None], torch.full((1, 3), 0.1).double()
    distance, normal = signed_distance(points, torch.zeros(1, 3).double(), axes, eye)
    assert distance[0].tolist() == pytest.approx([0.1, 0, -0.05], abs=1e-6)
    assert normal[0, 0].tolist() == pytest.approx([1, 0, 0], abs=1e-6)


@pytest.mark.parametrize("exponents", [(1.0, 1.0), (0.2, 1.0), (0.2, 0.2)])
@pytest.mark.parametrize("taper", [0.0, 0.3])
def test_surface_points_are_on_the_superquadric(exponents, taper):
    rng = np.random.default_rng(0)
    unit = torch.nn.functional.normalize(torch.as_tensor(rng.normal(size=(200, 3))), dim=1)
    axes = torch.tensor([[0.04, 0.03, 0.06]], dtype=torch.float64)
    e, k = torch.tensor([exponents]).double(), torch.tensor([taper]).double()
    points = surface_points(unit, axes, e, k)
    assert squared_distance(points, axes, e, k).abs().max() < 1e-4
    outward = points + 0.01 * torch.nn.functional.normalize(points, dim=-1)
    assert squared_distance(outward, axes, e, k).min() > 0


def test_a_superquadric_with_exponents_of_one_is_the_ellipsoid():
    axes = torch.tensor([[0.04, 0.03, 0.06]], dtype=torch.float64)
    points = torch.as_tensor(np.random.default_rng(1).normal(0, 0.05, (1, 50, 3)))
    one, zero = torch.ones(1, 2).double(), torch.zeros(1).double()
    squared = squared_distance(points, axes, one, zero)
    plain, _ = signed_distance(
        points, torch.zeros(1, 3).double(), axes, torch.eye(3).double()[None]
    )
    # Gauges of degree one and two differ by a factor that is 1 on the surface.
    assert torch.equal(squared > 0, plain > 0)


def test_small_rotations_are_rotations():
    R = turned(torch.tensor([[0.1, -0.4, 0.7], [0, 0, 0]], dtype=torch.float64))
    assert torch.allclose(R @ R.transpose(1, 2), torch.eye(3).double().expand(2, 3, 3))
    assert torch.equal(R[1], torch.eye(3).double())


def test_robust_least_squares_ignores_outliers_in_every_problem():
    rng = np.random.default_rng(0)
    t = torch.as_tensor(rng.uniform(-1, 1, 80))
    truth = torch.tensor([[2.0, 1.0], [-1.0, 0.5]], dtype=torch.float64)
    y = truth[:, :1] * t + truth[:, 1:] + 0.01 * torch.as_tensor(rng.normal(size=(2, 80)))
    y[:, :16] += 5

    def residuals(x):
        return (x[:, :1] * t + x[:, 1:] - y) / 0.01

    x, cost = minimized(residuals, torch.zeros(2, 2).double(), 80, steps=60)
    assert (x - truth).abs().max() < 0.01
    assert cost.shape == (2,)


def test_surface_net_of_an_ellipsoid_on_an_uneven_grid():
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in (24, 30, 20)), indexing="ij"), -1)
    center, axes = np.array([11.3, 14.6, 9.2]), np.array([7.0, 11.0, 6.0])
    mesh = surface_net(np.linalg.norm((grid - center) / axes, axis=-1) - 1)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * axes.prod(), rel=0.03)
    gauge = np.linalg.norm((mesh.vertices - center) / axes, axis=1)
    assert np.abs(gauge - 1).max() < 0.03
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]],
                                    mesh.faces[:, [2, 0]]]), axis=1)  # fmt: skip
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_mean_value_coordinates_keep_linear_functions():
    cage = box_cage(np.array([-1.0, -2, -1]), np.array([1.0, 1, 2]), 3)
    assert volume(cage) == pytest.approx(18.0)
    points = np.random.default_rng(0).uniform(-0.8, 0.8, (100, 3))
    weights = mean_value_coordinates(cage, points)
    assert np.abs(weights.sum(1) - 1).max() < 1e-12
    assert np.abs(weights @ cage.vertices - points).max() < 1e-12
    assert weights.min() > 0  # a convex cage
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 2.0]])
    assert np.allclose(weights @ (cage.vertices @ turn.T), points @ turn.T)


def test_a_box_is_one_piece_and_an_l_two_that_fill_it():
    solid = np.ones((24, 24, 8), bool)
    cells = np.argwhere(solid)
    assert len(convex_pieces(cells, cells + 0.5, 8)) == 1
    solid[9:, 9:] = False
    cells = np.argwhere(solid)
    pieces = convex_pieces(cells, cells + 0.5, 8)
    assert len(pieces) == 2
    volumes = [volume(hull((cells + 0.5)[rows])) for rows in pieces]
    assert all(v > 0 for v in volumes)
    assert sum(volumes) < 1.25 * len(cells)
    assert hull(np.zeros((10, 3))) is None


def test_overlapping_balls_are_taken_apart():
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(3, radius=0.05)
    meshes = [
        Mesh(ball.vertices + np.array([x, 0, 0.05]), np.asarray(ball.faces)) for x in (0, 0.09)
    ]
    assert deepest_overlap(meshes) == pytest.approx(0.01, abs=2e-3)
    apart = separated(meshes, np.zeros(2))
    assert deepest_overlap(apart) < 2e-3
    assert all(abs(mesh.vertices[:, 2].min()) < 1e-9 for mesh in apart)


def test_the_plane_is_found_among_outliers_and_faces_the_camera():
    rng = np.random.default_rng(0)
    camera_points = np.zeros((60, 80, 3))
    x, y = np.meshgrid(np.linspace(-0.4, 0.4, 80), np.linspace(-0.3, 0.3, 60))
    camera_points[..., 0], camera_points[..., 1] = x, y
    camera_points[..., 2] = 0.9 - 0.5 * y + rng.normal(0, 0.001, x.shape)
    wrong = rng.uniform(size=x.shape) < 0.25
    camera_points[wrong, 2] += rng.uniform(0.05, 0.5, wrong.sum())
    plane = fit_plane(
        camera_points, np.ones(x.shape, bool), np.array([[30.0, 20, 50, 40]]), None, 0.006
    )
    normal = -np.array([0, 0.5, 1]) / np.hypot(0.5, 1)
    assert plane.normal @ normal > 0.9999
    assert plane.height_m(np.zeros(3)) > 0
    assert plane.noise_m < 0.002


def test_names_are_made_unique():
    assert unique_names(["mug", "mug", "", "mug"]) == ["mug", "mug_2", "object", "mug_3"]


@pytest.mark.parametrize("smooth", [0.0, 0.6, 1.2])
def test_surface_nets_are_closed_manifolds_whatever_touches(smooth):
    import trimesh

    noise = np.random.default_rng(4).normal(size=(14, 15, 16))
    field = ndimage.gaussian_filter(noise, smooth)
    mesh = surface_net(field)
    closed = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert closed.is_watertight and closed.is_winding_consistent and closed.volume > 0
    added = (well_composed(field) < 0) & (field >= 0)
    assert not ((field < 0) & (well_composed(field) >= 0)).any()
    assert added.any()


def test_a_convex_hull_has_no_inside_of_a_cup():
    """The far wall, seen from inside over the rim, is not the hull's side that the eye sees."""
    angle, height = np.meshgrid(np.linspace(-np.pi, np.pi, 60), np.linspace(0, 0.08, 25))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    near = np.cos(angle) < 0  # the eye is at x < 0
    wall = np.concatenate([0.04 * ring, height[..., None]], axis=-1)
    outer = wall[near]
    inner = wall[~near & (height > 0.03)]
    rim = wall[-1]
    on = _on_hull(np.concatenate([outer, inner, rim]), np.array([-0.5, 0, 0.5]), 0.003)
    assert on[: len(outer)].mean() > 0.9
    low = inner[:, 2] < 0.07
    assert not on[len(outer) : len(outer) + len(inner)][low & (inner[:, 0] > 0.01)].any()
    assert on[-len(rim) :].mean() > 0.9


@pytest.mark.parametrize("lean", [0.0, 0.6, 1.1])
def test_a_wall_seen_aslant_is_as_thick_across(lean):
    camera = PinholeCamera.from_fov(120, 90, 0.3)
    normal = np.array([0.0, -np.sin(lean), -np.cos(lean)])
    v, u = np.mgrid[:90, :120] + 0.5
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], 2)
    depth = -0.8 * np.cos(lean) / (rays @ normal)
    mask = np.zeros(u.shape, bool)
    mask[10:80, 10:110] = True
    nothing = np.zeros_like(mask)
    view = object_view(depth.astype(np.float32), mask, nothing, np.eye(4), camera)
    across = np.linspace(-0.002, 0.012, 57)
    points = np.array([0.0, 0.0, 0.8]) - across[:, None] * normal
    wall = view.shell(points, np.zeros(u.shape), mask, 0.006)
    inside = across[wall < 0]
    assert np.ptp(inside) == pytest.approx(0.006, abs=8e-4)
    assert inside.min() == pytest.approx(0, abs=5e-4)
