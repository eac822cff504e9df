"""One camera as one image stream of the contract: raw, compressed and camera_info.

`Connection` decides when to open and to give up; reading, resizing and encoding have a thread.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vla_cameras import calibration, sources
from vla_cameras.capture import Capture
from vla_cameras.connection import Action, Connection, Settings, Skew, State
from vla_cameras.messages import camera_info_msg, fits
from vla_cameras.stamps import stamp_ns
from vla_core.contract import load_contract
from vla_core.errors import ConfigurationError
from vla_core.types import NS_PER_S
from vla_ros import qos
from vla_ros.diagnostics import ERROR, WARN, Diagnostics, Meter, Report, with_skew
from vla_ros.images import compressed_msg, fit, image_msg
from vla_ros.parameters import declare, param
from vla_ros.run import run_node
from vla_ros.stamps import now_ns, time_ns

LOOK_S = 0.05  # how often the connection is looked at
COMPRESSED = "/compressed"


@dataclass(frozen=True)
class CameraParams:
    """Parameters of a camera."""

    contract_files: tuple[str, ...] = param((), "Contract, then overlays in order")
    stream: str = param("front", "Image stream of the contract")
    source: str = param("/dev/video0", "Device, video file or folder of pictures")
    capture_height_px: int = param(480, "Height asked of a device [px]", low=1)
    capture_width_px: int = param(640, "Width asked of a device [px]", low=1)
    rate_hz: float = param(0.0, "Rate asked for; 0: the source's own [Hz]", low=0.0, high=1000.0)
    pixel_format: str = param("MJPG", "Four letters asked of a device; empty: its choice")
    loop: bool = param(False, "Files begin again at their end")
    calibration_file: str = param("", "camera_info YAML, relative: beside the contract")
    frame_id: str = param("", "Frame of the pictures; empty: <stream>_optical_frame")
    delay_s: float = param(0.0, "From exposure to the driver's time [s]", low=0.0, high=1.0)
    jpeg_quality: int = param(90, "Of compressed pictures", low=1, high=100)
    stall_s: float = param(1.0, "Silence after which it is opened anew [s]", low=0.05, high=60.0)
    open_within_s: float = param(5.0, "For the first picture [s]", low=0.1, high=60.0)
    retry_first_s: float = param(0.5, "Pause before the next try [s]", low=0.01, high=60.0)
    retry_most_s: float = param(10.0, "The pause doubles up to this [s]", low=0.01, high=600.0)


class CameraNode(Node):
    """Pictures in, the contract's stream out."""

    def __init__(self, **options: Any) -> None:
        super().__init__("camera", **options)
        self.params = declare(self, CameraParams)
        observation = load_contract(self.params.contract_files).observation
        self._stream = self._chosen(observation.images)
        self._max_skew_ns = int(observation.max_skew_s * NS_PER_S)
        self._wish = self._checked_wish()
        self._calibration = self._calibrated()
        self._frame_id = self.params.frame_id or f"{self.params.stream}_optical_frame"
        self._connection = Connection(self.params.stream, self._settings())
        self._skew = Skew()
        self._lock = threading.Lock()  # of both: the capture's thread and the node's use them
        self._meter = Meter(self.params.stall_s)
        self._capture: Capture | None = None
        self._make_publishers()
        for name, other in observation.images.items():
            if name != self.params.stream:
                self._listen(name, f"{_base(other.topic)}/camera_info")
        Diagnostics(self).add(self.params.stream, self._report)
        # On the steady clock: a camera does not stop with simulated time.
        self.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        if self._capture is not None:
            self._capture.stop(wait_s=1.0)
        super().destroy_node()

    # At start.

    def _chosen(self, streams: Any) -> Any:
        if self.params.stream not in streams:
            raise ConfigurationError(
                f"parameter 'stream': expected one of {sorted(streams)}, "
                f"got '{self.params.stream}'"
            )
        return streams[self.params.stream]

    def _checked_wish(self) -> sources.Wish:
        p = self.params
        sources.kind(p.source)  # a file that is not there is refused now
        if len(p.pixel_format) not in (0, 4):
            raise ConfigurationError(
                f"parameter 'pixel_format': expected four letters or none, got '{p.pixel_format}'"
            )
        return sources.Wish(
            p.source, p.capture_height_px, p.capture_width_px, p.rate_hz, p.pixel_format, p.loop
        )

    def _calibrated(self) -> calibration.Calibration | None:
        """Return the calibration; None: the camera has none."""
        if not self.params.calibration_file:
            return None
        beside = Path(self.params.contract_files[0]).parent
        return calibration.read(beside / Path(self.params.calibration_file).expanduser())

    def _settings(self) -> Settings:
        p = self.params
        seconds = p.stall_s, p.open_within_s, p.retry_first_s, p.retry_most_s
        return Settings(*(int(value * NS_PER_S) for value in seconds))

    def _make_publishers(self) -> None:
        """The contract's own topic always gets pictures, the other one if somebody listens."""
        topic, is_raw = self._stream.topic, self._stream.transport == "raw"
        has_raw = is_raw or topic.endswith(COMPRESSED)
        self._raw = self.create_publisher(Image, _base(topic), qos.SENSOR) if has_raw else None
        jpeg_topic = topic + COMPRESSED if is_raw else topic
        self._jpeg = self.create_publisher(CompressedImage, jpeg_topic, qos.SENSOR)
        self._info = self.create_publisher(CameraInfo, f"{_base(topic)}/camera_info", qos.SENSOR)

    def _listen(self, name: str, topic: str) -> None:
        def on_info(msg: CameraInfo) -> None:
            with self._lock:
                self._skew.seen(name, time_ns(msg.header.stamp))

        self.create_subscription(CameraInfo, topic, on_info, qos.SENSOR)

    # While running.

    def _look(self) -> None:
        with self._lock:
            action = self._connection.tick(time.monotonic_ns())
            news, is_well = self._connection.news(), not self._connection.trouble
        for sentence in news:
            log = self.get_logger()
            log.info(sentence) if is_well else log.warning(sentence)
        if action is Action.CLOSE and self._capture is not None:
            self._capture.stop()
        elif action is Action.OPEN:
            self._open()

    def _open(self) -> None:
        if self._capture is not None and self._capture.is_alive:
            self._capture.stop()
            with self._lock:
                why = "its driver has not returned from the last read"
                self._connection.failed(time.monotonic_ns(), why)
            return
        self._capture = Capture(
            self.params.stream,
            lambda wait: sources.open_source(self._wish, wait),
            self._on_frame,
            self._on_end,
        )

    def _on_end(self, why: str) -> None:
        with self._lock:
            if why:
                self._connection.failed(time.monotonic_ns(), why)
            else:
                self._connection.ended()

    def _on_frame(self, frame: sources.Frame) -> None:
        ros_ns, steady_ns = now_ns(self), time.monotonic_ns()
        stamp = stamp_ns(ros_ns, steady_ns, frame.taken_ns, int(self.params.delay_s * NS_PER_S))
        with self._lock:
            is_new = self._connection.picture(steady_ns, frame.taken_ns)
            if is_new and stamp:
                self._skew.seen(self.params.stream, stamp)
        if is_new and stamp:  # none: simulated time has not begun
            self._publish(frame.pixels, stamp)
            self._meter.seen(now_ns(self) - stamp)

    def _publish(self, pixels: sources.Pixels, stamp: int) -> None:
        size = self._stream.height_px, self._stream.width_px
        small, is_raw = fit(pixels, *size), self._stream.transport == "raw"
        if self._raw and (is_raw or self._raw.get_subscription_count()):
            self._raw.publish(image_msg(small, stamp, self._frame_id))
        if not is_raw or self._jpeg.get_subscription_count():
            quality = self.params.jpeg_quality
            self._jpeg.publish(compressed_msg(small, stamp, self._frame_id, quality))
        captured = pixels.shape[0], pixels.shape[1]
        if self._calibration and not fits(self._calibration, captured):
            self._warn_of_calibration(self._calibration, captured)
        info = camera_info_msg(self._calibration, captured, size, stamp, self._frame_id)
        self._info.publish(info)

    def _warn_of_calibration(self, known: calibration.Calibration, shape: tuple[int, int]) -> None:
        self.get_logger().warning(
            f"{self.params.stream}: calibrated at {known.width_px}x{known.height_px}, pictures "
            f"are {shape[1]}x{shape[0]}, another aspect: camera_info is left empty. Calibrate at "
            "this size, or ask the camera for the other",
            throttle_duration_sec=60.0,
        )

    # Diagnostics.

    def _report(self) -> Report:
        report = self._meter.report()
        with self._lock:
            state, trouble = self._connection.state, self._connection.trouble
            lost, doubled = self._connection.lost, self._connection.doubled
            skew = self._skew.of(self.params.stream)
        values = {**report.values, "state": state.value, "lost": lost, "doubled": doubled}
        level, message = report.level, report.message
        if trouble:
            level, message = WARN if state is State.ENDED else ERROR, trouble
        return with_skew(Report(level, message, values), skew, self._max_skew_ns)


def _base(topic: str) -> str:
    return topic.removesuffix(COMPRESSED)


def main() -> int:
    """Run the node."""
    return run_node(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
