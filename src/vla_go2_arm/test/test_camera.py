"""The front camera: H.264 of the robot's topic and of its multicast to the contract's stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import needs_unitree  # noqa: F401  (skips this module)
import numpy as np
import pytest
from go2_rig import CONTRACT_FILE
from sensor_msgs.msg import Image

from vla_core.errors import ConfigurationError, NotReadyError
from vla_go2_arm import vendor
from vla_go2_arm.camera_node import CameraNode
from vla_go2_arm.emulator.camera import Camera, moving_bar
from vla_go2_arm.emulator.emulator_node import EmulatorNode
from vla_go2_arm.video import H264Decoder, multicast_frames
from vla_ros import qos
from vla_ros.images import fit, image_from_msg
from vla_testing.ros_world import parameters, ros_world

PORT = 17200


def difference(picture: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(picture.astype(float) - wanted.astype(float)).mean())


def test_frames_are_decoded_and_a_stream_may_be_joined_in_the_middle() -> None:
    camera, decoder = Camera(10.0), H264Decoder()
    late = H264Decoder()
    for count in range(1, 22):
        data = bytes(camera.next_frames()[0])
        (picture,) = decoder.decode(data)
        assert difference(picture, moving_bar(360, 640, count)) < 8
        pictures = late.decode(data) if count > 5 else []
    assert pictures, "nothing after the next key frame"


def test_damaged_data_is_counted_and_not_fatal() -> None:
    decoder = H264Decoder()
    assert decoder.decode(b"\x00\x00\x00\x01" + bytes(range(200))) == []
    assert decoder.decode(bytes(Camera(10.0).next_frames()[0]))


def test_a_wide_picture_loses_its_sides_and_is_made_smaller() -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[:, 160:1120] = 100  # the middle 4:3
    assert (fit(picture, 240, 320) == 100).all()
    assert fit(picture, 720, 1280).shape == (720, 1280, 3)


def test_the_robots_topic_becomes_the_contracts_stream() -> None:
    with ros_world() as world:
        robot = EmulatorNode(parameter_overrides=parameters(video_hz=10.0))
        world.add(robot)
        world.add(CameraNode(parameter_overrides=parameters(contract_files=(CONTRACT_FILE,))))
        heard = world.listen(Image, "observation/images/front", qos.SENSOR)
        world.until(lambda: len(heard) >= 2, "two pictures")
        picture = image_from_msg(heard[-1])
        assert picture.shape == (240, 320, 3)
        assert picture[120, 20, 0] > 150 and picture[120, 300, 2] > 150  # red left, blue right


def test_another_layout_of_the_video_message_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = {"unitree_go/Go2FrontVideoData": {"time_frame": "uint64", "resolution": "int16"}}
    monkeypatch.setattr(vendor, "VIDEO_FIELDS", other)
    with ros_world(), pytest.raises(ConfigurationError, match=r"'resolution'.*source:=multicast"):
        CameraNode(parameter_overrides=parameters(contract_files=(CONTRACT_FILE,)))


@contextmanager
def sender(address: str) -> Iterator[None]:
    """Stream the test picture as RTP to this machine alone."""
    import av

    ended = threading.Event()

    def send() -> None:
        target = f"rtp://{address}?ttl=0&localaddr=127.0.0.1"
        with av.open(target, "w", format="rtp") as out:
            stream = out.add_stream("libx264", rate=15)
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5",
                              "x264-params": "repeat-headers=1"}  # fmt: skip
            count = 0
            while not ended.is_set():
                count += 1
                frame = av.VideoFrame.from_ndarray(moving_bar(360, 640, 1), format="rgb24")
                frame.pts, frame.time_base = count, Fraction(1, 15)
                for packet in stream.encode(frame):
                    out.mux(packet)
                time.sleep(1 / 15)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "230.1.1.1"])
def test_rtp_is_received_also_as_multicast(host: str) -> None:
    try:
        with sender(f"{host}:{PORT}"):
            picture = next(multicast_frames(f"{host}:{PORT}", "127.0.0.1"))
    except NotReadyError as error:
        if host == "127.0.0.1":
            raise
        pytest.skip(f"this machine's loopback has no multicast: {error}")
    assert difference(picture, moving_bar(360, 640, 1)) < 8


def test_a_multicast_that_never_comes_is_refused_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vla_go2_arm.video.OPEN_WITHIN_S", 0.3)
    with pytest.raises(NotReadyError, match=r"no H.264 from 127.0.0.1:17299"):
        next(multicast_frames("127.0.0.1:17299", "127.0.0.1"))
