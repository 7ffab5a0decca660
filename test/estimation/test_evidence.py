"""Sources of evidence on small made-up images, and how their answers add up."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.estimation.evidence import (
    ColorSource,
    PhotoPlate,
    PhotoSet,
    PlateSource,
    SegmenterSource,
    add_odds,
    agreement,
    appearance_codes,
    silhouette_target,
    told_agreement,
)
from drrobot_ros.estimation.levels import Level
from drrobot_ros.estimation.normal_equations import ImageTarget, RenderedImages
from drrobot_ros.geometry.camera import PinholeCamera

H, W = 48, 64
CAMERA = PinholeCamera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), W, H)


def photo(column, color=(230, 225, 220), mask=False, weight=None):
    """A white square at a column before a wall of two greys with a little noise."""
    rng = np.random.default_rng(column)
    image = np.full((H, W, 3), 150.0)
    image[:, 32:] = 90.0
    image += rng.normal(0, 1.5, image.shape)
    where = np.zeros((H, W), np.float32)
    where[16:32, column : column + 12] = 1
    image[where > 0] = color
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    color01 = pixels.astype(np.float32) / 255
    level = Level(CAMERA, pixels, color01, where if mask else None, weight, None)
    rendered = RenderedImages(where[..., None] * np.eye(3, dtype=np.float32)[0], where, where, None)
    return level, rendered, where > 0


def photos(columns, still=True, **kwargs):
    made = [photo(c, **kwargs) for c in columns]
    return PhotoSet([m[0] for m in made], [m[1] for m in made], still), [m[2] for m in made]


COLUMNS = (2, 12, 22, 32, 42, 50)


def test_the_plate_shows_what_changed_wherever_the_estimate_is():
    seen, where = photos(COLUMNS)
    away = PhotoSet(seen.levels, [photo(0)[1]] * len(COLUMNS), True)
    for odds, robot in zip(PlateSource()(away), where, strict=True):
        inner = robot.copy()
        inner[:, :14] = False  # there all the estimates are
        assert odds is not None
        assert odds[inner].size == 0 or np.median(odds[inner]) > 2
        assert np.median(odds[~robot]) == pytest.approx(-0.8, abs=0.01)


def test_a_camera_that_moves_or_few_photos_have_no_plate():
    for seen, _ in (photos(COLUMNS, still=False), photos(COLUMNS[:3])):
        assert PlateSource()(seen) == [None] * len(seen.levels)


def test_pixels_covered_in_half_of_the_photos_are_not_believed():
    seen, where = photos((10, 10, 10, 40, 40, 40))
    for odds in PlateSource()(seen):
        assert not odds[where[0] | where[3]].any()


def test_ignored_pixels_say_nothing():
    weight = np.ones((H, W), np.float32)
    weight[:10] = 0
    seen, _ = photos(COLUMNS, weight=weight)
    plate = PhotoPlate(seen.levels)
    assert not plate.odds(0)[:10].any() and plate.odds(0)[40:].any()


def test_a_mixed_pixel_is_robot_where_more_than_half_of_it_is():
    seen, _ = photos(COLUMNS)
    levels = list(seen.levels)
    shares = ((13, 0.25), (14, 0.75))
    mixed = levels[0].color.copy()
    wall = mixed[5, 5]
    for column, share in shares:
        mixed[16:32, column] = share * mixed[20, 5] + (1 - share) * wall
    mixed[16:32, 15:] = levels[1].color[:16, 15:]
    mixed[16:32, 12] = mixed[20, 5]
    levels[0] = Level(CAMERA, levels[0].pixels, mixed, None, None, None)
    odds = PhotoPlate(levels).odds(0)
    assert (odds[18:30, 13] < odds[18:30, 12]).all()
    assert odds[24, 12] > 0


def test_local_colours_tell_the_robot_from_the_wall():
    seen, where = photos(COLUMNS)
    for odds, robot in zip(ColorSource()(seen), where, strict=True):
        near = odds != 0
        assert ((odds > 0) == robot)[near].mean() > 0.95
        assert near.any() and not near.all()


def test_answers_add_up_and_what_is_unknown_weighs_nothing():
    seen, _ = photos(COLUMNS)
    one = [np.full((H, W), 1.0, np.float32)] * len(COLUMNS)
    total = add_odds(seen, [one, [None] * len(COLUMNS), one, one, one, one])
    assert np.allclose(total[0], 4.0)  # as sure as anybody may be
    assert not add_odds(seen, [])[0].any()
    bare = ImageTarget(CAMERA.K, W, H)
    unknown = silhouette_target(bare, np.zeros((H, W), np.float32))
    assert unknown.mask_weight is not None and not unknown.mask_weight.any()
    sure = silhouette_target(bare, total[0])
    assert sure.mask is not None and sure.mask.all()


def test_a_segmenter_is_asked_once_per_image_and_checked():
    seen, where = photos(COLUMNS)
    calls = []

    def segmenter(image):
        calls.append(image.shape)
        return (image.mean(-1) > 200).astype(float)

    source = SegmenterSource(segmenter)
    for _ in range(2):
        for odds, robot in zip(source(seen), where, strict=True):
            assert odds is not None and ((odds > 0) == robot).all()
    assert len(calls) == len(COLUMNS)
    with pytest.raises(InputError, match=r"one probability per pixel, \[48, 64\]"):
        SegmenterSource(lambda image: image)(seen)
    with pytest.raises(InputError, match=r"0\.\.1"):
        SegmenterSource(lambda image: image[..., 0].astype(float))(seen)


def test_codes_hold_colour_and_change_or_the_mask():
    seen, where = photos(COLUMNS)
    plain = appearance_codes(seen.levels)
    changed = appearance_codes(seen.levels, PhotoPlate(seen.levels))
    added = changed[1] - plain[1]
    assert plain[1].max() < 24
    assert (added[where[1]] >= 24 // 2).mean() > 0.9 and (added[~where[1]] == 0).mean() > 0.9
    masked, _ = photos(COLUMNS, mask=True)
    codes = appearance_codes(masked.levels, PhotoPlate(masked.levels))
    assert codes[2][where[2]].min() > codes[2][~where[2]].max()


def test_agreement_where_the_image_tells_anything():
    alpha = np.zeros((40, 60), np.float32)
    alpha[10:30, 20:40] = 1.0
    empty = np.zeros((40, 60, 3), np.float32)
    rendered = RenderedImages(empty, alpha, alpha, None)
    bare = ImageTarget(K=np.eye(3), width=60, height=40)
    odds = np.where(alpha > 0, 4.0, -4.0).astype(np.float32)
    right = silhouette_target(bare, odds)
    assert told_agreement(right, rendered) > 0.95
    # White before white: half of the robot looks like the wall. That is no evidence against it.
    odds[10:30, 20:30] = 0.0
    vague = silhouette_target(bare, odds)
    assert told_agreement(vague, rendered) > 0.9 > agreement(vague, rendered)
    # A wrong pose is contradicted, and an image without any evidence is not believed.
    shifted = RenderedImages(empty, np.roll(alpha, 12, 1), alpha, None)
    assert told_agreement(right, shifted) < 0.65
    nothing = silhouette_target(bare, np.zeros_like(odds))
    assert told_agreement(nothing, rendered) == pytest.approx(0.5)
