"""A leader arm's positions become commands inside the limits, from wherever the follower is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_core.contract import load_contract
from vla_core.errors import LimitError
from vla_core.execution.values import Command
from vla_so101.leader import Leader

CONTRACT = load_contract(
    [str(Path(__file__).parents[3] / "config" / "robots" / "so101" / "contract.yaml")]
)
STEP_NS = CONTRACT.step_ns
HOME = np.array([CONTRACT.home[name] for name in CONTRACT.columns])
TICK = np.deg2rad(360 / 4095)


def play(leader: Leader, positions: list[np.ndarray]) -> list[Command]:
    return [leader.follow(at, (k + 1) * STEP_NS) for k, at in enumerate(positions)]


def judge(commands: list[Command]) -> None:
    """Assert limits of position, velocity and acceleration at every point, and the end at rest."""
    for command in commands:
        for i, column in enumerate(CONTRACT.action.columns):
            low, high = column.position or (-np.inf, np.inf)
            assert (low - 1e-6 <= command.positions[:, i]).all()
            assert (command.positions[:, i] <= high + 1e-6).all()
            assert (np.abs(command.velocities[:, i]) <= column.velocity * (1 + 1e-6)).all()
            assert (np.abs(command.accelerations[:, i]) <= column.acceleration * (1 + 1e-6)).all()
        assert np.abs(command.velocities[-1]).max() < 1e-6


def started(at: np.ndarray = HOME) -> Leader:
    leader = Leader(CONTRACT, CONTRACT.columns)
    leader.begin(at, 0)
    return leader


def test_follows_a_hand_with_a_lag_of_a_tenth_of_a_second() -> None:
    times = np.arange(250) * STEP_NS / 1e9
    hand = [HOME + 0.2 * np.sin(2 * t) for t in times]
    noisy = [np.round(at / TICK) * TICK for at in hand]
    commands = play(started(), noisy)
    judge(commands)
    for k in range(100, 250):
        late = HOME + 0.2 * np.sin(2 * (times[k] - 0.08))
        assert np.abs(commands[k].positions[0] - late).max() < 0.01


def test_a_leader_that_is_elsewhere_is_approached_gently() -> None:
    elsewhere = np.array([1.5, 0.5, -1.0, -1.0, 2.0, 1.5])
    commands = play(started(), [elsewhere] * 200)
    judge(commands)
    assert np.abs(commands[0].positions[0] - HOME).max() < 0.01
    np.testing.assert_allclose(commands[-1].positions[0], elsewhere, atol=0.01)


def test_the_follower_stays_inside_its_limits_wherever_the_leader_goes() -> None:
    commands = play(started(), [np.full(6, 4.0)] * 150 + [np.full(6, -4.0)] * 300)
    judge(commands)


def test_a_leader_that_stops_talking_leaves_a_command_that_ends_at_rest() -> None:
    hand = [HOME + k * 0.02 for k in range(30)]
    last = play(started(), hand)[-1]
    assert last.times_ns[-1] < 1_000_000_000
    assert np.abs(last.velocities[0]).max() > 0.2 and np.abs(last.velocities[-1]).max() < 1e-6


def test_a_position_that_is_no_number_is_refused() -> None:
    with pytest.raises(LimitError, match="not a finite number"):
        started().follow(np.full(6, np.nan), STEP_NS)
