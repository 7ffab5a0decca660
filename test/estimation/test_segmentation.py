"""Colour regions, the learned background and what they say of a pixel."""

import numpy as np
import pytest

from drrobot_ros.estimation.background import BackgroundPlate
from drrobot_ros.estimation.search import palette_of
from drrobot_ros.estimation.segmentation import ColorClusters, part_labels, region_odds

RNG = np.random.default_rng(0)
H, W = 48, 64


@pytest.fixture
def scene():
    """A red and a white part on the left half's wood, the right half as white as the robot."""
    image = np.zeros((H, W, 3), np.uint8)
    image[:, : W // 2] = (150, 110, 70)
    image[:, W // 2 :] = (235, 235, 235)
    image[10:40, 10:20] = (235, 235, 235)
    image[10:20, 10:20] = (200, 30, 30)
    noisy = image.astype(int) + RNG.normal(0, 4, image.shape)
    parts = np.zeros((3, H, W), np.float32)
    parts[0, 10:20, 10:20] = 1
    parts[1, 20:40, 10:20] = 1
    return np.clip(noisy, 0, 255).astype(np.uint8), parts


def test_clusters_tell_colours_apart(scene):
    image, _ = scene
    clusters = ColorClusters.of(image, 8)
    index = clusters.assign(image)
    assert index.max() < clusters.count
    wood, white, red = index[5, 5], index[30, 15], index[15, 15]
    assert len({wood, white, red}) == 3


def test_odds_find_the_robot_near_itself_only(scene):
    image, parts = scene
    clusters = ColorClusters.of(image, 8)
    alpha = parts.sum(0)
    outside = np.zeros_like(alpha)
    outside[5:45, 4:27] = 1
    outside -= alpha
    # The rendered robot is two pixels off: the odds must not be.
    shifted = np.roll(parts, 2, axis=2)
    odds = region_odds(clusters.assign(image), clusters.count, shifted, outside, 6, reach=1)
    assert (odds.robot[10:40, 10:20] > 0).mean() > 0.95
    assert (odds.robot[10:40, 5:9] < 0).mean() > 0.95
    assert set(np.unique(odds.part[12:18, 12:18])) == {0}
    assert set(np.unique(odds.part[24:38, 12:18])) == {1}
    assert np.median(odds.part_margin[10:40, 10:20]) > 1


def test_part_labels_follow_the_palette():
    colors = np.array([[1, 1, 1], [0.9, 0.95, 1], [0, 0, 0], [0.1, 0, 0]], np.float32)
    palette = palette_of(colors, 2)
    labels = part_labels(colors, palette)
    assert labels.shape == (4, 3) and (labels.sum(1) == 1).all()
    assert (labels[0] == labels[1]).all() and (labels[2] == labels[3]).all()
    assert (labels[0] != labels[2]).any()


def test_background_is_learned_where_the_robot_is_not():
    plate = BackgroundPlate(settled=3)
    back = RNG.random((H, W, 3)).astype(np.float32)
    free = np.ones((H, W), bool)
    free[:10] = False
    assert plate.known is None and not plate.log_odds(back).any()
    for _ in range(8):
        plate.learn(back + RNG.normal(0, 0.01, back.shape).astype(np.float32), free)
    assert plate.known is not None and plate.mean is not None
    assert plate.known[10:].all() and not plate.known[:10].any()
    assert np.abs(plate.mean - back)[10:].max() < 0.03
    seen = back.copy()
    seen[20:30, 20:30] = 1 - seen[20:30, 20:30]
    odds = plate.log_odds(seen)
    assert not odds[:10].any()
    assert (odds[10:20] < 0).all()
    assert np.median(odds[20:30, 20:30]) > 2
