"""What the tests of the SO-101 share: an emulated arm, the driver's arm, a direct line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vla_so101.arm import Arm, ArmSettings
from vla_so101.calibration import MotorCalibration
from vla_so101.emulator.emulator import EXAMPLE, NAMES, Emulator, arm
from vla_so101.emulator.faults import Faults
from vla_so101.emulator.line import Line
from vla_so101.emulator.servo import Servo

CALIBRATION = {
    name: MotorCalibration(number + 1, 0, *entry)
    for number, (name, entry) in enumerate(zip(NAMES, EXAMPLE, strict=True))
}
GRIPPER_RANGE = (-0.174533, 1.74533)
PATIENT_S = 0.1  # a reply's time-out on a machine that does other things too


class DirectPort:
    """The emulated line without a terminal and without time: for tests of milliseconds."""

    name, baud_rate = "direct", 1_000_000

    def __init__(self, servos: Sequence[Servo] | None = None, **faults: Any) -> None:
        self.servos = list(servos or arm()[0])
        self.faults = Faults(**faults)
        self.line = Line(self.servos, self.faults)
        self.sent: list[bytes] = []
        self._answer = b""

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.line.silence()
        self._answer += self.line.hear(data)[1]

    def receive(self, until_s: float) -> bytes:
        answer, self._answer = self._answer, b""
        return answer

    def discard(self) -> None:
        self._answer = b""

    def close(self) -> None:
        """Nothing is open."""


class Rig:
    """An emulator in this process and an arm that may be connected to it."""

    def __init__(self, calibration: Any = CALIBRATION, **emulator: Any) -> None:
        self.emulator = Emulator(**emulator)
        self.arm = self.another_arm(calibration)

    def another_arm(self, calibration: Any = CALIBRATION) -> Arm:
        settings = ArmSettings(
            self.emulator.port, calibration, GRIPPER_RANGE, reply_timeout_s=PATIENT_S
        )
        return Arm(settings)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.arm.close()
        self.emulator.close()

    def measured(self) -> np.ndarray:
        return self.arm.positions(self.arm.exchange())

    def until(self, reached: Callable[[], object], what: str, within_s: float = 10.0) -> None:
        """Wait for the emulated world, which lives in real time."""
        end = time.monotonic() + within_s
        while not reached():
            assert time.monotonic() < end, f"not within {within_s:g} s: {what}"
            time.sleep(0.01)
