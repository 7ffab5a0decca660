"""Images of one camera brought to one exposure."""

import numpy as np

from drrobot_ros.estimation.calibration.exposure import exposed, gains_of


def pictures(n=5):
    rng = np.random.default_rng(0)
    room = rng.integers(40, 160, (60, 80, 3)).astype(np.uint8)
    room[::4] = 230
    out = []
    for i in range(n):
        image = room.copy()
        image[20:40, 12 * i : 12 * i + 20] = 250 - 40 * i  # what moves
        out.append(image)
    return out


def test_images_alike_stay_as_they_are():
    images = pictures()
    gains = gains_of(images)
    assert (gains == 1).all()
    assert exposed(images[0], gains[0]) is images[0]


def test_exposure_and_white_balance_of_each_image_are_undone():
    images = pictures()
    factor = np.array([[1, 1, 1], [0.7, 0.7, 0.7], [1, 1, 1], [0.8, 0.9, 1.0], [1, 1, 1]])
    seen = [exposed(i, f) for i, f in zip(images, factor, strict=True)]
    gains = gains_of(seen)
    np.testing.assert_allclose(gains * factor, 1.0, atol=0.03)
    back = exposed(seen[1], gains[1]).astype(int)
    assert np.abs(back - images[1]).max() <= 3


def test_dark_images_are_brightened_alike():
    images = [exposed(i, np.full(3, 0.2)) for i in pictures()]
    gains = gains_of(images)
    assert gains.min() > 2 and np.ptp(gains) < 0.2
    assert (gains_of(images[:1]) > 2).all()
