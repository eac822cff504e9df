"""``./vla calibrate``: makes LeRobot's calibration file with the arm, or brings one to it.

Every step that lets the arm fall asks first. No ROS; the bridge must not have the port open.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vla_core.errors import ConfigurationError, MismatchError, NotReadyError, VlaError
from vla_so101 import registers as reg
from vla_so101.arm import write_kept
from vla_so101.bus import Bus, Presence
from vla_so101.calibration import (
    FULL_TURN_JOINT,
    JOINTS,
    LARGEST_OFFSET,
    SMALLEST_RANGE,
    Calibration,
    MotorCalibration,
    differences,
    load,
    save,
)
from vla_so101.handshake import OpenPort, read_calibration
from vla_so101.mock_port import resolve
from vla_so101.port import SerialPort
from vla_so101.units import GRIPPER, Unit, scale

# Where a joint is when it stands in its middle; LeRobot's half turn.
HALF_TURN = (reg.TICKS_PER_TURN - 1) // 2
IDS = {joint: number + 1 for number, joint in enumerate(JOINTS)}
REFUSED = 2

Ask = Callable[[str], str]
Say = Callable[[str], None]


class Calibrator:
    """One arm at the bench: reads, writes and makes calibrations.

    Args:
        ask: shows a sentence and returns what the person typed.
        say: shows a sentence.
    """

    def __init__(self, bus: Bus, ask: Ask = input, say: Say = print) -> None:
        self._bus, self._ask, self._say = bus, ask, say

    def check(self) -> None:
        """Raise NotReadyError or MismatchError unless each servo is there, once."""
        found = {j: self._bus.survey(id_, 0, reg.STATE_BEGIN) for j, id_ in IDS.items()}
        wrong = {j: p.value for j, p in found.items() if p is not Presence.THERE}
        if wrong:
            raise NotReadyError(f"on {self._bus.port.name}, expected six servos, found {wrong}")

    def read(self) -> dict[str, MotorCalibration]:
        """Return what the servos hold."""
        empty = {joint: MotorCalibration(id_, 0, 0, 0, 0) for joint, id_ in IDS.items()}
        return read_calibration(self._bus, empty)

    def relax(self) -> None:
        """Switch torque off, after the person said that the arm is supported."""
        if not any(self._bus.read(id_, reg.TORQUE_ENABLE) for id_ in IDS.values()):
            return
        self._confirm("The arm is going to FALL: hold it.")
        for id_ in IDS.values():
            self._bus.write(id_, reg.TORQUE_ENABLE, 0)

    def restore(self, wanted: Calibration) -> None:
        """Write a calibration to the servos; raises MismatchError if they do not keep it."""
        changes = differences(wanted, self.read())
        if not changes:
            self._say("the servos hold this calibration already")
            return
        self.relax()
        self._say("\n".join(changes))
        self._confirm("Write these values to the servos?")
        self.write(wanted)

    def write(self, wanted: Calibration) -> None:
        """Write without asking; torque must be off."""
        for motor in wanted.values():
            values = {
                reg.HOMING_OFFSET: motor.homing_offset,
                reg.MIN_POSITION: motor.range_min,
                reg.MAX_POSITION: motor.range_max,
            }
            write_kept(self._bus, motor.id, values)
        left = differences(wanted, self.read())
        if left:
            raise MismatchError(f"the servos did not keep the calibration: {'; '.join(left)}")

    def make(self) -> dict[str, MotorCalibration]:
        """Find middles and ranges with the person's help, and write them to the servos."""
        self.relax()
        self._ask("Move every joint to the middle of its range, the gripper too. Then Enter.")
        offsets = self._middles()
        plain = {j: MotorCalibration(IDS[j], 0, offsets[j], 0, reg.TICKS_PER_TURN - 1)
                 for j in JOINTS}  # fmt: skip
        self.write(plain)
        lows, highs = self._ranges()
        made = {
            j: MotorCalibration(IDS[j], 0, offsets[j], int(lows[i]), int(highs[i]))
            if j != FULL_TURN_JOINT
            else plain[j]
            for i, j in enumerate(JOINTS)
        }
        self.write(made)
        return made

    def _middles(self) -> dict[str, int]:
        offsets = {}
        for joint, id_ in IDS.items():
            now = self._bus.read(id_, reg.HOMING_OFFSET)
            offset = self._bus.read(id_, reg.PRESENT_POSITION) + now - HALF_TURN
            # The encoder counts one turn: half a turn more is the same place.
            if abs(offset) > LARGEST_OFFSET:
                offset -= reg.TICKS_PER_TURN * (1 if offset > 0 else -1)
            offsets[joint] = max(-LARGEST_OFFSET, min(LARGEST_OFFSET, offset))
        return offsets

    def _ranges(self) -> tuple[np.ndarray, np.ndarray]:
        self._say(
            f"Move each joint but '{FULL_TURN_JOINT}' slowly through its range, to both stops."
        )
        done = threading.Event()

        def wait() -> None:
            self._ask("Enter when all are done.")
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        lows, highs = np.full(len(JOINTS), np.inf), np.full(len(JOINTS), -np.inf)
        while True:
            is_last = done.is_set()
            ticks = self._ticks()
            lows, highs = np.fmin(lows, ticks), np.fmax(highs, ticks)
            if is_last:
                break
            done.wait(0.02)
        self._check_ranges(lows, highs)
        return lows, highs

    def _ticks(self) -> np.ndarray:
        register = reg.PRESENT_POSITION
        found = self._bus.sync_read(list(IDS.values()), register.address, register.size)
        return np.array(
            [register.decode(found[i]) if i in found else np.nan for i in IDS.values()]
        )

    def _check_ranges(self, lows: np.ndarray, highs: np.ndarray) -> None:
        last = reg.TICKS_PER_TURN - 1
        mistakes = []
        for joint, low, high in zip(JOINTS, lows, highs, strict=True):
            if joint == FULL_TURN_JOINT:
                continue
            if not high - low >= SMALLEST_RANGE:
                mistakes.append(f"'{joint}' was moved through {high - low:.0f} ticks only")
            elif low < 0 or high > last:
                mistakes.append(f"'{joint}' left the turn ({low:.0f} to {high:.0f}): the middle "
                                "was not in the middle")  # fmt: skip
        if mistakes:
            raise MismatchError("no calibration was made: " + "; ".join(mistakes))

    def _confirm(self, sentence: str) -> None:
        if self._ask(f"{sentence} Type yes: ").strip().lower() != "yes":
            raise NotReadyError("not confirmed, nothing was changed")


def table(calibration: Calibration, gripper_range: tuple[float, float]) -> str:
    """Return the ranges of all joints in each unit, and what a policy's file needs."""
    ends = np.array([[calibration[j].range_min, calibration[j].range_max] for j in JOINTS]).T
    units = {u: scale(calibration, JOINTS, u, gripper_range).values(ends) for u in Unit}
    lines = [f"{'joint':14}" + "".join(f"{u.value:>24}" for u in Unit)]
    for i, joint in enumerate(JOINTS):
        cells = (f"{units[u][0, i]:10.4f} {units[u][1, i]:10.4f}" for u in Unit)
        lines.append(f"{joint:14}" + "".join(f"{cell:>24}" for cell in cells))
    lines += ["", "units of a policy's file for lerobot_normalised; the gripper's also else:"]
    low, high = units[Unit.RADIANS]
    for i, joint in enumerate(JOINTS):
        bottom = ", policy_low: 0" if joint == GRIPPER else ""
        lines.append(f"  {joint}: {{low: {low[i]:.5f}, high: {high[i]:.5f}{bottom}}}")
    return "\n".join(lines)


def run(arguments: argparse.Namespace, ask: Ask = input, open_port: OpenPort = SerialPort) -> None:
    """Do what the command line asks."""
    file = Path(arguments.file)
    if arguments.show:
        print(table(load(file), tuple(arguments.gripper_range)))
        return
    if not arguments.port:
        raise ConfigurationError("--port is missing: which serial port is the arm on?")
    port = open_port(resolve(arguments.port, arguments.namespace), arguments.baud_rate)
    try:
        calibrator = Calibrator(Bus(port), ask)
        calibrator.check()
        if arguments.relax:
            calibrator.relax()
        elif arguments.restore:
            calibrator.restore(load(file))
        elif arguments.read:
            save(file, calibrator.read())
        else:
            save(file, calibrator.make())
    finally:
        port.close()
    print("done" if arguments.relax or arguments.restore else f"saved {file}")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser("./vla calibrate", description="Calibrates an SO-101.")
    made.add_argument("--port", default="", help="serial port, or emulator")
    made.add_argument("--file", required=True, help="LeRobot's calibration file")
    made.add_argument("--baud-rate", type=int, default=1_000_000)
    made.add_argument("--namespace", default="/so101", help="of the emulated arm")
    made.add_argument("--gripper-range", type=float, nargs=2, default=[-0.174533, 1.74533],
                      metavar=("CLOSED", "OPEN"), help="as in the contract [rad]")  # fmt: skip
    what = made.add_mutually_exclusive_group()
    what.add_argument("--restore", action="store_true", help="write the file to the servos")
    what.add_argument("--read", action="store_true", help="make the file of what they hold")
    what.add_argument("--show", action="store_true", help="print the file in all units")
    what.add_argument("--relax", action="store_true", help="switch torque off")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        run(parser().parse_args(arguments))
    except VlaError as error:
        print(f"vla: {error}", file=sys.stderr)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
