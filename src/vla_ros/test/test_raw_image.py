"""Pictures read in place say the same as rclpy's reading of them."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image

from vla_ros.images import image_from_msg, image_msg
from vla_ros.raw_image import RawImage, read_image

PICTURE = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
FIELDS = ("height", "width", "encoding", "is_bigendian", "step")


def same(found: object, expected: Image) -> None:
    assert isinstance(found, RawImage), "read in place"
    for name in FIELDS:
        assert getattr(found, name) == getattr(expected, name), name
    assert bytes(found.data) == bytes(expected.data)


@pytest.mark.parametrize("frame_id", ["x" * n for n in range(9)])
@pytest.mark.parametrize("encoding", ["8UC3", "rgb8", "yuv422_yuy2"])
def test_every_field_is_found_wherever_the_strings_push_it(frame_id: str, encoding: str) -> None:
    msg = image_msg(PICTURE, 123_456_789, frame_id, encoding)
    msg.is_bigendian = 1
    same(read_image(serialize_message(msg)), msg)


def test_a_message_of_the_other_byte_order_is_read() -> None:
    msg = image_msg(PICTURE, 5, "camera")
    store = get_typestore(Stores.ROS2_HUMBLE)
    parsed = store.deserialize_cdr(serialize_message(msg), "sensor_msgs/msg/Image")
    other = bytes(store.serialize_cdr(parsed, "sensor_msgs/msg/Image", little_endian=False))
    assert other != serialize_message(msg)
    same(read_image(other), msg)


def test_the_picture_is_a_view_of_the_message_that_nobody_can_write_to() -> None:
    raw = serialize_message(image_msg(PICTURE, 5, "camera"))
    found = image_from_msg(read_image(raw))
    np.testing.assert_array_equal(found, PICTURE)
    assert np.shares_memory(found, np.frombuffer(raw, np.uint8))
    assert not found.flags.writeable


@pytest.mark.parametrize("left", range(64))
def test_a_message_cut_off_anywhere_is_refused_as_rclpy_refuses_it(left: int) -> None:
    raw = serialize_message(image_msg(PICTURE, 5, "camera"))[:left]
    with pytest.raises(Exception) as theirs:
        deserialize_message(raw, Image)
    with pytest.raises(type(theirs.value)):
        read_image(raw)


def test_an_encapsulation_that_is_not_plain_cdr_is_left_to_rclpy() -> None:
    raw = bytearray(serialize_message(image_msg(PICTURE, 5, "camera")))
    raw[:2] = b"\0\7"  # XCDR2, which aligns otherwise
    try:
        found: object = read_image(bytes(raw))
    except RuntimeError:
        return
    assert isinstance(found, Image)
