"""Pixels of sensor_msgs Image and CompressedImage, whoever deserialized them."""

import io
import struct
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError

#: Encodings of colour images: how many channels, and which of them are red, green and blue.
COLOR_ENCODINGS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
    "8UC3": (3, (2, 1, 0)),
}
BAYER = {
    "bayer_rggb8": "COLOR_BayerRGGB2RGB",
    "bayer_bggr8": "COLOR_BayerBGGR2RGB",
    "bayer_gbrg8": "COLOR_BayerGBRG2RGB",
    "bayer_grbg8": "COLOR_BayerGRBG2RGB",
}
YUV = {
    "yuv422": "COLOR_YUV2RGB_UYVY",
    "uyvy": "COLOR_YUV2RGB_UYVY",
    "yuv422_yuy2": "COLOR_YUV2RGB_YUY2",
    "yuyv": "COLOR_YUV2RGB_YUY2",
}
DEPTH_ENCODINGS = {"16UC1": np.dtype(np.uint16), "32FC1": np.dtype(np.float32)}
DEPTH_HEADER = 12  # bytes that compressed_depth_image_transport puts before the PNG


def is_compressed(message: Any) -> bool:
    """Return whether a message is a CompressedImage."""
    return hasattr(message, "format")


def encoding_of(message: Any) -> str:
    """Return the encoding of the pixels; of a CompressedImage the first word of its format."""
    if is_compressed(message):
        return message.format.split(";")[0].strip()
    return message.encoding


def rgb_of(message: Any) -> NDArray[np.uint8]:
    """Return the colours [H,W,3] RGB; grey becomes three channels.

    Raises:
        InputError: an encoding that cannot be read, or data that do not fill the image.
    """
    if is_compressed(message):
        return _picture(bytes(message.data), "RGB")
    encoding = message.encoding
    if encoding in COLOR_ENCODINGS:
        channels, order = COLOR_ENCODINGS[encoding]
        pixels = _pixels(message, np.dtype(np.uint8), channels)
        return np.ascontiguousarray(pixels[:, :, list(order)])
    if encoding in BAYER or encoding in YUV:
        import cv2

        channels = 1 if encoding in BAYER else 2
        code = getattr(cv2, BAYER.get(encoding) or YUV[encoding])
        pixels = np.ascontiguousarray(_pixels(message, np.dtype(np.uint8), channels))
        return np.asarray(cv2.cvtColor(pixels, code), np.uint8)
    valid = ", ".join((*COLOR_ENCODINGS, *BAYER, *YUV))
    raise InputError(f"image encoding {encoding!r} cannot be read; valid: {valid}")


def depth_of(message: Any) -> NDArray[np.float32]:
    """Return the depth [H,W] m, NaN where unknown (REP 118), of Image or compressedDepth.

    Raises:
        InputError: an encoding other than 16UC1 (mm) and 32FC1 (m), or unusable data.
    """
    encoding = {"mono16": "16UC1"}.get(encoding_of(message), encoding_of(message))
    if encoding not in DEPTH_ENCODINGS:
        raise InputError(
            f"depth encoding {encoding!r} cannot be read; valid: {', '.join(DEPTH_ENCODINGS)}"
        )
    if is_compressed(message):
        depth = _compressed_depth(message, encoding)
    else:
        pixels = _pixels(message, DEPTH_ENCODINGS[encoding], 1)[:, :, 0]
        depth = pixels.astype(np.float32) * (1e-3 if encoding == "16UC1" else 1.0)
    depth = depth.astype(np.float32, copy=False)
    depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
    return depth


def mask_of(message: Any) -> NDArray[np.float32]:
    """Return the probability [H,W] 0..1 of a mono8 mask, or of a compressed one."""
    if is_compressed(message):
        return _picture(bytes(message.data), "L").astype(np.float32) / 255.0
    if message.encoding not in ("mono8", "8UC1"):
        raise InputError(f"mask encoding {message.encoding!r} cannot be read; valid: mono8, 8UC1")
    return _pixels(message, np.dtype(np.uint8), 1)[:, :, 0].astype(np.float32) / 255.0


def _picture(data: bytes, mode: str) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert(mode))
    except OSError as error:
        raise InputError(f"the compressed image cannot be read: {error}") from error


def _compressed_depth(message: Any, encoding: str) -> NDArray[np.float32]:
    from PIL import Image

    data = bytes(message.data)
    start = DEPTH_HEADER if "compressedDepth" in message.format else 0
    try:
        with Image.open(io.BytesIO(data[start:])) as image:
            raw = np.array(image)
    except OSError as error:
        raise InputError(
            f"compressed depth of format {message.format!r} cannot be read; valid: PNG"
        ) from error
    if encoding == "16UC1":
        return raw.astype(np.float32) * 1e-3
    # 32FC1 is kept as quantized inverse depth: depth = a / (value - b).
    _, a, b = struct.unpack("<iff", data[:DEPTH_HEADER])
    with np.errstate(divide="ignore"):
        return np.where(raw > 0, a / (raw.astype(np.float32) - b), np.nan).astype(np.float32)


def _pixels(message: Any, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    """Return a view [H,W,channels] of an Image, in the machine's byte order."""
    height, width, step = message.height, message.width, message.step
    row = width * channels * dtype.itemsize
    data = np.frombuffer(bytes(message.data), np.uint8)
    if not height or not width or step < row or data.size < height * step:
        raise InputError(
            f"{data.size} bytes in rows of {step} are no {width}x{height} image of encoding "
            f"{message.encoding}"
        )
    rows = data[: height * step].reshape(height, step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)
    big = bool(message.is_bigendian)
    return pixels.byteswap() if dtype.itemsize > 1 and big != (sys.byteorder == "big") else pixels
