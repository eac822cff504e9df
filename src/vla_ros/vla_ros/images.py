"""Images to messages and back with numpy and OpenCV; cv_bridge only for what these do not know.

A policy sees (H, W, 3) uint8 RGB; depth is (H, W) float32 in metres with NaN where there is none.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from vla_core.errors import ObservationError
from vla_ros.compressed_depth import decode_depth, is_compressed_depth
from vla_ros.raw_image import RawImage
from vla_ros.stamps import header

Pixels = NDArray[np.uint8]

# encoding -> (channels in the message, OpenCV conversion to RGB; None: it is RGB)
_EIGHT_BIT: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "8UC3": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8UC1": (1, cv2.COLOR_GRAY2RGB),
    # U first (UYVY) in the plain names of ROS, Y first in the yuy2 ones.
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    # ROS names a Bayer pattern by its first row, OpenCV by its second.
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2RGB),
}
# The same layouts with two bytes per channel, of which the higher one is kept.
_SIXTEEN_BIT = {
    "mono16": "mono8",
    "rgb16": "rgb8",
    "bgr16": "bgr8",
    "rgba16": "rgba8",
    "bgra16": "bgra8",
    **{f"bayer_{pattern}16": f"bayer_{pattern}8" for pattern in ("rggb", "bggr", "gbrg", "grbg")},
}
# encoding -> (type, metres per unit)
_DEPTH: dict[str, tuple[str, float]] = {
    "16UC1": ("u2", 0.001),
    "mono16": ("u2", 0.001),
    "32FC1": ("f4", 1.0),
}


def image_from_msg(msg: Image | RawImage | CompressedImage) -> Pixels:
    """Return the picture, (H, W, 3) uint8 RGB.

    Raises:
        ObservationError: an unknown encoding, or fewer bytes than the size needs.
    """
    if isinstance(msg, CompressedImage):
        return _decode_compressed(msg)
    layout = _SIXTEEN_BIT.get(msg.encoding, msg.encoding)
    if layout not in _EIGHT_BIT:
        return _decode_with_cv_bridge(msg)
    channels, conversion = _EIGHT_BIT[layout]
    if layout == msg.encoding:
        rows = _rows(msg, "u1", channels)
    else:
        rows = (_rows(msg, "u2", channels) // 256).astype(np.uint8)
    if conversion is None:
        return np.ascontiguousarray(rows)
    return _contiguous(cv2.cvtColor(np.ascontiguousarray(rows), conversion))


def depth_from_msg(msg: Image | CompressedImage) -> NDArray[np.float32]:
    """Return depth (H, W) [m], NaN where the sensor saw nothing.

    Raises:
        ObservationError: the encoding is not one of depth, or bytes are missing.
    """
    if isinstance(msg, CompressedImage):
        return decode_depth(msg)
    if msg.encoding not in _DEPTH:
        raise ObservationError(
            f"depth image: expected encoding {sorted(_DEPTH)}, got '{msg.encoding}'"
        )
    kind, scale = _DEPTH[msg.encoding]
    depth = _rows(msg, kind, 1).astype(np.float32) * np.float32(scale)
    depth[~np.isfinite(depth) | (depth <= 0)] = np.nan
    return depth


def image_msg(pixels: Pixels, stamp_ns: int, frame_id: str = "", encoding: str = "rgb8") -> Image:
    """Return a raw image message of (H, W, 3) or (H, W) pixels."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=_bytes(pixels),
    )


def compressed_msg(
    pixels: Pixels, stamp_ns: int, frame_id: str = "", quality: int = 90
) -> CompressedImage:
    """Return a JPEG message of (H, W, 3) RGB pixels."""
    _, jpeg = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return CompressedImage(
        header=header(stamp_ns, frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=_bytes(np.asarray(jpeg)),
    )


def middle(rows: int, columns: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return (top, left, rows, columns) of the largest middle part with the aspect of a size."""
    wide = min(columns, round(rows * width / height))
    high = min(rows, round(columns * height / width))
    return (rows - high) // 2, (columns - wide) // 2, high, wide


def fit(picture: Pixels, height: int, width: int) -> Pixels:
    """Return the middle of a picture with another aspect, resized to (height, width, 3)."""
    rows, columns = picture.shape[:2]
    top, left, high, wide = middle(rows, columns, height, width)
    part = picture[top : top + high, left : left + wide]
    if part.shape[:2] == (height, width):
        return np.ascontiguousarray(part)
    return _contiguous(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA))


def _bytes(pixels: Pixels) -> array[int]:
    # Assigning `bytes` makes rclpy check each byte: 56 ms for a VGA picture, against 0.2 ms.
    data = array("B")
    data.frombytes(pixels.data.cast("B"))
    return data


def _rows(msg: Image | RawImage, kind: str, channels: int) -> NDArray[Any]:
    """View the data as (H, W, channels) or (H, W), whatever padding and byte order it has."""
    dtype = np.dtype(kind).newbyteorder(">" if msg.is_bigendian else "<")
    row_bytes = msg.width * channels * dtype.itemsize
    step = msg.step or row_bytes
    data = np.frombuffer(msg.data, np.uint8)
    if not msg.height or not msg.width or step < row_bytes or len(data) < step * msg.height:
        raise ObservationError(
            f"image {msg.width}x{msg.height} '{msg.encoding}': expected {msg.height} rows of "
            f"at least {row_bytes} bytes, got {len(data)} bytes in rows of {step}"
        )
    rows = data[: step * msg.height].reshape(msg.height, step)[:, :row_bytes]
    typed = np.ascontiguousarray(rows).view(dtype).reshape(msg.height, msg.width, channels)
    return typed[:, :, 0] if channels == 1 else typed


def _decode_compressed(msg: CompressedImage) -> Pixels:
    if is_compressed_depth(msg):
        raise ObservationError(f"image format '{msg.format}' is depth, not a picture")
    data = np.frombuffer(msg.data, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise ObservationError(
            f"compressed image of {len(data)} bytes, format '{msg.format}', cannot be decoded"
        )
    return _contiguous(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _decode_with_cv_bridge(msg: Image | RawImage) -> Pixels:
    convert = _cv_bridge()
    if convert is None:
        raise ObservationError(
            f"image encoding '{msg.encoding}' is unknown; known: "
            f"{sorted([*_EIGHT_BIT, *_SIXTEEN_BIT])}. "
            "With cv_bridge installed its encodings are known too."
        )
    try:
        return _contiguous(convert(msg, "rgb8"))
    except Exception as error:
        raise ObservationError(f"image encoding '{msg.encoding}': {error}") from error


def _cv_bridge() -> Callable[[Image | RawImage, str], object] | None:
    try:
        from cv_bridge import CvBridge
    except ImportError:
        return None
    convert: Callable[[Image | RawImage, str], object] = CvBridge().imgmsg_to_cv2
    return convert


def _contiguous(picture: object) -> Pixels:
    return np.ascontiguousarray(np.asarray(picture, np.uint8))
