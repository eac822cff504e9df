"""The robot's front camera as the contract's image stream, in a process of its own.

Decoding takes some milliseconds of a core for each picture: the bridge must not wait for it.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError, NotReadyError
from vla_go2_arm import vendor
from vla_go2_arm.video import MULTICAST, H264Decoder, Pixels, multicast_frames
from vla_ros import qos
from vla_ros.diagnostics import WARN, Diagnostics, Meter, Report
from vla_ros.images import compressed_msg, fit, image_msg
from vla_ros.parameters import declare, param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns

SOURCES = ("topic", "multicast")
SIZES = {"720p": "video720p", "360p": "video360p", "180p": "video180p"}
AGAIN_S = 2.0  # pause before the multicast is opened again


@dataclass(frozen=True)
class CameraParams:
    """Parameters of the node `front_camera`."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    stream: str = param("front", "Image stream of the contract")
    source: str = param("topic", "topic: /frontvideostream; multicast: RTP")
    size: str = param("360p", "Which of the topic's sizes: 720p, 360p, 180p")
    prefix: str = param("", "Put before the robot's own topic; empty on a real robot")
    address: str = param(MULTICAST, "Of the multicast, host:port")
    interface: str = param("", "This machine's IP address on the robot's network, for multicast")


class CameraNode(Node):
    """H.264 in, pictures out; stamped when they came, since the stream carries no usable time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("front_camera", **options)
        self.params = declare(self, CameraParams)
        contract = load_contract(self.params.contract_files)
        self._check(sorted(contract.observation.images))
        stream = contract.observation.images[self.params.stream]
        self._size = stream.height_px, stream.width_px
        self._make = image_msg if stream.transport == "raw" else compressed_msg
        kind = Image if stream.transport == "raw" else CompressedImage
        self._images = self.create_publisher(kind, stream.topic, qos.SENSOR)
        self._meter = Meter()
        self._trouble = ""
        self._ended = threading.Event()
        diagnostics = Diagnostics(self)
        diagnostics.add(self.params.stream, self._report)
        if self.params.source == "topic":
            self._open_topic()
        else:
            threading.Thread(target=self._read_multicast, name="multicast", daemon=True).start()

    def destroy_node(self) -> None:
        self._ended.set()
        super().destroy_node()

    def _check(self, streams: list[str]) -> None:
        for name, value, known in (
            ("source", self.params.source, SOURCES),
            ("size", self.params.size, tuple(SIZES)),
            ("stream", self.params.stream, tuple(streams)),
        ):
            if value not in known:
                raise ConfigurationError(
                    f"parameter '{name}': expected one of {list(known)}, got '{value}'"
                )

    def _open_topic(self) -> None:
        try:
            (message,) = vendor.load(vendor.VIDEO_FIELDS).values()
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{error} Some firmwares have another layout of this message: use "
                "source:=multicast, or another camera."
            ) from error
        self._decoder = H264Decoder()
        self.create_subscription(
            message, f"{self.params.prefix}/frontvideostream", self._on_video, qos.SENSOR
        )

    def _on_video(self, msg: Any) -> None:
        received = now_ns(self)
        data = bytes(getattr(msg, SIZES[self.params.size]))
        if not data:
            self._trouble = f"the robot sends no '{SIZES[self.params.size]}'"
            return
        for picture in self._decoder.decode(data):
            self._publish(picture, received)

    def _read_multicast(self) -> None:
        while not self._ended.is_set():
            try:
                for picture in multicast_frames(self.params.address, self.params.interface):
                    if self._ended.is_set():
                        return
                    self._publish(picture, now_ns(self))
            except NotReadyError as error:
                self._trouble = str(error)
                self.get_logger().warning(str(error), throttle_duration_sec=30.0)
            self._ended.wait(AGAIN_S)

    def _publish(self, picture: Pixels, stamp_ns: int) -> None:
        small = fit(picture, *self._size)
        self._images.publish(self._make(small, stamp_ns, f"{self.params.stream}_camera"))
        self._trouble = ""
        self._meter.seen(now_ns(self) - stamp_ns)

    def _report(self) -> Report:
        report = self._meter.report()
        return Report(WARN, self._trouble, report.values) if self._trouble else report


def main() -> int:
    """Run the node."""
    return run_node(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
