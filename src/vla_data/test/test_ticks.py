from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vla_data.records import UNSTAMPED, Command
from vla_data.ticks import in_ticks

MS = 1_000_000
STEP = 20 * MS
WALL = 10**18  # arrivals are wall clock, stamps are not
ONE = Command(
    UNSTAMPED, WALL, np.zeros(1, np.int64), np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1))
)


def arm(*ticks: tuple[int, float]) -> list[Command]:
    """Return commands of a tick that arrived at so many ms."""
    return [
        replace(ONE, stamp_ns=(n + 1) * STEP, arrived_ns=WALL + int(at * MS)) for n, at in ticks
    ]


def base(*arrivals: float) -> list[Command]:
    return [replace(ONE, arrived_ns=WALL + int(at * MS)) for at in arrivals]


@pytest.mark.parametrize(
    ("arms", "bases", "ticks"),
    [
        ([(0, 0), (1, 20), (2, 40)], [0.2, 20.2, 40.2], [0, 1, 2]),
        ([(0, 0), (1, 20), (2, 40)], [-0.2, 19.8, 39.8], [0, 1, 2]),
        # The recorder was busy and heard three ticks at once.
        ([(0, 0), (1, 55), (2, 55.1), (3, 60)], [0.2, 55.2, 55.3, 60.2], [0, 1, 2, 3]),
        # The sender was held up between the two of one tick for more than a step.
        ([(0, 0), (1, 20), (2, 52), (3, 60)], [0.2, 45.5, 52, 60.2], [0, 1, 2, 3]),
        # One message of the base, one of the arm was lost.
        ([(0, 0), (1, 20), (2, 40)], [0.2, 40.2], [0, 2]),
    ],
)
def test_what_says_no_time_was_sent_in_the_tick_of_what_does(
    arms: list[tuple[int, float]], bases: list[float], ticks: list[int]
) -> None:
    found = in_ticks(base(*bases), arm(*arms), STEP, lambda wall: -1)
    assert [command.stamp_ns for command in found] == [(n + 1) * STEP for n in ticks]


def test_without_a_partner_the_arrival_counts() -> None:
    found = in_ticks(base(0.2, 20.2), arm((0, 0)), STEP, lambda wall: wall - WALL)
    assert [command.stamp_ns for command in found] == [STEP, 20 * MS + MS // 5]


def test_a_time_that_was_told_is_kept() -> None:
    told = arm((4, 80))
    assert in_ticks(told, arm((0, 80)), STEP, lambda wall: -1) == told
