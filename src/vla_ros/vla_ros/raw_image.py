"""Reads a serialized picture in place; rclpy copies its pixels several times."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

# CDR (OMG DDS-XTypes 1.3, 7.4): four bytes tell the byte order, from there fields are aligned.
_ORDERS = {b"\0\0": ">", b"\0\1": "<"}
_START = 4
_FRAME_ID_AT = _START + 8  # after the stamp


@dataclass(frozen=True)
class RawImage:
    """What `sensor_msgs/Image` says of its pixels; ``data`` is a view of the message itself."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview | bytes


def read_image(raw: bytes) -> RawImage | Image:
    """Return the picture of a serialized `sensor_msgs/Image`; its data cannot be written to.

    Raises:
        RuntimeError: these bytes are no such message.
    """
    order = _ORDERS.get(raw[:2])
    try:
        if order is not None:
            return _read(raw, order)
    except (struct.error, IndexError, UnicodeDecodeError):
        pass  # rclpy says what is wrong
    return deserialize_message(raw, Image)


def _read(raw: bytes, order: str) -> RawImage:
    _, at = _string(raw, _FRAME_ID_AT, order)
    at = _aligned(at)
    height, width = struct.unpack_from(f"{order}II", raw, at)
    encoding, at = _string(raw, at + 8, order)
    is_bigendian, at = raw[at], _aligned(at + 1)
    step, size = struct.unpack_from(f"{order}II", raw, at)
    data = memoryview(raw)[at + 8 : at + 8 + size]
    if len(data) != size:
        raise struct.error(f"expected {size} bytes of pixels, got {len(data)}")
    return RawImage(height, width, encoding, is_bigendian, step, data)


def _string(raw: bytes, at: int, order: str) -> tuple[str, int]:
    """Return the string at ``at``, which ends with a zero, and where the next field may begin."""
    (size,) = struct.unpack_from(f"{order}I", raw, at)
    end = at + 4 + size
    if end > len(raw):
        raise struct.error("a string ends beyond the message")
    return raw[at + 4 : end].rstrip(b"\0").decode(), end


def _aligned(at: int) -> int:
    return at + -(at - _START) % 4
