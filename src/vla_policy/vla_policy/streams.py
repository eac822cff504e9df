"""The policy's inputs as serialized messages: only what an inference uses is ever decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState

from vla_core.contract import Contract, ImageStream, StateStream
from vla_core.errors import ConfigurationError
from vla_core.types import NS_PER_S
from vla_ros.images import image_from_msg
from vla_ros.joints import MESSAGE_TYPES, entries_from_msg
from vla_ros.raw_image import read_image

# A serialized message begins with four bytes that tell its byte order, then, where there is a
# header, with the stamp (OMG DDS-XTypes 1.3, 7.6.3.1.2; std_msgs/Header).
_STAMP = {0: ">iI", 1: "<iI"}


@dataclass(frozen=True)
class Input:
    """One stream of the contract that the policy uses."""

    name: str
    topic: str
    message_type: type
    has_stamp: bool
    decode: Callable[[bytes], NDArray[Any]]

    def stamp_ns(self, raw: bytes, now_ns: int) -> int:
        """Return when the sample was true, without decoding it; without a stamp: now."""
        if not self.has_stamp:
            return now_ns
        seconds, nanoseconds = struct.unpack_from(_STAMP[raw[1] & 1], raw, 4)
        return int(seconds) * NS_PER_S + int(nanoseconds)

    def payload(self, raw: bytes) -> Callable[[], NDArray[Any]]:
        """Return what decodes the sample when somebody needs it."""
        return partial(self.decode, raw)


def inputs(contract: Contract, names: tuple[str, ...]) -> list[Input]:
    """Return the named streams.

    Raises:
        ConfigurationError: the contract has no such stream.
    """
    observation = contract.observation
    known: dict[str, ImageStream | StateStream] = {**observation.images, **observation.state}
    missing = [name for name in names if name not in known]
    if missing:
        raise ConfigurationError(
            f"robot '{contract.robot}' has no stream {missing}; it has {sorted(known)}"
        )
    return [_input(name, known[name]) for name in names]


def _input(name: str, stream: ImageStream | StateStream) -> Input:
    if isinstance(stream, ImageStream) and stream.transport == "raw":
        return Input(name, stream.topic, Image, True, lambda raw: image_from_msg(read_image(raw)))
    kind, read = _rest(stream)
    has_stamp = kind in (CompressedImage, JointState)
    return Input(
        name, stream.topic, kind, has_stamp, lambda raw: read(deserialize_message(raw, kind))
    )


def _rest(stream: ImageStream | StateStream) -> tuple[type, Callable[[Any], NDArray[Any]]]:
    """Return the message type of what is not a raw picture and what reads the message."""
    if isinstance(stream, ImageStream):
        return CompressedImage, image_from_msg
    if MESSAGE_TYPES[stream.type] is JointState:
        field, entries = stream.field, stream.entries
        return JointState, lambda msg: entries_from_msg(msg, field, entries)
    return MESSAGE_TYPES[stream.type], lambda msg: np.asarray(msg.data, np.float64)
