"""The three conventions for joint positions, each named, none guessed.

| Unit | Arm joints | Gripper |
|---|---|---|
| `RADIANS` | degrees in radians, plus the joint's offset | the contract's range, closed to open |
| `DEGREES` | (tick - middle) * 360 / 4095, not clipped | 0 closed to 100 open |
| `NORMALISED` | -100 to 100 on the calibrated range, clipped | 0 closed to 100 open |

`DEGREES` and `NORMALISED` are LeRobot's with `use_degrees` true and false; datasets store neither
unit nor calibration, both are called `shoulder_pan.pos`. The 4095 is LeRobot's: a turn has 4096
ticks, so its degrees are 0.02 % too large, and our radians with them, because its checkpoints and
its kinematics count so. `drive_mode` turns only normalised joints round, as in LeRobot.

Source: lerobot:src/lerobot/motors/motors_bus.py (_normalize, _unnormalize).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from vla_core.errors import ConfigurationError
from vla_so101.calibration import Calibration, MotorCalibration
from vla_so101.registers import TICKS_PER_TURN

Floats = NDArray[np.float64]

GRIPPER = "gripper"
DEGREES_PER_TICK = 360 / (TICKS_PER_TURN - 1)


class Unit(str, Enum):
    """What a joint position is counted in."""

    RADIANS = "rad"
    DEGREES = "lerobot_degrees"
    NORMALISED = "lerobot_normalised"


def unit(name: str) -> Unit:
    """Return the unit of a name; raises ConfigurationError with the known ones."""
    try:
        return Unit(name)
    except ValueError:
        raise ConfigurationError(
            f"unknown unit '{name}'; known: {[known.value for known in Unit]}. LeRobot's data do "
            "not say theirs: 0.4.4 and later record degrees by default, older ones normalised."
        ) from None


@dataclass(frozen=True, eq=False)
class Scale:
    """ticks = zero + value / per_tick, for some joints in one unit; arrays (J,)."""

    zero: Floats
    per_tick: Floats  # signed
    low: Floats  # ticks between which values are clipped
    high: Floats

    def values(self, ticks: Floats) -> Floats:
        """Return the values of ticks (..., J) after the servo's own homing offset."""
        clipped = np.clip(np.asarray(ticks, np.float64), self.low, self.high)
        return (clipped - self.zero) * self.per_tick

    def ticks(self, values: Floats) -> Floats:
        """Return the ticks of values (..., J), not rounded. LeRobot cuts the fraction off."""
        exact = np.asarray(values, np.float64) / self.per_tick + self.zero
        return np.clip(exact, self.low, self.high)


def scale(
    calibration: Calibration,
    joints: Sequence[str],
    in_unit: Unit,
    gripper_range: tuple[float, float] | None = None,
    offsets: Mapping[str, float] | None = None,
) -> Scale:
    """Return how ``joints`` are counted in one unit.

    Args:
        gripper_range: closed and open [rad]; for `RADIANS`.
        offsets: joint -> radians of the model when LeRobot says zero; for `RADIANS`.
    """
    rows = []
    for joint in joints:
        motor = calibration[joint]
        if joint == GRIPPER:
            rows.append(_gripper(motor, in_unit, gripper_range))
        elif in_unit is Unit.NORMALISED:
            rows.append(_range(motor, -100.0, 100.0))
        elif in_unit is Unit.DEGREES:
            rows.append((motor.middle, DEGREES_PER_TICK, -np.inf, np.inf))
        else:
            per_tick = np.deg2rad(DEGREES_PER_TICK)
            zero = motor.middle - (offsets or {}).get(joint, 0.0) / per_tick
            rows.append((zero, per_tick, -np.inf, np.inf))
    return Scale(*(np.array(column) for column in zip(*rows, strict=True)))


def _gripper(
    motor: MotorCalibration, in_unit: Unit, closed_open: tuple[float, float] | None
) -> tuple[float, float, float, float]:
    if in_unit is not Unit.RADIANS:
        return _range(motor, 0.0, 100.0)
    if closed_open is None:
        raise ConfigurationError("the gripper in radians needs the contract's range of it")
    return _range(motor, *closed_open)


def _range(motor: MotorCalibration, low: float, high: float) -> tuple[float, float, float, float]:
    """Return a row that maps the calibrated range onto low to high; drive mode 1 turns it."""
    if motor.drive_mode:
        low, high = high, low
    per_tick = (high - low) / (motor.range_max - motor.range_min)
    return motor.range_min - low / per_tick, per_tick, motor.range_min, motor.range_max
