"""What the servos move: a port, and joints that follow like first-order servos and can fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

TIME_CONSTANT_S = 0.03
FASTEST = 3070.0  # [ticks/s], without load at 7.4 V: 60 degrees in 0.222 s
FALL_SPEED = 900.0  # of a joint without torque [ticks/s]
ACCELERATION_UNIT = 100.0  # [ticks/s^2] of the register Acceleration
# A joint pulled by less than this share of the largest torque stays: gears have friction.
FRICTION = 0.1


@dataclass(frozen=True)
class Drive:
    """What one servo does to its joint."""

    target: float  # [ticks of the encoder]
    strength: float  # largest torque, as a share; 0: none
    acceleration: float  # [ticks/s^2]; 0: as fast as it can


class Plant(Protocol):
    """Joints moved by servos; encoder positions in ticks, before the homing offset."""

    positions: list[float]
    speeds: list[float]  # [ticks/s]
    loads: list[float]  # share of the largest torque, signed

    def step(self, drives: Sequence[Drive], seconds: float) -> None:
        """Let time pass."""
        ...


class FirstOrderArm:
    """Joints that approach their target exponentially, inside speed and acceleration.

    Args:
        positions: where the encoders stand.
        stops: mechanical ends of each joint [ticks].
        weights: share of torque that gravity takes, signed towards where the joint falls.
    """

    def __init__(
        self,
        positions: Sequence[float],
        stops: Sequence[tuple[float, float]],
        weights: Sequence[float],
    ) -> None:
        self.positions = list(positions)
        self.speeds = [0.0] * len(self.positions)
        self.loads = [0.0] * len(self.positions)
        self.stops = list(stops)
        self.weights = list(weights)

    def step(self, drives: Sequence[Drive], seconds: float) -> None:
        for joint, drive in enumerate(drives):
            weight = self.weights[joint]
            if drive.strength > abs(weight):
                wanted = (drive.target - self.positions[joint]) / TIME_CONSTANT_S
                wanted = min(FASTEST, max(-FASTEST, wanted))
            elif abs(weight) > FRICTION:
                wanted = FALL_SPEED if weight > 0 else -FALL_SPEED
            else:
                wanted = 0.0
            self._move(joint, drive, wanted, seconds)

    def _move(self, joint: int, drive: Drive, wanted: float, seconds: float) -> None:
        if drive.acceleration:
            reach = drive.acceleration * seconds
            wanted = min(self.speeds[joint] + reach, max(self.speeds[joint] - reach, wanted))
        low, high = self.stops[joint]
        before = self.positions[joint]
        self.positions[joint] = min(high, max(low, before + wanted * seconds))
        self.speeds[joint] = (self.positions[joint] - before) / seconds
        pull = (drive.target - self.positions[joint]) / 200.0 - self.weights[joint]
        self.loads[joint] = min(drive.strength, max(-drive.strength, pull))
