"""Files as cameras and calibrations, without ROS."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from vla_cameras import calibration, sources
from vla_cameras.capture import Capture
from vla_core.errors import ConfigurationError, NotReadyError

CALIBRATION = """
image_width: 640
image_height: 480
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [600, 0, 319.5, 0, 600, 239.5, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, -0.2, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [600, 0, 319.5, 0, 0, 600, 239.5, 0, 0, 0, 1, 0]}
"""
COLOURS = [(200, 10, 10), (10, 200, 10), (10, 10, 200)]  # RGB


def no_wait(_: float) -> bool:
    return True


def folder(path: Path) -> Path:
    for index, (r, g, b) in enumerate(COLOURS):
        cv2.imwrite(str(path / f"{index}.png"), np.full((48, 64, 3), (b, g, r), np.uint8))
    return path


def video(path: Path) -> Path:
    file = path / "colours.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for r, g, b in COLOURS:
        writer.write(np.full((48, 64, 3), (b, g, r), np.uint8))
    writer.release()
    return file


def wish(where: Path, loop: bool = False) -> sources.Wish:
    return sources.Wish(str(where), 48, 64, rate_hz=50.0, loop=loop)


@pytest.mark.parametrize("make", [folder, video])
def test_a_files_pictures_come_in_order_as_rgb_and_end(tmp_path: Path, make: object) -> None:
    source = sources.open_source(wish(make(tmp_path)), no_wait)  # type: ignore[operator]
    frames = [source.read() for _ in range(4)]
    assert frames[3] is None
    for frame, colour in zip(frames, COLOURS, strict=False):
        assert frame is not None
        assert np.abs(frame.pixels[24, 32].astype(int) - colour).max() < 12
    source.close()


@pytest.mark.parametrize("make", [folder, video])
def test_a_looping_file_begins_again_and_its_times_go_on(tmp_path: Path, make: object) -> None:
    source = sources.open_source(wish(make(tmp_path), True), no_wait)  # type: ignore[operator]
    frames = [source.read() for _ in range(7)]
    taken = [frame.taken_ns for frame in frames if frame is not None]
    assert len(taken) == 7 and sorted(set(taken)) == taken
    assert frames[3] is not None and abs(int(frames[3].pixels[24, 32, 0]) - 200) < 12


def test_what_is_no_source_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pictures"):
        sources.kind(str(tmp_path))
    with pytest.raises(ConfigurationError, match="none of them"):
        sources.kind(str(tmp_path / "absent.mp4"))
    assert sources.kind("/dev/video7") == sources.kind("7") == "device"


def test_an_absent_device_and_a_broken_video_say_so(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="/dev/video987 cannot be opened"):
        sources.open_source(wish(Path("/dev/video987")), no_wait)
    (tmp_path / "broken.mp4").write_bytes(b"nonsense")
    with pytest.raises(NotReadyError, match="is no video"):
        sources.open_source(wish(tmp_path / "broken.mp4"), no_wait)


def test_a_stopped_capture_tells_nothing_more_and_lets_go() -> None:
    reading, closed, said = threading.Event(), threading.Event(), []
    go_on = threading.Event()

    class Stuck:
        def read(self) -> sources.Frame:
            reading.set()
            assert go_on.wait(10.0)
            raise NotReadyError("unplugged")

        def close(self) -> None:
            closed.set()

    capture = Capture("stuck", lambda wait: Stuck(), said.append, said.append)
    assert reading.wait(10.0)
    capture.stop()
    assert capture.is_alive, "the driver has not returned"
    go_on.set()
    capture.stop(wait_s=10.0)
    assert closed.is_set() and not capture.is_alive and said == []


def test_a_failing_source_ends_the_capture_with_its_reason() -> None:
    said: list[str] = []

    def refuse(_: object) -> sources.Source:
        raise NotReadyError("no such device")

    told = threading.Event()

    def end(why: str) -> None:
        said.append(why)
        told.set()

    Capture("absent", refuse, lambda frame: None, end)
    assert told.wait(10.0) and said == ["no such device"]


def test_calibrations_are_read_and_follow_the_picture(tmp_path: Path) -> None:
    file = tmp_path / "front.yaml"
    file.write_text(CALIBRATION)
    full = calibration.read(file)
    assert (full.height_px, full.width_px, full.model) == (480, 640, "plumb_bob")
    half = full.resized(240, 320)
    # The optical axis stays in the middle of the picture: (w - 1) / 2 at every size.
    assert half.k.tolist() == [[300, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]
    assert half.p[0].tolist() == [300, 0, 159.5, 0] and half.d == full.d
    middle = full.cut(0, 80, 480, 480)
    assert middle.k[0].tolist() == [600, 0, 239.5] and middle.width_px == 480


def test_every_mistake_of_a_calibration_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "front.yaml"
    text = (
        CALIBRATION.replace("640", "-1")
        .replace("plumb_bob", "magic")
        .replace("600, 0, 319.5", "x")
    )
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        calibration.read(file)
    for key in ("image_width", "distortion_model", "camera_matrix", "projection_matrix"):
        assert f"'{key}'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        calibration.read(tmp_path / "absent.yaml")
