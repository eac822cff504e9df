"""The camera node over DDS: a folder of pictures becomes the contract's stream."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from vla_cameras.calibration import read
from vla_cameras.camera_node import CameraNode, CameraParams
from vla_cameras.messages import camera_info_msg
from vla_core.errors import ConfigurationError
from vla_ros import qos
from vla_ros.images import image_from_msg
from vla_ros.stamps import time_ns
from vla_testing.readme import undocumented
from vla_testing.ros_world import World, parameters, ros_world

CONTRACT = Path(__file__).parents[3] / "config/robots/so101/contract.yaml"
README = Path(__file__).parents[1] / "README.md"
TOPIC = "observation/images/front"
CALIBRATION = """
image_width: 320
image_height: 180
camera_matrix: {data: [300, 0, 159.5, 0, 300, 89.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {data: [0, 0, 0, 0, 0]}
rectification_matrix: {data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {data: [300, 0, 159.5, 0, 0, 300, 89.5, 0, 0, 0, 1, 0]}
"""


def camera(world: World, folder: Path, **values: object) -> CameraNode:
    """Start a camera on two wide pictures, red above green."""
    picture = np.zeros((180, 320, 3), np.uint8)
    picture[:90, :, 2], picture[90:, :, 1] = 200, 200  # BGR
    for index in range(2):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    given = {"contract_files": (str(CONTRACT),), "source": str(folder), "rate_hz": 20.0} | values
    node: CameraNode = world.add(CameraNode(parameter_overrides=parameters(**given)))
    return node


def test_pictures_and_their_camera_info_come_together_in_the_contracts_size(
    tmp_path: Path,
) -> None:
    (tmp_path / "front.yaml").write_text(CALIBRATION)
    with ros_world() as world:
        node = camera(world, tmp_path, loop=True, calibration_file=str(tmp_path / "front.yaml"))
        raw = world.listen(Image, TOPIC, qos.SENSOR)
        small = world.listen(CompressedImage, f"{TOPIC}/compressed", qos.SENSOR)
        infos = world.listen(CameraInfo, f"{TOPIC}/camera_info", qos.SENSOR)
        world.until(lambda: len(raw) > 2 and len(small) > 1 and len(infos) > 2, "pictures")
        for msg in (raw[-1], small[-1]):
            found = image_from_msg(msg)
            assert found.shape == (240, 320, 3)
            assert found[30, 160, 0] > 150 and found[210, 160, 1] > 150
        stamps = [time_ns(msg.header.stamp) for msg in raw]
        assert sorted(set(stamps)) == stamps
        assert {time_ns(msg.header.stamp) for msg in infos} & set(stamps)
        assert raw[-1].header.frame_id == infos[-1].header.frame_id == "front_optical_frame"
        # 16:9 became 4:3 without its sides, a third larger.
        assert infos[-1].k[0] == pytest.approx(400) and infos[-1].k[2] == pytest.approx(159.5)
        own = {TOPIC, f"{TOPIC}/compressed", f"{TOPIC}/camera_info"}
        own |= {"observation/images/wrist/camera_info"}
        assert undocumented(node, CameraParams, README, own) == []


def test_diagnostics_tell_the_skew_to_the_other_stream_and_that_a_file_has_ended(
    tmp_path: Path,
) -> None:
    with ros_world() as world:
        camera(world, tmp_path)
        wrist = world.talk(CameraInfo, "observation/images/wrist/camera_info", qos.SENSOR)
        told = world.listen(DiagnosticArray, "/diagnostics", qos.EVENT)

        def ended() -> bool:
            wrist(camera_info_msg(None, (240, 320), (240, 320), 7, ""))
            return any("skew_s" in str(msg) and "has ended" in str(msg) for msg in told)

        world.until(ended, "the end and the skew in diagnostics")
        status = told[-1].status[0]
        values = {pair.key: pair.value for pair in status.values}
        assert status.name == "camera: front" and values["skew_to"] == "wrist"
        assert float(values["skew_s"]) > 1000 and values["state"] == "ended"


def test_a_camera_that_is_not_plugged_in_is_waited_for_and_reported(tmp_path: Path) -> None:
    with ros_world() as world:
        camera(world, tmp_path, source="/dev/video987")
        told = world.listen(DiagnosticArray, "/diagnostics", qos.EVENT)
        world.until(lambda: any("cannot be opened" in str(m) for m in told), "the reason")


def test_a_wrong_stream_a_wrong_file_and_a_wrong_format_are_refused(tmp_path: Path) -> None:
    with ros_world() as world:
        for text, values in {
            r"'stream': expected one of \['front', 'wrist'\], got 'top'": {"stream": "top"},
            "'source': expected a device": {"source": "absent.mp4"},
            "'pixel_format': expected four letters": {"pixel_format": "MJPEG"},
        }.items():
            with pytest.raises(ConfigurationError, match=text):
                camera(world, tmp_path, **values)


def test_a_calibration_of_another_aspect_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "front.yaml").write_text(CALIBRATION)
    known = read(tmp_path / "front.yaml")
    assert camera_info_msg(known, (480, 640), (240, 320), 7, "f").k[0] == 0.0
    assert camera_info_msg(known, (360, 640), (180, 320), 7, "f").k[0] == pytest.approx(300)
