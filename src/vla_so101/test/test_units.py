"""The three conventions: LeRobot's values, round trips, and nothing guessed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from so101_rig import CALIBRATION, GRIPPER_RANGE

from vla_core.errors import ConfigurationError
from vla_so101.calibration import JOINTS, MotorCalibration
from vla_so101.units import Unit, scale, unit

TABLE = Path(__file__).parent / "lerobot_units.json"


def test_the_values_are_those_that_lerobot_computed() -> None:
    """`lerobot_units.py` made the table with LeRobot's own code; see there."""
    for case in json.loads(TABLE.read_text())["cases"]:
        calibration = {j: MotorCalibration(**entry) for j, entry in case["calibration"].items()}
        ours = scale(calibration, JOINTS, Unit(case["unit"]))
        ticks, values = np.array(case["ticks"], float), np.array(case["values"])
        np.testing.assert_allclose(ours.values(ticks), values, rtol=1e-12, atol=1e-9)
        # Theirs cuts the fraction off, ours is rounded by the driver: never a tick apart.
        exact = ours.ticks(np.array(case["asked"]))
        theirs = np.array(case["sent"], float)
        assert (np.abs(np.trunc(exact + 1e-9 * np.sign(exact)) - theirs) <= 0).all()
        assert (np.abs(np.round(exact) - theirs) <= 1).all()


@pytest.mark.parametrize("in_unit", list(Unit))
def test_every_tick_of_the_range_survives_a_round_trip(in_unit: Unit) -> None:
    ours = scale(CALIBRATION, JOINTS, in_unit, GRIPPER_RANGE)
    for share in np.linspace(0, 1, 401):
        ticks = np.round([c.range_min + share * (c.range_max - c.range_min)
                          for c in CALIBRATION.values()])  # fmt: skip
        np.testing.assert_allclose(ours.ticks(ours.values(ticks)), ticks, atol=1e-6)


def test_radians_are_lerobots_degrees_plus_the_offset() -> None:
    ticks = np.array([1000.0, 2000, 2000, 2000, 2000, 3000])
    degrees = scale(CALIBRATION, JOINTS, Unit.DEGREES).values(ticks)
    plain = scale(CALIBRATION, JOINTS, Unit.RADIANS, GRIPPER_RANGE).values(ticks)
    moved = scale(
        CALIBRATION, JOINTS, Unit.RADIANS, GRIPPER_RANGE, {"elbow_flex": 0.1}
    ).values(ticks)  # fmt: skip
    np.testing.assert_allclose(plain[:5], np.deg2rad(degrees[:5]), atol=1e-12)
    np.testing.assert_allclose(moved - plain, [0, 0, 0.1, 0, 0, 0], atol=1e-12)


def test_the_gripper_is_closed_and_open_where_the_contract_says() -> None:
    ours = scale(CALIBRATION, ["gripper"], Unit.RADIANS, GRIPPER_RANGE)
    np.testing.assert_allclose(ours.values(np.array([[2027.0], [3483.0]])).ravel(), GRIPPER_RANGE)
    with pytest.raises(ConfigurationError, match="needs the contract's range"):
        scale(CALIBRATION, ["gripper"], Unit.RADIANS)


def test_an_unknown_unit_is_refused_with_the_known_ones() -> None:
    assert unit("lerobot_degrees") is Unit.DEGREES
    with pytest.raises(ConfigurationError, match=r"unknown unit 'deg'.*lerobot_normalised"):
        unit("deg")
