"""Depth as `compressed_depth_image_transport` sends it: a header of 12 bytes, then a PNG.

Source: ros-perception/image_transport_plugins, compressed_depth_image_transport (codec.cpp,
compression_common.h).
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from vla_core.errors import ObservationError

MARK = "compressedDepth"
HEADER = struct.Struct("<iff")  # kind of coding, then two parameters of the quantisation
METRES_PER_UNIT = 0.001


def is_compressed_depth(msg: CompressedImage) -> bool:
    """Return whether a compressed message is depth."""
    return MARK in msg.format


def decode_depth(msg: CompressedImage) -> NDArray[np.float32]:
    """Return depth (H, W) [m], NaN where the sensor saw nothing.

    `16UC1` is millimetres. `32FC1` is quantised inverse depth: a value v means a / (v - b) metres,
    a and b from the header.

    Raises:
        ObservationError: not depth, coded otherwise than as PNG, or not decodable.
    """
    encoding, _, coding = (part.strip() for part in msg.format.partition(";"))
    if MARK not in coding or encoding not in ("16UC1", "32FC1"):
        raise ObservationError(
            f"compressed depth: expected format '16UC1; {MARK} png' or '32FC1; {MARK} png', "
            f"got '{msg.format}'"
        )
    if "rvl" in coding:
        raise ObservationError(
            f"compressed depth of format '{msg.format}': only PNG is decoded. Set the "
            f"publisher's parameter '<topic>.{MARK}.format' to png."
        )
    data = np.frombuffer(msg.data, np.uint8)
    png = data[HEADER.size :]
    values = cv2.imdecode(png, cv2.IMREAD_UNCHANGED) if len(png) else None
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise ObservationError(
            f"compressed depth of {len(data)} bytes, format '{msg.format}': expected "
            f"{HEADER.size} bytes and a PNG of 16-bit numbers, which cannot be decoded"
        )
    nothing = values == 0
    if encoding == "16UC1":
        depth = values.astype(np.float32) * np.float32(METRES_PER_UNIT)
    else:
        depth = _from_inverse(values, *HEADER.unpack(data[: HEADER.size].tobytes())[1:])
    depth[nothing] = np.nan
    return depth


def _from_inverse(values: NDArray[np.uint16], a: float, b: float) -> NDArray[np.float32]:
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        raise ObservationError(f"compressed depth: quantisation parameters {a}, {b}")
    with np.errstate(divide="ignore"):
        depth = a / (values.astype(np.float64) - b)
    depth[~np.isfinite(depth) | (depth <= 0)] = np.nan
    return depth.astype(np.float32)
