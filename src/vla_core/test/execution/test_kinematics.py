"""Where the tool is, and that it stays in its box."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract, parse_contract
from vla_core.contract.model import Link
from vla_core.errors import ConfigurationError
from vla_core.execution import Executor, Mode
from vla_core.execution.kinematics import SerialChain, tip_of

# Two links in the plane: ``turn`` about z, then 0.5 m to a joint ``lift`` about z, then 0.3 m.
CHAIN: list[dict[str, Any]] = [
    {"origin": [0.0, 0.0, 0.1], "column": "turn"},
    {"origin": [0.5, 0.0, 0.0], "column": "lift"},
    {"origin": [0.3, 0.0, 0.0]},
]


def boxed(raw: Any, **values: Any) -> Contract:
    raw = copy.deepcopy(raw)
    box = {"frame": "base", "lower": [-1.0] * 3, "upper": [1.0] * 3, "chain": CHAIN}
    raw["action"]["workspace"] = {**box, **values}
    return parse_contract(raw)


def test_the_tool_is_where_trigonometry_says(raw: Any) -> None:
    tip = tip_of(boxed(raw))
    assert tip is not None
    lift, turn = np.random.default_rng(1).uniform(-2, 2, (2, 50))
    positions = np.zeros((50, 4))
    positions[:, 0], positions[:, 1] = lift, turn
    x = 0.5 * np.cos(turn) + 0.3 * np.cos(turn + lift)
    y = 0.5 * np.sin(turn) + 0.3 * np.sin(turn + lift)
    assert tip(positions) == pytest.approx(np.stack([x, y, 0 * x + 0.1], axis=1))


def test_origins_are_turned_as_in_a_urdf() -> None:
    quarter = math.pi / 2
    links = (
        Link(origin=(0.0, 0.0, 0.0), rpy=(quarter, 0.0, quarter)),
        Link(origin=(1.0, 2.0, 3.0)),
    )
    # Rolled, then yawed: x -> y, y -> z, z -> x.
    assert SerialChain(links, ())(np.zeros((1, 0))) == pytest.approx(np.array([[3.0, 1.0, 2.0]]))


def test_a_joint_may_slide_along_its_axis() -> None:
    links = (Link(origin=(0.0, 0.0, 1.0), axis=(0.0, 2.0, 0.0), column="a", slides=True),)
    assert SerialChain(links, ("a",))(np.array([[0.5]])) == pytest.approx(
        np.array([[0.0, 0.5, 1.0]])
    )


def test_the_tool_stays_in_its_box_and_the_robot_rests_at_its_wall(raw: Any, moving: Any) -> None:
    contract = boxed(raw, upper=[1.0, 0.2, 1.0])
    tip = tip_of(contract)
    rig = moving
    assert tip is not None
    rig.contract, rig.executor = contract, Executor(contract, boot_id=7)
    rig.judge.forget()
    rig.mail.clear()
    rig.positions = np.array([0.0, 0.0, 0.0, 0.5])
    rig.reference = lambda t: np.stack(
        [0 * t, np.minimum(0.5 * (t - t[0]), 0.8), 0 * t, 0 * t + 0.5], axis=1
    )
    rig.begin(execution={"mode_switch": 9.0})
    rig.decisions.clear()
    rig.run(3.0)
    commands = [d.command for d in rig.decisions if d.command is not None]
    points = np.vstack([command.positions for command in commands])
    assert tip(points)[:, 1].max() <= 0.2
    assert tip(points)[:, 1].max() > 0.15, "up to its wall"
    assert rig.executor.snapshot(rig.now_ns).limit_interventions > 0


def test_a_tool_outside_its_box_at_the_start_is_not_moved(raw: Any, moving: Any) -> None:
    rig = moving
    rig.executor = Executor(boxed(raw, upper=[0.3, 1.0, 1.0]), boot_id=7)
    rig.positions = np.array([0.0, 0.0, 0.0, 0.5])
    rig.mail.clear()
    rig.begin()
    decision = rig.tick()
    assert decision.mode is Mode.STOPPED and decision.command is None
    assert "the tool is at (0.800, 0.000, 0.100) m in 'base', its box is" in decision.reason


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ({"origin": [0.0] * 3, "column": "drive"}, r"chain\[0\].column: expected one of"),
        ({"origin": [0.0] * 3, "axis": [0.0] * 3}, r"chain\[0\].axis: expected a direction"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(raw: Any, link: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        boxed(raw, chain=[link])
