"""Simulated time follows the wall clock, never bursts, and says when it cannot follow."""

from __future__ import annotations

import math

import pytest

from vla_sim.pace import LONGEST_LAG_NS, Pace

MS = 1_000_000


def test_waits_until_a_slice_is_due() -> None:
    pace = Pace(10 * MS, 0)
    assert pace.wait_ns(0) == 10 * MS
    assert pace.wait_ns(4 * MS) == 6 * MS
    assert pace.wait_ns(12 * MS) == 0


def test_catches_up_after_a_short_delay() -> None:
    pace = Pace(10 * MS, 0)
    pace.did_slice(25 * MS)
    assert pace.wait_ns(25 * MS) == 0
    pace.did_slice(25 * MS)
    assert pace.wait_ns(25 * MS) == 5 * MS
    assert pace.given_up_ns == 0


def test_gives_up_what_it_cannot_catch_up_without_a_burst() -> None:
    pace = Pace(10 * MS, 0)
    pace.did_slice(1000 * MS)
    slices = 0
    while not pace.wait_ns(1000 * MS):
        pace.did_slice(1000 * MS)
        slices += 1
    assert slices * 10 * MS <= LONGEST_LAG_NS + 10 * MS
    assert pace.given_up_ns > 900 * MS


def test_real_time_factor_is_one_when_it_keeps_up() -> None:
    pace = Pace(10 * MS, 0)
    for number in range(1, 300):
        pace.did_slice(number * 10 * MS)
    assert pace.real_time_factor() == pytest.approx(1.0)


def test_real_time_factor_falls_when_each_slice_takes_too_long() -> None:
    pace = Pace(10 * MS, 0)
    for number in range(1, 300):
        pace.did_slice(number * 12_500_000)
    assert pace.real_time_factor() == pytest.approx(0.8, rel=0.02)


def test_real_time_factor_is_not_known_before_the_first_slice() -> None:
    assert math.isnan(Pace(10 * MS, 0).real_time_factor())
