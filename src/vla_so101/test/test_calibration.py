"""LeRobot's calibration files: read, written, and every mistake named."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from so101_rig import CALIBRATION

from vla_core.errors import ConfigurationError
from vla_so101.calibration import default_path, differences, load, save


@pytest.fixture()
def file(tmp_path: Path) -> Path:
    path = tmp_path / "robots" / "arm.json"
    save(path, CALIBRATION)
    return path


def spoilt(file: Path, joint: str, **changes: Any) -> Path:
    raw = json.loads(file.read_text())
    raw[joint] |= changes
    file.write_text(json.dumps(raw))
    return file


def test_what_was_saved_is_loaded(file: Path) -> None:
    assert load(file) == CALIBRATION
    assert json.loads(file.read_text())["gripper"] == asdict(CALIBRATION["gripper"])


def test_a_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the calibration .*vla calibrate"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"range_min": 3000, "range_max": 2000}, "'elbow_flex' range: expected .* 3000 to 2000"),
        ({"range_max": 4096}, "range: expected inside 0 to 4095"),
        ({"range_min": 2000, "range_max": 2100}, "at least 300 wide"),
        ({"homing_offset": 2048}, "homing_offset: expected at most 2047 either way, found 2048"),
        ({"homing_offset": 1.5}, "expected whole numbers"),
        ({"id": 254}, "id: expected 0 to 253"),
        ({"id": 1}, r"six different ids, found \[1, 2, 1, 4, 5, 6\]"),
        ({"drive_mode": 2}, "drive_mode: expected 0 or 1"),
        ({"unit": "deg"}, "expected .*'homing_offset'.* found .*'unit'"),
    ],
)
def test_a_wrong_entry_is_refused(file: Path, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        load(spoilt(file, "elbow_flex", **changes))


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    spoilt(spoilt(file, "gripper", id=300), "wrist_roll", range_max=9000)
    with pytest.raises(ConfigurationError, match=r"'wrist_roll' range.*; 'gripper' id"):
        load(file)


@pytest.mark.parametrize("names", [["elbow"], ["shoulder_pan", "elbow_flex"]])
def test_other_joints_are_refused(file: Path, names: list[str]) -> None:
    file.write_text(json.dumps({name: asdict(CALIBRATION["gripper"]) for name in names}))
    with pytest.raises(ConfigurationError, match=r"expected joints .*'wrist_roll'.*found"):
        load(file)


def test_no_json_is_refused(file: Path) -> None:
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="is no JSON"):
        load(file)


def test_differences_name_joint_and_values(file: Path) -> None:
    other = load(spoilt(file, "wrist_flex", homing_offset=700, range_max=3000))
    assert differences(CALIBRATION, other) == [
        "'wrist_flex' homing_offset: file 725, servo 700",
        "'wrist_flex' range_max: file 3121, servo 3000",
    ]


def test_files_are_where_lerobot_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_LEROBOT_CALIBRATION", str(tmp_path))
    assert default_path("blue") == tmp_path / "robots" / "so_follower" / "blue.json"
