"""Pixels of recorded image messages, without ROS: numpy for raw ones, OpenCV for compressed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ObservationError

# encoding: channels, OpenCV's conversion to RGB (None: it is RGB)
ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
}


def pixels_of(message: Any) -> NDArray[np.uint8]:
    """Return the picture of an Image or CompressedImage message, (H, W, 3) RGB.

    Raises:
        ObservationError: an encoding that is not known, or not enough bytes.
    """
    if not hasattr(message, "encoding"):
        picture = cv2.imdecode(np.asarray(message.data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise ObservationError(f"compressed image '{message.format}' cannot be decoded")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    if message.encoding not in ENCODINGS:
        raise ObservationError(
            f"image encoding '{message.encoding}' is unknown; known: {sorted(ENCODINGS)}"
        )
    channels, conversion = ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.asarray(message.data, np.uint8)
    step = step or width * channels
    if step < width * channels or len(data) < height * step:
        raise ObservationError(
            f"image {width}x{height} '{message.encoding}': {len(data)} bytes in rows of {step}"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    picture = np.ascontiguousarray(rows).reshape(height, width, channels)
    if conversion is None:
        return picture
    return np.asarray(cv2.cvtColor(picture, conversion), np.uint8)
