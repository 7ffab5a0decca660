"""Image messages and NumPy arrays; with cv_bridge where it is installed, without where not."""

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from drrobot_ros.errors import InputError

#: Encodings of colour images: how many channels, and which of them are red, green and blue.
COLOR_ENCODINGS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC3": (3, (2, 1, 0)),
}
DEPTH_ENCODINGS = {"16UC1": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}
MASK_ENCODINGS = ("mono8", "8UC1")


def has_cv_bridge() -> bool:
    """Return whether cv_bridge is there, which reads more encodings (Bayer, YUV)."""
    try:
        return find_spec("cv_bridge") is not None
    except ValueError:
        return False


def image_to_rgb(message: Image) -> NDArray[np.uint8]:
    """Return the colours of an image message, uint8 [H, W, 3] RGB; grey becomes three channels.

    Raises:
        InputError: an encoding that cannot be read, no pixels, or data that do not fill the image.
    """
    encoding = message.encoding
    if encoding == "mono16":
        return np.repeat(
            (_pixels(message, np.dtype(np.uint16), 1) >> 8).astype(np.uint8), 3, axis=2
        )
    if encoding in COLOR_ENCODINGS:
        channels, order = COLOR_ENCODINGS[encoding]
        pixels = _pixels(message, np.dtype(np.uint8), channels)
        return np.ascontiguousarray(pixels[:, :, list(order)])
    if has_cv_bridge() and encoding not in DEPTH_ENCODINGS:
        return _rgb_by_cv_bridge(message)
    raise _wrong_encoding("image", encoding, (*COLOR_ENCODINGS, "mono16"))


def image_to_depth(message: Image) -> NDArray[np.float32]:
    """Return the depth along the optical axis, float32 [H, W] m, NaN where unknown (REP 118).

    Raises:
        InputError: an encoding other than 16UC1 (mm) and 32FC1 (m), or unusable data.
    """
    pixels = depth_pixels(message)
    depth = pixels.astype(np.float32) * (1e-3 if pixels.dtype == np.uint16 else 1.0)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth.astype(np.float32, copy=False)


def depth_pixels(message: Image) -> NDArray[Any]:
    """Return the numbers of a depth image [H, W] as they are: uint16 mm or float32 m.

    Raises:
        InputError: as :func:`image_to_depth`.
    """
    encoding = {"mono16": "16UC1"}.get(message.encoding, message.encoding)
    if encoding not in DEPTH_ENCODINGS:
        raise _wrong_encoding("depth image", message.encoding, DEPTH_ENCODINGS)
    return _pixels(message, DEPTH_ENCODINGS[encoding], 1)[:, :, 0]


def with_depth_pixels(message: Image, pixels: NDArray[Any]) -> Image:
    """Return a depth image like another, of the same encoding, with other numbers [H, W]."""
    return _image(pixels, message.encoding, pixels.dtype.itemsize, message.header)


def image_to_mask(message: Image) -> NDArray[np.float32]:
    """Return the probability that each pixel is in the mask, float32 [H, W] 0..1.

    Raises:
        InputError: an encoding other than mono8 and 8UC1 (0 to 255), or unusable data.
    """
    if message.encoding not in MASK_ENCODINGS:
        raise _wrong_encoding("mask", message.encoding, MASK_ENCODINGS)
    return _pixels(message, np.dtype(np.uint8), 1)[:, :, 0].astype(np.float32) / 255.0


def rgb_to_image(rgb: NDArray[np.uint8], header: Header) -> Image:
    """Return an rgb8 message of colours uint8 [H, W, 3]."""
    return _image(rgb, "rgb8", 3, header)


def depth_to_image(depth_m: NDArray[np.float32], header: Header) -> Image:
    """Return a 32FC1 message of depths [H, W] m; NaN is unknown."""
    return _image(np.asarray(depth_m, np.float32), "32FC1", 4, header)


def mask_to_image(mask: NDArray[Any], header: Header) -> Image:
    """Return a mono8 message of probabilities [H, W] 0..1."""
    scaled = np.clip(np.asarray(mask, np.float32) * 255.0 + 0.5, 0, 255)
    return _image(scaled.astype(np.uint8), "mono8", 1, header)


def _image(array: NDArray[Any], encoding: str, bytes_per_pixel: int, header: Header) -> Image:
    array = np.ascontiguousarray(array)
    message = Image(header=header, height=array.shape[0], width=array.shape[1], encoding=encoding)
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = array.shape[1] * bytes_per_pixel
    # The array's own setter would check every byte in Python.
    message.data.frombytes(array.tobytes())
    return message


def _pixels(message: Image, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    """Return the pixels [H, W, channels] in the machine's byte order, without row padding."""
    height, width, step = message.height, message.width, message.step
    size = f"{width}x{height} {message.encoding}"
    if height == 0 or width == 0 or len(message.data) == 0:
        raise InputError(f"the image is empty: {size}, {len(message.data)} bytes")
    row = width * channels * dtype.itemsize
    if step < row:
        raise InputError(f"step is {step} bytes, but a row of {size} has {row}")
    # The last row needs no padding behind it.
    needed = step * (height - 1) + row
    if len(message.data) < needed:
        raise InputError(
            f"the image is truncated: {size} needs {needed} bytes, the message has "
            f"{len(message.data)}"
        )
    data = np.frombuffer(message.data, np.uint8)
    rows = np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)
    order = ">" if message.is_bigendian else "<"
    wire = np.ascontiguousarray(rows).view(dtype.newbyteorder(order))
    return wire.astype(dtype, copy=False).reshape(height, width, channels)


def _rgb_by_cv_bridge(message: Image) -> NDArray[np.uint8]:
    from cv_bridge import CvBridge, CvBridgeError  # pyright: ignore[reportMissingImports]

    # cv_bridge reads beyond the end of truncated data.
    if message.height == 0 or message.width == 0 or len(message.data) == 0:
        raise InputError(f"the image is empty: {message.width}x{message.height}")
    if len(message.data) < message.step * message.height:
        raise InputError(
            f"the image is truncated: {message.step * message.height} bytes needed, the message "
            f"has {len(message.data)}"
        )
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except (CvBridgeError, TypeError, ValueError) as error:
        raise InputError(f"cv_bridge cannot read encoding {message.encoding!r}: {error}") from error


def _wrong_encoding(what: str, encoding: str, valid: Any) -> InputError:
    return InputError(f"the {what} has encoding {encoding!r}; supported: {', '.join(valid)}")
