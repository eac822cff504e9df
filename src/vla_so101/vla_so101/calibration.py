"""LeRobot's calibration files: read, checked, compared with what the servos hold, written.

Keys are joints; `homing_offset` is subtracted by the servo itself, `range_min` and `range_max`
are ticks after that. Source: lerobot:src/lerobot/motors/motors_bus.py (MotorCalibration) and
robots/so_follower.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vla_core.errors import ConfigurationError
from vla_so101.registers import TICKS_PER_TURN

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")
# Turns without end: LeRobot gives it the whole turn instead of a recorded range.
FULL_TURN_JOINT = "wrist_roll"
LARGEST_OFFSET = 2047
# A joint that was moved through less than this was not moved through its range [ticks].
SMALLEST_RANGE = 300


@dataclass(frozen=True)
class MotorCalibration:
    """One joint's entry."""

    id: int
    drive_mode: int
    homing_offset: int
    range_min: int
    range_max: int

    @property
    def middle(self) -> float:
        """The tick that is zero in degrees and radians."""
        return (self.range_min + self.range_max) / 2


Calibration = Mapping[str, MotorCalibration]


def load(path: Path) -> dict[str, MotorCalibration]:
    """Return a file's content.

    Raises:
        ConfigurationError: unreadable, or wrong; lists every mistake.
    """
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the calibration {path}: {error}. './vla calibrate' makes one."
        ) from error
    except ValueError as error:
        raise ConfigurationError(f"calibration {path} is no JSON: {error}") from error
    mistakes = _mistakes(raw)
    if mistakes:
        raise ConfigurationError(f"calibration {path}: " + "; ".join(mistakes))
    return {name: MotorCalibration(**raw[name]) for name in JOINTS}


def save(path: Path, calibration: Calibration) -> None:
    """Write a file that LeRobot reads; the old one stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps({n: asdict(c) for n, c in calibration.items()}, indent=4) + "\n")
    os.replace(fresh, path)


def default_path(name: str, robot: str = "so_follower") -> Path:
    """Return where LeRobot keeps the calibration of the arm that it calls ``name``."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    root = os.environ.get("HF_LEROBOT_CALIBRATION", str(home / "lerobot" / "calibration"))
    return Path(root).expanduser() / "robots" / robot / f"{name}.json"


def differences(wanted: Calibration, found: Calibration) -> list[str]:
    """Return in what the servos differ from a file, one sentence each; ids aside."""
    return [
        f"'{joint}' {field}: file {getattr(wanted[joint], field)}, servo {getattr(servo, field)}"
        for joint, servo in found.items()
        for field in ("homing_offset", "range_min", "range_max")
        if getattr(wanted[joint], field) != getattr(servo, field)
    ]


def _mistakes(raw: Any) -> list[str]:
    if not isinstance(raw, dict):
        return [f"expected joints and their entries, found {type(raw).__name__}"]
    if sorted(raw) != sorted(JOINTS):
        return [f"expected joints {list(JOINTS)}, found {list(raw)}"]
    mistakes = [m for joint in JOINTS for m in _entry_mistakes(joint, raw[joint])]
    if not mistakes:
        ids = [raw[joint]["id"] for joint in JOINTS]
        if len(set(ids)) < len(ids):
            mistakes.append(f"expected six different ids, found {ids}")
    return mistakes


def _entry_mistakes(joint: str, entry: Any) -> list[str]:
    if not isinstance(entry, dict) or sorted(entry) != sorted(FIELDS):
        found = sorted(entry) if isinstance(entry, dict) else entry
        return [f"'{joint}': expected {list(FIELDS)}, found {found}"]
    if not all(type(entry[field]) is int for field in FIELDS):
        return [f"'{joint}': expected whole numbers, found {entry}"]
    last = TICKS_PER_TURN - 1
    low, high = entry["range_min"], entry["range_max"]
    checks = {
        f"id: expected 0 to 253, found {entry['id']}": 0 <= entry["id"] <= 253,
        f"drive_mode: expected 0 or 1, found {entry['drive_mode']}": entry["drive_mode"] in (0, 1),
        f"homing_offset: expected at most {LARGEST_OFFSET} either way, "
        f"found {entry['homing_offset']}": abs(entry["homing_offset"]) <= LARGEST_OFFSET,
        f"range: expected inside 0 to {last} and at least {SMALLEST_RANGE} wide, "
        f"found {low} to {high}": low >= 0 and high <= last and high - low >= SMALLEST_RANGE,
    }
    return [f"'{joint}' {what}" for what, is_right in checks.items() if not is_right]
