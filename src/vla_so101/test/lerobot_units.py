"""Makes `lerobot_units.json`: positions in LeRobot's units, computed by LeRobot's own code.

Run with an interpreter that has lerobot: ``python lerobot_units.py > lerobot_units.json``; the
test `test_lerobot.py` does so too and compares with what is kept here.
"""

from __future__ import annotations

import json
import random
import sys

import lerobot
from lerobot.motors import Motor, MotorCalibration, MotorNormMode
from lerobot.motors.feetech import FeetechMotorsBus

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
REAL = ((0, 866, 3231), (-369, 896, 3211), (-98, 866, 3066), (725, 1039, 3121),
        (1704, 0, 4095), (1573, 2027, 3483))  # fmt: skip
MODES = {
    "lerobot_degrees": MotorNormMode.DEGREES,
    "lerobot_normalised": MotorNormMode.RANGE_M100_100,
}


def case(name: str, drive_mode: int, dice: random.Random) -> dict[str, object]:
    """Return ticks with their values and values with the ticks that LeRobot sends."""
    calibration = {
        joint: MotorCalibration(number + 1, drive_mode, *entry)
        for number, (joint, entry) in enumerate(zip(JOINTS, REAL))  # noqa: B905
    }
    modes = [MODES[name]] * 5 + [MotorNormMode.RANGE_0_100]
    motors = {j: Motor(i + 1, "sts3215", modes[i]) for i, j in enumerate(JOINTS)}
    bus = FeetechMotorsBus("/dev/null", motors, calibration)
    ticks = [[dice.randrange(4096) for _ in JOINTS] for _ in range(60)]
    ticks += [[entry[1] for entry in REAL], [entry[2] for entry in REAL]]
    asked = [[dice.uniform(-110, 110) for _ in JOINTS] for _ in range(60)]
    ids = range(1, 7)
    values = [list(bus._normalize(dict(zip(ids, row))).values()) for row in ticks]  # noqa: B905
    sent = [list(bus._unnormalize(dict(zip(ids, row))).values()) for row in asked]  # noqa: B905
    return {
        "unit": name,
        "calibration": {j: vars(c) for j, c in calibration.items()},
        "ticks": ticks,
        "values": values,
        "asked": asked,
        "sent": sent,
    }


if __name__ == "__main__":
    dice = random.Random(0)
    cases = [case(name, drive_mode, dice) for name in MODES for drive_mode in (0, 1)]
    json.dump({"lerobot": lerobot.__version__, "cases": cases}, sys.stdout)
