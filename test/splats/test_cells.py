"""Dividing a surface into equal cells, and what their moments say."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.splats.cells import divide, share
from drrobot_ros.splats.moments import Moments, moments_of, shapes_of


def square(n=20000, seed=0):
    rng = np.random.default_rng(seed)
    position = np.c_[rng.uniform(0, 1, (n, 2)), np.zeros(n)]
    return Moments(
        link=np.zeros(n, np.int64),
        area=np.full(n, 1 / n),
        mean=position,
        covariance=np.zeros((n, 3, 3)),
        normal=np.tile([0.0, 0, 1], (n, 1)),
        rgba=np.ones((n, 4)),
    )


@pytest.mark.parametrize("total", [5, 17, 1000])
def test_shares_sum_and_leave_nobody_out(total):
    weights = np.array([1e-9, 1.0, 2.0, 0.0, 5.0])
    counts = share(total, weights)
    assert counts.sum() == total
    assert counts[3] == 0
    assert (counts[[0, 1, 2, 4]] >= 1).all()
    if total == 1000:
        np.testing.assert_allclose(counts[[1, 2, 4]], [125, 250, 625], atol=2)


def test_too_few_for_the_links():
    with pytest.raises(InputError, match="2 Gaussians are too few: 3 links"):
        share(2, np.ones(3))


def test_cells_are_equal_round_and_never_empty():
    flat = square()
    spacing = 1 / np.sqrt(400)
    cell = divide(flat.features(spacing, 1, 1), flat.area, flat.link, 400)
    cells = flat.merged(cell, 400)
    assert (np.bincount(cell, minlength=400) > 0).all()
    assert cells.area.std() / cells.area.mean() < 0.25
    variance = np.sort(np.linalg.eigvalsh(cells.covariance), axis=1)
    # A disc of the same area has area / (4 pi) along both axes.
    assert np.median(variance[:, 1:].mean(axis=1)) == pytest.approx(1 / 400 / 4 / np.pi, rel=0.1)
    assert np.median(variance[:, 1] / variance[:, 2]) > 0.5


def test_cells_do_not_mix_colors_normals_or_links():
    flat = square()
    left = flat.mean[:, 0] < 0.5
    flat.rgba[left, :3] = 0
    flat.link[flat.mean[:, 1] > 0.8] = 1
    cell = divide(flat.features(0.05, 1, 4), flat.area, flat.link, 400)
    black = np.bincount(cell, left, 400) / np.bincount(cell, minlength=400)
    assert ((black < 0.02) | (black > 0.98)).mean() > 0.95
    link = np.bincount(cell, flat.link, 400) / np.bincount(cell, minlength=400)
    assert np.isin(link, (0, 1)).all()
    back = square()
    back.normal[::2] *= -1
    cell = divide(back.features(0.05, 1, 1), back.area, back.link, 400)
    up = np.bincount(cell, back.normal[:, 2] > 0, 400) / np.bincount(cell, minlength=400)
    assert np.isin(up, (0, 1)).all()


def test_merging_adds_up_moments_exactly():
    flat = square(3000)
    cell = np.random.default_rng(1).integers(0, 30, 3000)
    direct = flat.merged(cell // 3, 10)
    twice = flat.merged(cell, 30).merged(np.arange(30) // 3, 10)
    np.testing.assert_allclose(twice.mean, direct.mean, atol=1e-12)
    np.testing.assert_allclose(twice.covariance, direct.covariance, atol=1e-12)
    np.testing.assert_allclose(twice.area, direct.area)


def test_shapes_and_moments_are_inverse():
    flat = square()
    cell = divide(flat.features(0.05, 1, 1), flat.area, flat.link, 400)
    cells = flat.merged(cell, 400)
    shapes = shapes_of(cells, coverage=0.9, opacity=1.0)
    back = moments_of(
        means=cells.mean,
        axes=shapes.axes,
        scales=shapes.scales,
        opacities=shapes.opacities,
        colors=cells.rgba[:, :3],
        normals=cells.normal,
        link=cells.link,
        coverage=0.9,
    )
    inner = shapes.opacities > 0.99
    assert inner.mean() > 0.9
    np.testing.assert_allclose(back.area[inner].mean(), cells.area[inner].mean(), rtol=0.06)
    np.testing.assert_allclose(
        back.covariance[inner, :2, :2].mean(axis=0),
        cells.covariance[inner, :2, :2].mean(axis=0),
        atol=0.05 * cells.area.mean() / 4 / np.pi,
    )


def test_scraps_in_a_gap_are_translucent():
    flat = square()
    keep = (flat.mean[:, 1] < 0.5) | (np.arange(len(flat.mean)) % 20 == 0)
    thin = Moments(*(getattr(flat, f)[keep] for f in flat.__dataclass_fields__))
    cell = divide(thin.features(0.04, 1, 1), thin.area, thin.link, 350)
    cells = thin.merged(cell, 350)
    shapes = shapes_of(cells, 0.9, 1.0)
    upper = cells.mean[:, 1] > 0.55
    assert shapes.opacities[~upper].mean() > 0.95
    assert shapes.opacities[upper].mean() < 0.3
