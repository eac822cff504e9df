"""Intervals of counts against published tables."""

from __future__ import annotations

import pytest

from vla_core.metrics import wilson


def test_the_interval_is_that_of_the_tables() -> None:
    assert wilson(54, 60) == pytest.approx((0.7985, 0.9534), abs=1e-3)


def test_a_perfect_run_still_leaves_room() -> None:
    assert wilson(60, 60) == pytest.approx((0.9398, 1.0), abs=1e-3)


def test_the_interval_is_symmetric_at_one_half() -> None:
    low, high = wilson(25, 50)
    assert (low, low + high) == pytest.approx((0.3664, 1.0), abs=1e-3)


def test_without_a_trial_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
