"""Image messages to arrays and back."""

import sys
import types

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from drrobot_ros.errors import InputError
from drrobot_ros.ros import images

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def message(array, encoding, *, padding=0, big=False) -> Image:
    """Return a message with padded rows, in either byte order."""
    rows = array.astype(array.dtype.newbyteorder(">" if big else "<"))
    rows = np.ascontiguousarray(rows).view(np.uint8).reshape(array.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    out = Image(height=array.shape[0], width=array.shape[1], encoding=encoding)
    out.step, out.is_bigendian = rows.shape[1], int(big)
    out.data.frombytes(rows.tobytes())
    return out


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [
        ("rgb8", [0, 1, 2]),
        ("bgr8", [2, 1, 0]),
        ("8UC3", [2, 1, 0]),
        ("rgba8", [0, 1, 2, 0]),
        ("bgra8", [2, 1, 0, 0]),
    ],
)
def test_color_encodings(encoding, channels, padding):
    read = images.image_to_rgb(message(RGB[..., channels], encoding, padding=padding))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, RGB)
    assert read.flags.c_contiguous


def test_grey_becomes_three_channels():
    read = images.image_to_rgb(message(RGB[..., 0], "mono8", padding=3))
    np.testing.assert_array_equal(read, np.repeat(RGB[..., :1], 3, axis=2))
    wide = RGB[..., 0].astype(np.uint16) * 256 + 200
    for big in (False, True):
        read = images.image_to_rgb(message(wide, "mono16", padding=2, big=big))
        np.testing.assert_array_equal(read[..., 2], RGB[..., 0])


def test_last_row_needs_no_padding():
    padded = message(RGB, "rgb8", padding=5)
    padded.data = padded.data[:-5]
    np.testing.assert_array_equal(images.image_to_rgb(padded), RGB)
    padded.data = padded.data[:-1]
    with pytest.raises(InputError, match=r"truncated: 7x5 rgb8 needs 125 bytes, .* has 124"):
        images.image_to_rgb(padded)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 4])
def test_depth_in_millimetres(big, padding):
    mm = np.array([[0, 1, 1000], [65535, 250, 2]], np.uint16)
    depth = images.image_to_depth(message(mm, "16UC1", big=big, padding=padding))
    assert depth.dtype == np.float32
    expected = np.array([[np.nan, 0.001, 1.0], [65.535, 0.25, 0.002]], np.float32)
    np.testing.assert_allclose(depth, expected, rtol=1e-6)


@pytest.mark.parametrize("big", [False, True])
def test_depth_in_metres(big):
    metres = np.array([[0.0, np.nan, np.inf, -np.inf, 1.25, -1.0]], np.float32)
    depth = images.image_to_depth(message(metres, "32FC1", big=big))
    np.testing.assert_array_equal(depth, [[np.nan, np.nan, np.nan, np.nan, 1.25, np.nan]])


def test_mask():
    mask = images.image_to_mask(message(np.array([[0, 255, 51]], np.uint8), "mono8"))
    np.testing.assert_allclose(mask, [[0.0, 1.0, 0.2]])
    with pytest.raises(InputError, match="'rgb8'; supported: mono8, 8UC1"):
        images.image_to_mask(message(RGB, "rgb8"))


def test_round_trips():
    header = Header(frame_id="optical")
    out = images.rgb_to_image(RGB, header)
    assert (out.encoding, out.step, out.header.frame_id) == ("rgb8", 21, "optical")
    np.testing.assert_array_equal(images.image_to_rgb(out), RGB)
    depth = np.array([[1.0, np.nan]], np.float32)
    np.testing.assert_array_equal(
        images.image_to_depth(images.depth_to_image(depth, header)), depth
    )
    mask = np.array([[0.0, 0.2, 1.0]])
    np.testing.assert_allclose(images.image_to_mask(images.mask_to_image(mask, header)), mask)


@pytest.mark.parametrize(
    ("read", "bad", "words"),
    [
        (images.image_to_rgb, message(RGB, "32FC3"), "'32FC3'; supported: rgb8, bgr8, rgba8"),
        (images.image_to_rgb, message(RGB[..., 0], ""), "''; supported"),
        (images.image_to_depth, message(RGB, "rgb8"), "'rgb8'; supported: 16UC1, 32FC1"),
        (images.image_to_rgb, Image(width=7, encoding="rgb8", step=21), "empty: 7x0"),
        (images.image_to_rgb, Image(height=2, width=2, encoding="rgb8", step=6), "empty"),
        (images.image_to_rgb, message(RGB[..., :1], "rgb8"), "step is 7 bytes, but a row .* 21"),
    ],
)
def test_unusable(read, bad, words):
    with pytest.raises(InputError, match=words):
        read(bad)


def test_cv_bridge_reads_what_we_cannot(monkeypatch):
    """Where cv_bridge is installed it is asked for other encodings, with whole data only."""
    fake = types.ModuleType("cv_bridge")

    class CvBridgeError(TypeError):
        pass

    class CvBridge:
        def imgmsg_to_cv2(self, image, desired_encoding):
            assert desired_encoding == "rgb8"
            if image.encoding == "nonsense":
                raise CvBridgeError("no conversion")
            return RGB

    fake.CvBridge, fake.CvBridgeError = CvBridge, CvBridgeError
    fake.__spec__ = types.SimpleNamespace()
    bayer = message(RGB[..., 0], "bayer_rggb8")
    with pytest.raises(InputError, match="bayer_rggb8"):
        images.image_to_rgb(bayer)
    monkeypatch.setitem(sys.modules, "cv_bridge", fake)
    np.testing.assert_array_equal(images.image_to_rgb(bayer), RGB)
    with pytest.raises(InputError, match=r"'nonsense': no conversion"):
        images.image_to_rgb(message(RGB[..., 0], "nonsense"))
    bayer.data = bayer.data[:-1]
    with pytest.raises(InputError, match="truncated"):
        images.image_to_rgb(bayer)
