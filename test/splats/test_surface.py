"""Triangles, points on them, and which of them can be seen."""

import dataclasses

import numpy as np
import pytest
import trimesh

from drrobot_ros.errors import ModelError
from drrobot_ros.robot import Visual
from drrobot_ros.splats.edges import away_from_edges
from drrobot_ros.splats.surface import TriangleSoup, sample_points
from drrobot_ros.splats.visibility import outward_points

GREY = np.array([0.5, 0.5, 0.5, 1.0])


def soup_of(*meshes, link=0):
    return TriangleSoup.from_visuals([Visual(link, m.vertices, m.faces, GREY) for m in meshes])


def seen(model, soup, count=20000):
    points = sample_points(soup, count, np.random.default_rng(0))
    return outward_points(model, soup, points, np.random.default_rng(1))


def test_points_are_even_over_triangles_of_any_size():
    big = trimesh.creation.box((1, 1, 0.001))
    fine = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    fine.apply_translation((0, 0, 1))
    points = sample_points(soup_of(big, fine), 9000, np.random.default_rng(0))
    on_sphere = points.position[:, 2] > 0.5
    assert on_sphere.mean() == pytest.approx(fine.area / (fine.area + big.area), rel=0.01)
    # A quarter of the plate holds a quarter of its points, far closer than chance would.
    top = points.position[points.position[:, 2] > 0.0004][:, :2]
    top = top[np.abs(top).max(axis=1) <= 0.5]
    corner = (top > 0).all(axis=1).mean()
    assert corner == pytest.approx(0.25, abs=0.005)


def test_subdividing_keeps_the_surface():
    soup = soup_of(trimesh.creation.box((1, 0.2, 0.1)))
    fine = soup.subdivided(0.08)
    edges = np.linalg.norm(fine.corners - np.roll(fine.corners, 1, axis=1), axis=2)
    assert edges.max() <= 0.08
    assert fine.areas().sum() == pytest.approx(soup.areas().sum())
    assert len(fine) < 2000


def test_no_surface_is_an_error():
    flat = Visual(0, np.zeros((3, 3)), np.array([[0, 1, 2]]), GREY)
    for visuals in ([], [flat]):
        with pytest.raises(ModelError, match="no visual surface"):
            TriangleSoup.from_visuals(visuals)


def test_inner_parts_and_inner_walls_are_dropped(robot):
    model = robot("six_axis_arm")
    outer = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    wall = trimesh.creation.icosphere(subdivisions=4, radius=0.097)
    wall.invert()
    motor = trimesh.creation.box((0.08, 0.05, 0.05))
    points = seen(model, soup_of(outer, wall, motor))
    distance = np.linalg.norm(points.position, axis=1)
    assert (distance > 0.0985).mean() > 0.995
    assert len(points) * points.area == pytest.approx(outer.area, rel=0.03)


def test_normals_point_outward_whatever_the_winding(robot):
    model = robot("six_axis_arm")
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    ball.faces[::2] = ball.faces[::2, ::-1]
    points = seen(model, soup_of(ball))
    outward = (points.position * points.normal).sum(axis=1)
    assert (outward > 0.09).mean() > 0.998
    assert len(points) * points.area == pytest.approx(ball.area, rel=0.03)


def test_a_sheet_has_two_sides(robot):
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.1
    sheet = Visual(0, vertices, np.array([[0, 1, 2], [0, 2, 3]]), GREY)
    points = seen(robot("six_axis_arm"), TriangleSoup.from_visuals([sheet]))
    up = points.normal[:, 2] > 0
    assert 0.45 < up.mean() < 0.55
    assert len(points) * points.area == pytest.approx(0.08, rel=0.02)


def test_parts_hidden_by_the_neighbouring_link_are_dropped(robot):
    model = robot("six_axis_arm")
    child = next(i for i in range(1, len(model.tree)) if model.tree.parent[i] == 0)
    offset = model.forward_kinematics(model.neutral()).numpy()[child, :3, 3]
    shaft = trimesh.creation.cylinder(0.02, 0.02)
    shaft.apply_translation(offset)
    cover = trimesh.creation.cylinder(0.06, 0.2)
    soup = TriangleSoup.from_visuals(
        [
            Visual(0, shaft.vertices, shaft.faces, GREY),
            Visual(child, cover.vertices, cover.faces, GREY),
        ]
    )
    points = seen(model, soup)
    assert (points.link == child).all()


def test_edges_stay_bare_and_smooth_surfaces_whole():
    def kept(mesh, band):
        points = sample_points(soup_of(mesh), 30000, np.random.default_rng(0))
        mask = away_from_edges(points, band)
        return points, mask

    points, mask = kept(trimesh.creation.box((0.2, 0.2, 0.2)), 0.01)
    to_edge = 0.1 - np.sort(np.abs(points.position), axis=1)[:, 1]
    assert mask[to_edge > 0.011].all()
    assert not mask[to_edge < 0.006].any()
    _, mask = kept(trimesh.creation.icosphere(subdivisions=5, radius=0.1), 0.01)
    assert mask.all()
    points, mask = kept(trimesh.creation.box((0.2, 0.2, 0.005)), 0.004)  # thinner than two bands
    assert mask[np.abs(points.position[:, :2]).max(axis=1) < 0.09].all()
    assert dataclasses.replace(points).area == points.area
