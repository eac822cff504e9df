"""LeRobot's own Feetech client on a port; prints what it read. Runs in LeRobot's environment.

``python lerobot_follower.py PORT CALIBRATION``
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lerobot.motors import Motor, MotorCalibration, MotorNormMode
from lerobot.motors.feetech import FeetechMotorsBus, OperatingMode

ATTEMPTS = 8
STEPS = (12.0, 20.0, -15.0, -10.0, 8.0, 20.0)  # degrees; the gripper's in percent


def open_bus(port: str, raw: dict[str, dict[str, int]]) -> FeetechMotorsBus:
    """Return the bus as `SOFollower` of LeRobot 0.4.4 makes it."""
    modes = [MotorNormMode.DEGREES] * 5 + [MotorNormMode.RANGE_0_100]
    motors = {j: Motor(raw[j]["id"], "sts3215", m) for j, m in zip(raw, modes)}  # noqa: B905
    return FeetechMotorsBus(port, motors, {j: MotorCalibration(**raw[j]) for j in raw})


def configure(bus: FeetechMotorsBus) -> None:
    """Do what `SOFollower.configure` does."""
    with bus.torque_disabled():
        bus.configure_motors()
        for motor in bus.motors:
            bus.write("Operating_Mode", motor, OperatingMode.POSITION.value)
            bus.write("P_Coefficient", motor, 16)
            bus.write("I_Coefficient", motor, 0)
            bus.write("D_Coefficient", motor, 32)
        bus.write("Max_Torque_Limit", "gripper", 500)
        bus.write("Protection_Current", "gripper", 250)
        bus.write("Overload_Torque", "gripper", 25)


def move(bus: FeetechMotorsBus) -> dict[str, object]:
    """Configure, move every joint by a step and read before and after."""
    configure(bus)
    time.sleep(1.0)  # it may still go where the last attempt sent it
    before = bus.sync_read("Present_Position", num_retry=5)
    before_raw = bus.sync_read("Present_Position", normalize=False, num_retry=5)
    asked = {j: before[j] + step for j, step in zip(before, STEPS)}  # noqa: B905
    bus.sync_write("Goal_Position", asked)
    time.sleep(1.0)
    after = bus.sync_read("Present_Position", num_retry=5)
    return {
        "before": list(before.values()),
        "before_raw": list(before_raw.values()),
        "asked": list(asked.values()),
        "after": list(after.values()),
        "after_raw": list(
            bus.sync_read("Present_Position", normalize=False, num_retry=5).values()
        ),
        "model": bus.ping("gripper"),
        "is_calibrated": bus.is_calibrated,
    }


def connect(bus: FeetechMotorsBus) -> None:
    """Connect; its 50 ms per reply are too short for an emulator on a busy machine."""
    for attempt in range(ATTEMPTS):
        try:
            return bus.connect()
        except Exception:
            if bus.is_connected:
                bus.disconnect(disable_torque=False)
            if attempt == ATTEMPTS - 1:
                raise


def patiently(port: str, raw: dict[str, dict[str, int]]) -> dict[str, object]:
    """Move the arm; again from the start where a write of LeRobot's got no answer in time."""
    for attempt in range(ATTEMPTS):
        bus = open_bus(port, raw)
        connect(bus)
        try:
            return move(bus)
        except ConnectionError:
            if attempt == ATTEMPTS - 1:
                raise
        finally:
            bus.disconnect(disable_torque=False)
    raise AssertionError("unreachable")


if __name__ == "__main__":
    raw = json.loads(Path(sys.argv[2]).read_text())
    other = {j: entry | {"homing_offset": entry["homing_offset"] + 3} for j, entry in raw.items()}
    bus = open_bus(sys.argv[1], other)
    connect(bus)
    takes_another = bus.is_calibrated
    bus.disconnect(disable_torque=False)
    print(json.dumps({"takes_another": takes_another, **patiently(sys.argv[1], raw)}))
