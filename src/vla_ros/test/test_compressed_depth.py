"""Depth as compressed_depth_image_transport sends it, encoded here with OpenCV."""

from __future__ import annotations

import struct
from array import array

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from vla_core.errors import ObservationError
from vla_ros.images import depth_from_msg, image_from_msg

# The transport's defaults: quantisation 100, depth up to 10 m.
STEPS, FARTHEST = 100.0, 10.0
A = STEPS * (STEPS + 1.0)
B = 1.0 - A / FARTHEST


def message(
    encoding: str, values: NDArray[np.uint16], a: float = 0, b: float = 0, coding: str = "png"
) -> CompressedImage:
    header = struct.pack("<iff", 0, a, b)
    _, png = cv2.imencode(".png", values)
    data = array("B", header + np.asarray(png).tobytes())
    return CompressedImage(format=f"{encoding}; compressedDepth {coding}", data=data)


def test_millimetres_become_metres_and_zero_is_nothing() -> None:
    depth = depth_from_msg(message("16UC1", np.array([[1000, 0], [250, 65535]], np.uint16)))
    np.testing.assert_allclose(depth, [[1.0, np.nan], [0.25, 65.535]], rtol=1e-6)
    assert depth.dtype == np.float32


def test_quantised_inverse_depth_comes_back_within_its_step() -> None:
    metres = np.linspace(0.4, 9.5, 300).reshape(15, 20)
    sent = (A / metres + B).astype(np.uint16)  # as the encoder: cut, not rounded
    depth = depth_from_msg(message("32FC1", sent, A, B))
    # One step of 1 / depth is 1 / a, so one of depth is depth² / a.
    assert (np.abs(depth - metres) <= 1.01 * depth.astype(float) ** 2 / A).all()


def test_zero_is_nothing_in_inverse_depth_too() -> None:
    depth = depth_from_msg(message("32FC1", np.array([[0, 2000]], np.uint16), A, B))
    assert np.isnan(depth[0, 0]) and depth[0, 1] == pytest.approx(A / (2000 - B))


def test_the_older_name_of_the_format_is_read() -> None:
    msg = message("16UC1", np.array([[1500]], np.uint16), coding="")
    assert depth_from_msg(msg)[0, 0] == pytest.approx(1.5)


def test_depth_is_no_picture() -> None:
    with pytest.raises(ObservationError, match="is depth, not a picture"):
        image_from_msg(message("16UC1", np.array([[1]], np.uint16)))


def test_another_coding_is_refused_with_the_way_out() -> None:
    with pytest.raises(ObservationError, match=r"compressedDepth.format' to png"):
        depth_from_msg(message("16UC1", np.array([[1]], np.uint16), coding="rvl"))


@pytest.mark.parametrize("size", [0, 5, 12, 20])
def test_cut_data_are_refused(size: int) -> None:
    msg = message("16UC1", np.full((40, 40), 900, np.uint16))
    msg.data = msg.data[:size]
    with pytest.raises(ObservationError, match=f"of {size} bytes.*cannot be decoded"):
        depth_from_msg(msg)


def test_a_picture_of_eight_bits_is_no_depth() -> None:
    with pytest.raises(ObservationError, match="16-bit"):
        depth_from_msg(message("16UC1", np.ones((4, 4), np.uint8)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (float("nan"), 1.0)])
def test_parameters_that_give_no_depth_are_refused(a: float, b: float) -> None:
    with pytest.raises(ObservationError, match="quantisation parameters"):
        depth_from_msg(message("32FC1", np.array([[7]], np.uint16), a, b))


def test_a_jpeg_is_no_depth() -> None:
    with pytest.raises(ObservationError, match="got 'rgb8; jpeg compressed bgr8'"):
        depth_from_msg(CompressedImage(format="rgb8; jpeg compressed bgr8"))
