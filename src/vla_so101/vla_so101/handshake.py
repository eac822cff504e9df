"""What is checked before an arm may move: servos, ids, memory, calibration, position.

Each check that fails is a sentence for the person at the arm. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vla_core.errors import MismatchError, NotReadyError
from vla_so101 import registers as reg
from vla_so101.bus import Bus, Presence
from vla_so101.calibration import Calibration, MotorCalibration, differences
from vla_so101.port import Port

POSITION_MODE = 0
# An arm that rests on its stops may be a little outside of the range that was recorded [ticks].
RANGE_MARGIN = 60
PROBE_S = 0.05  # for a reply at another baud rate

OpenPort = Callable[[str, int], Port]


def find_servos(bus: Bus, calibration: Calibration, open_port: OpenPort) -> None:
    """Check that each servo is there, once.

    Raises:
        NotReadyError: none or not all answer; says at which other baud rate they do.
        MismatchError: replies of an id collide: two servos have it.
    """
    ids = {joint: motor.id for joint, motor in calibration.items()}
    found = {j: bus.survey(id_, 0, reg.STATE_BEGIN) for j, id_ in ids.items()}
    colliding = [joint for joint in ids if found[joint] is Presence.COLLIDES]
    silent = [joint for joint in ids if found[joint] is Presence.SILENT]
    if len(silent) == len(ids):
        raise NotReadyError(_nobody(bus, ids, open_port))
    if colliding:
        raise MismatchError(
            f"on {bus.port.name} replies of {_named(colliding, ids)} collide: two servos have one "
            "id, as when two arms are on one bus. Give each arm its own adapter, or repair the "
            "cable."
        )
    if silent:
        heard = [joint for joint in ids if joint not in silent]
        raise NotReadyError(
            f"on {bus.port.name} {_named(silent, ids)} do not answer, {_named(heard, ids)} do. "
            "Check the cable at the first one that is silent, and its id."
        )


def check_memory(bus: Bus, calibration: Calibration) -> None:
    """Check model, mode and calibration of each servo, and where the arm is.

    Raises:
        MismatchError: not the arm of this calibration; lists everything that differs.
    """
    mistakes = []
    for joint, motor in calibration.items():
        model = bus.read(motor.id, reg.MODEL_NUMBER)
        if model != reg.MODEL_NUMBER_STS3215:
            mistakes.append(f"'{joint}': expected model {reg.MODEL_NUMBER_STS3215}, found {model}")
        mode = bus.read(motor.id, reg.OPERATING_MODE)
        if mode != POSITION_MODE:
            mistakes.append(f"'{joint}': expected position mode {POSITION_MODE}, found {mode}")
    wrong = differences(calibration, read_calibration(bus, calibration))
    if wrong:
        mistakes.append(
            f"the calibration file is not what the servos hold: {'; '.join(wrong)}. If it is the "
            "file of this arm: './vla calibrate --restore'; else calibrate anew"
        )
    mistakes += _outside(bus, calibration) if not wrong else []
    if mistakes:
        raise MismatchError(f"arm on {bus.port.name}: " + "; ".join(mistakes) + ".")


def read_calibration(bus: Bus, known: Calibration) -> dict[str, MotorCalibration]:
    """Return what the servos hold; the drive mode, which they do not know, from ``known``."""
    found = {}
    for joint, motor in known.items():
        values = (reg.HOMING_OFFSET, reg.MIN_POSITION, reg.MAX_POSITION)
        offset, low, high = (bus.read(motor.id, register) for register in values)
        found[joint] = MotorCalibration(motor.id, motor.drive_mode, offset, low, high)
    return found


def _outside(bus: Bus, calibration: Calibration) -> list[str]:
    mistakes = []
    for joint, motor in calibration.items():
        tick = bus.read(motor.id, reg.PRESENT_POSITION)
        low, high = motor.range_min - RANGE_MARGIN, motor.range_max + RANGE_MARGIN
        if not low <= tick <= high:
            mistakes.append(
                f"'{joint}' stands at {tick} ticks, outside of its range {motor.range_min} to "
                f"{motor.range_max}: move it inside by hand, or calibrate anew"
            )
    return mistakes


def _nobody(bus: Bus, ids: Mapping[str, int], open_port: OpenPort) -> str:
    """Say why nobody answers, after asking at the other baud rates."""
    path, expected = bus.port.name, bus.port.baud_rate
    bus.port.close()
    for baud_rate in sorted(set(reg.BAUD_RATES.values()) - {expected}, reverse=True):
        try:
            port = open_port(path, baud_rate)
        except NotReadyError:
            continue  # a rate that this port cannot do
        try:
            probe = Bus(port, PROBE_S, attempts=1)
            if any(probe.ping(id_) for id_ in ids.values()):
                return (
                    f"the servos on {path} talk at {baud_rate} baud, expected {expected}: set "
                    "their register Baud_Rate (address 6) to 0, or the parameter 'baud_rate'"
                )
        finally:
            port.close()
    return (
        f"no servo answers on {path} at any baud rate. Is the arm's power on, is it the right "
        "port, is the bus cable in?"
    )


def _named(joints: list[str], ids: Mapping[str, int]) -> str:
    return ", ".join(f"'{joint}' (id {ids[joint]})" for joint in joints)
