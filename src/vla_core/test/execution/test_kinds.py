"""Columns of a kind: angles on the circle, grippers with hysteresis, bases that keep their way."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract, parse_contract
from vla_core.errors import ConfigurationError
from vla_core.execution import Executor, Mode
from vla_core.execution.kinds import apart, slowed, steady, unwrapped

TURN = 2 * math.pi


def changed(raw: Any, name: str, **values: Any) -> Contract:
    raw = copy.deepcopy(raw)
    column = next(c for c in raw["action"]["columns"] if c["name"] == name)
    column.update(values)
    return parse_contract(raw)


@pytest.fixture
def turning(raw: Any) -> Contract:
    """``turn`` is on the circle and may make five turns."""
    return changed(raw, "turn", continuous=True, position=[-5 * TURN, 5 * TURN])


@pytest.fixture
def wheeled(raw: Any) -> Contract:
    """A base with two planar velocities and a turning one, beside the arm."""
    raw = copy.deepcopy(raw)
    drive = next(c for c in raw["action"]["columns"] if c["name"] == "drive")
    raw["action"]["columns"] += [
        {**drive, "name": "strafe"},
        {**drive, "name": "spin", "unit": "rad/s", "velocity": 1.0, "jerk": 16.0},
    ]
    raw["outputs"]["base"]["columns"] = ["drive", "strafe", "spin"]
    raw["outputs"]["base"]["fields"] = ["linear.x", "linear.y", "angular.z"]
    return parse_contract(raw)


# Angles on the circle.


def test_the_way_between_two_angles_is_the_short_one(turning: Contract) -> None:
    columns = turning.action.columns
    one, other = np.array([3.0, 3.0, 0.0, 0.0]), np.array([-3.0, -3.0, 0.0, 0.0])
    assert apart(columns, one, other) == pytest.approx([6.0, 6.0 - TURN, 0.0, 0.0])


def test_rows_over_the_seam_of_the_circle_become_a_straight_way(turning: Contract) -> None:
    angles = np.linspace(2.9, 3.5, 8)
    rows = np.zeros((8, 4))
    rows[:, 1] = (angles + math.pi) % TURN - math.pi
    near = np.array([0.0, 2.9 + TURN, 0.0, 0.0])
    assert unwrapped(rows, turning.action.columns, near, 0)[:, 1] == pytest.approx(angles + TURN)


def test_at_the_last_turn_the_other_way_round_is_taken(turning: Contract) -> None:
    rows = np.zeros((4, 4))
    rows[:, 1] = [0.1, 0.2, 0.3, 0.4]
    near = np.array([0.0, 5 * TURN, 0.0, 0.0])
    assert unwrapped(rows, turning.action.columns, near, 0)[-1, 1] == pytest.approx(0.4 + 4 * TURN)


def test_a_joint_turns_on_over_the_seam_of_the_circle(
    turning: Contract, make_rig_for: Callable[..., Any]
) -> None:
    """The policy says angles from -pi to pi, the robot keeps turning the same way."""

    def rounds(t: Any) -> Any:
        angle = (1.2 * t + math.pi) % TURN - math.pi
        return np.stack([0 * t + 0.2, angle, 0 * t, 0 * t + 0.5], axis=1)

    rig = make_rig_for(turning, reference=rounds)
    rig.begin()
    rig.run(12.0)
    assert rig.decisions[-1].mode is Mode.RUNNING and not rig.refusals
    assert rig.positions[1] == pytest.approx(1.2 * rig.now_ns * 1e-9, abs=0.1)


def test_an_encoder_that_wraps_is_no_tracking_error(
    turning: Contract, make_rig_for: Callable[..., Any]
) -> None:
    rig = make_rig_for(turning, reference=lambda t: np.tile([0.2, 4.0, 0.0, 0.5], (len(t), 1)))
    rig.positions[1] = 3.0
    rig.begin()
    rig.run(1.0)
    rig.is_measuring = False
    for _ in range(60):
        rig.tick()
        angle = (rig.positions[1] + math.pi) % TURN - math.pi
        rig.executor.measure(
            ["lift", "turn", "gripper"], [rig.positions[0], angle, rig.positions[3]], rig.now_ns, 0
        )
    assert rig.decisions[-1].mode is Mode.RUNNING


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("drive", {"continuous": True}, "continuous: expected for a joint_position in rad"),
        ("turn", {"continuous": True}, "expected a whole turn for continuous, found 4"),
        ("turn", {"hysteresis": 0.1}, "hysteresis: expected for a gripper"),
    ],
)
def test_a_contract_that_makes_no_sense_is_refused(
    raw: Any, column: str, values: Any, text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        changed(raw, column, **values)


# Grippers.


def test_a_gripper_keeps_its_value_until_a_change_is_worth_it(raw: Any) -> None:
    columns = changed(raw, "gripper", hysteresis=0.2).action.columns
    rows = np.zeros((6, 4))
    rows[:, 3] = [0.55, 0.45, 0.69, 0.8, 0.7, 0.1]
    held = np.array([0.0, 0.0, 0.0, 0.5])
    assert steady(rows, columns, held, 0)[:, 3].tolist() == [0.5, 0.5, 0.5, 0.8, 0.8, 0.1]


def test_a_gripper_does_not_chatter_between_chunks(
    raw: Any, make_rig_for: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(2)

    def shaky(t: Any) -> Any:
        return np.stack(
            [0 * t + 0.2, 0 * t, 0 * t, 0.5 + rng.uniform(-0.05, 0.05, len(t))], axis=1
        )

    for hysteresis, moves in ((0.0, True), (0.12, False)):
        rig = make_rig_for(changed(raw, "gripper", hysteresis=hysteresis), reference=shaky)
        rig.begin()
        rig.run(4.0)
        gripper = [d.command.positions[0, 3] for d in rig.decisions[25:] if d.command]
        assert (np.ptp(gripper) > 0.02) == moves


# Bases.


def test_a_base_that_is_asked_for_too_much_keeps_its_direction(wheeled: Contract) -> None:
    rows = np.zeros((3, 6))
    rows[:, [2, 4, 5]] = [[0.5, 0.5, 0.0], [0.3, 0.4, 0.5], [0.2, 0.0, 2.0]]
    slow = slowed(rows, wheeled.action.columns)[:, [2, 4, 5]]
    assert slow[0] == pytest.approx([0.5 / math.sqrt(2), 0.5 / math.sqrt(2), 0.0])
    assert slow[1] == pytest.approx([0.3, 0.4, 0.5])
    assert slow[2] == pytest.approx([0.1, 0.0, 1.0])


def test_one_base_column_alone_is_left_to_its_limits(contract: Contract) -> None:
    rows = np.full((2, 4), 0.9)
    assert slowed(rows, contract.action.columns) is rows


def test_a_base_keeps_its_direction_while_it_speeds_up(
    wheeled: Contract, make_rig_for: Callable[..., Any]
) -> None:
    """Each column alone would take the time that its own limits allow."""

    def away(t: Any) -> Any:
        rows = np.zeros((len(t), 6))
        rows[:] = [0.2, 0.0, 0.4, 0.5, 0.1, 0.0]
        return rows

    rig = make_rig_for(wheeled, reference=away)
    rig.positions = np.array([0.2, 0.0, 0.0, 0.5, 0.0, 0.0])
    rig.begin(execution={"join": "replace"})
    rig.run(2.0)
    velocities = np.array([d.command.velocities[0] for d in rig.decisions if d.command])
    assert velocities[-1, [2, 4]] == pytest.approx([0.4, 0.1], abs=1e-3)
    fast = velocities[velocities[:, 2] > 0.05]
    assert len(fast) > 20
    assert fast[:, 4] / fast[:, 2] == pytest.approx(0.25, abs=0.1), "alone: 1"


@pytest.fixture
def make_rig_for(make_rig: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes a rig around another contract."""

    def make(contract: Contract, **fields: Any) -> Any:
        rig = make_rig(**fields)
        rig.contract, rig.executor = contract, Executor(contract, boot_id=7)
        rig.judge = type(rig.judge)(contract)
        if len(contract.columns) > 4:
            rig.positions = np.zeros(len(contract.columns))
        return rig

    return make
