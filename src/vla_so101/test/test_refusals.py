"""What is refused before anything moves, each with a sentence that says what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from so101_rig import CALIBRATION, Rig

from vla_core.contract import Contract, check, load_contract
from vla_core.errors import ConfigurationError, MismatchError, NotReadyError
from vla_so101.arm import Arm, ArmSettings
from vla_so101.calibration import JOINTS
from vla_so101.emulator.emulator import arm as emulated
from vla_so101.matching import arm_columns, check_reach, gripper_range, state_topics
from vla_so101.reach import ReachPolicy
from vla_so101.units import Unit, scale

CONTRACT = Path(__file__).parents[3] / "config" / "robots" / "so101" / "contract.yaml"


def refused(rig: Rig, kind: type[Exception], text: str) -> None:
    """Assert that connecting is refused, and that no servo was switched on or told to move."""
    with pytest.raises(kind, match=text):
        rig.arm.connect()
    assert all(not servo.memory.get("torque") for servo in rig.emulator.servos)
    assert all(servo.goals_taken == 0 for servo in rig.emulator.servos)


def contract(tmp_path: Path, **columns: dict[str, object]) -> Contract:
    """Return the shipped contract with changed columns."""
    raw = yaml.safe_load(CONTRACT.read_text())
    for column in raw["action"]["columns"]:
        column |= columns.get(column["name"], {})
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_contract([str(path)])


def test_another_arms_calibration() -> None:
    wrong = {**CALIBRATION, "elbow_flex": replace(CALIBRATION["elbow_flex"], homing_offset=-90)}
    with Rig(wrong) as rig:
        refused(
            rig,
            MismatchError,
            r"'elbow_flex' homing_offset: file -90, servo -98.*vla calibrate --restore",
        )


def test_an_arm_that_stands_outside_of_its_calibrated_range() -> None:
    servos, plant = emulated()
    plant.stops[0] = (0.0, 4095.0)
    plant.positions[0] = 300.0
    with Rig(servos=servos, plant=plant) as rig:
        refused(rig, MismatchError, "'shoulder_pan' stands at 300 ticks, outside of its range 866")


def test_a_missing_motor() -> None:
    servos, plant = emulated()
    servos[2].is_powered = False
    with Rig(servos=servos, plant=plant) as rig:
        refused(
            rig, NotReadyError, r"'elbow_flex' \(id 3\) do not answer, 'shoulder_pan' \(id 1\)"
        )


def test_no_power() -> None:
    with Rig() as rig:
        rig.emulator.power(False)
        refused(rig, NotReadyError, "no servo answers .* at any baud rate. Is the arm's power on")


def test_the_wrong_baud_rate() -> None:
    servos, plant = emulated()
    for servo in servos:
        servo.memory.put("baud", 1)
    with Rig(servos=servos, plant=plant) as rig:
        refused(rig, NotReadyError, "talk at 500000 baud, expected 1000000: set their register")


def test_two_arms_on_one_bus() -> None:
    servos, plant = emulated()
    second = emulated((0.4,) * 6)[0]
    for servo in second:
        servo.memory.put("offset", 33)
    with Rig(servos=[*servos, *second], plant=plant) as rig:
        refused(rig, MismatchError, r"'shoulder_pan' \(id 1\).* collide.*two arms are on one bus")


def test_another_model_of_servo() -> None:
    servos, plant = emulated()
    servos[5].memory.put("model", 2825)
    with Rig(servos=servos, plant=plant) as rig:
        refused(rig, MismatchError, "'gripper': expected model 777, found 2825")


def test_a_servo_that_is_not_in_position_mode() -> None:
    servos, plant = emulated()
    servos[4].memory.put("mode", 1)
    with Rig(servos=servos, plant=plant) as rig:
        refused(rig, MismatchError, "'wrist_roll': expected position mode 0, found 1")


def test_other_joint_names_in_the_contract() -> None:
    text = CONTRACT.read_text().replace("wrist_flex", "wrist_pitch")
    with pytest.raises(MismatchError, match=r"expected columns .*'wrist_flex'.*'wrist_pitch'"):
        arm_columns(Contract.model_validate(yaml.safe_load(text)))


def test_another_unit_in_the_contract(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="deg"):
        contract(tmp_path, elbow_flex={"unit": "deg"})
    with pytest.raises(MismatchError, match=r"'elbow_flex': expected a joint_.* in m"):
        arm_columns(contract(tmp_path, elbow_flex={"unit": "m"}))
    with pytest.raises(MismatchError, match="'gripper': expected a gripper in rad"):
        arm_columns(contract(tmp_path, gripper={"kind": "joint_position"}))


def test_limits_in_degrees_do_not_fit_any_calibration(tmp_path: Path) -> None:
    limits = {"position": [-110.0, 110.0]}
    columns = arm_columns(contract(tmp_path, shoulder_pan=limits))
    with pytest.raises(MismatchError, match=r"'shoulder_pan': the contract allows -110"):
        check_reach(columns, *reach())


@pytest.mark.parametrize("unit", [Unit.DEGREES, Unit.NORMALISED])
def test_a_policy_in_lerobots_units_without_a_conversion(unit: Unit) -> None:
    shipped = load_contract([str(CONTRACT)])
    ends = np.array([[c.range_min, c.range_max] for c in CALIBRATION.values()]).T
    low, high = scale(CALIBRATION, JOINTS, unit).values(ends)
    spec = replace(
        ReachPolicy().spec,
        metadata={
            "action_min": json.dumps(low.tolist()),
            "action_max": json.dumps(high.tolist()),
        },
    )
    with pytest.raises(MismatchError, match="shoulder_pan"):
        check(shipped, spec)


def test_a_calibration_through_half_of_the_range() -> None:
    columns = arm_columns(load_contract([str(CONTRACT)]))
    low, high = reach()
    low[2] = -0.1
    with pytest.raises(MismatchError, match=r"'elbow_flex'.*Calibrate again"):
        check_reach(columns, low, high)


def test_a_real_calibration_fits_and_is_told_where_it_is_narrower() -> None:
    columns = arm_columns(load_contract([str(CONTRACT)]))
    notes = check_reach(columns, *reach())
    assert [note.split("'")[1] for note in notes] == ["shoulder_pan", "wrist_flex"]


def test_the_contracts_joint_stream_is_found(tmp_path: Path) -> None:
    shipped = load_contract([str(CONTRACT)])
    assert state_topics(shipped) == ["observation/joints"]
    assert gripper_range(arm_columns(shipped)) == (-0.174533, 1.74533)


def reach() -> tuple[np.ndarray, np.ndarray]:
    return Arm(ArmSettings("none", CALIBRATION, (-0.174533, 1.74533))).reach
