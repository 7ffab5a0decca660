"""Images and videos, in and out."""

import numpy as np
import pytest

from drrobot_ros.errors import InputError
from drrobot_ros.media import VideoWriter, image_files, read_sequence, write_image


def grey(value, height=48, width=64):
    return np.full((height, width, 3), value, np.uint8)


def test_images_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        write_image(tmp_path / f"image{number}.png", grey(number))
    (tmp_path / "notes.txt").write_text("")
    assert [p.stem for p in image_files(tmp_path)] == ["image2", "image9", "image10"]
    rate_hz, images = read_sequence(tmp_path, 0.0)
    assert rate_hz == 30.0
    assert [int(image[0, 0, 0]) for image in images] == [2, 9, 10]


def test_video_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "v.mp4"
    with VideoWriter(path, 12.0) as video:
        for value in (20, 120, 220):
            video.add(grey(value, 49, 65))  # odd sizes are cut
    rate_hz, images = read_sequence(path, 0.0)
    found = list(images)
    assert rate_hz == pytest.approx(12.0)
    assert [image.shape for image in found] == [(48, 64, 3)] * 3
    np.testing.assert_allclose([image.mean() for image in found], (20, 120, 220), atol=3)
    assert b"avc1" in path.read_bytes()  # H.264, which browsers play


def test_grey_and_transparent_images_become_rgb(tmp_path):
    from PIL import Image

    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 5, 4), 8, np.uint8)).save(tmp_path / "b.png")
    _, images = read_sequence(tmp_path, 5.0)
    assert [image.shape for image in images] == [(4, 5, 3)] * 2


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no images in"):
        read_sequence(tmp_path, 0.0)
    with pytest.raises(InputError, match="there is no file or folder"):
        read_sequence(tmp_path / "nothing", 0.0)
    for name in ("bad.png", "bad.mp4"):
        (tmp_path / name).write_text("no image")
        with pytest.raises(InputError, match=name):
            list(read_sequence(tmp_path / name, 0.0)[1])
    with pytest.raises(InputError, match="cannot write"):
        write_image(tmp_path / "a.nonsense", grey(0))
