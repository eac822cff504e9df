"""A moving test picture as the front camera's H.264 stream."""

from __future__ import annotations

from array import array
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Height and width of `video360p` and `video180p` [px].
SIZES = ((360, 640), (180, 320))


class Camera:
    """Encodes; the first frame and each tenth after it can be decoded without those before."""

    def __init__(self, rate_hz: float) -> None:
        self._encoders = [_encoder(height, width, rate_hz) for height, width in SIZES]
        self._count = 0

    def next_frames(self) -> tuple[array[int], array[int]]:
        """Return the next frame in each size, Annex B."""
        self._count += 1
        encoded = [
            _encode(encoder, moving_bar(*size, self._count), self._count)
            for encoder, size in zip(self._encoders, SIZES, strict=True)
        ]
        return encoded[0], encoded[1]


def moving_bar(height: int, width: int, count: int) -> NDArray[np.uint8]:
    """Return (H, W, 3) RGB: red left, blue right, and a white bar that walks to the right."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = 200
    picture[:, width // 2 :, 2] = 200
    bar = count * 4 % (width - 8)
    picture[:, bar : bar + 8] = 255
    return picture


def _encoder(height: int, width: int, rate_hz: float) -> Any:
    from av import CodecContext  # libav is loaded only where pictures are asked for

    encoder = CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = height, width, "yuv420p"
    encoder.time_base = Fraction(1, max(1, round(rate_hz)))
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10"}
    encoder.thread_count = 1
    return encoder


def _encode(encoder: Any, picture: NDArray[np.uint8], count: int) -> array[int]:
    from av import VideoFrame

    frame = VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts = count
    data = array("B")
    for packet in encoder.encode(frame):
        data.frombytes(bytes(packet))
    return data
