"""Scatter goes, motion stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.execution.smoothing import smoothed

COUNT = 32
ROWS = np.arange(COUNT)[:, None]


def wave(period_rows: float, height: float = 0.1) -> Any:
    return height * np.tile(np.sin(2 * np.pi * ROWS / period_rows), (1, 4))


def test_parabolas_pass_unchanged(contract: Contract) -> None:
    rows = 0.1 + 0.02 * ROWS + 0.001 * ROWS**2 + np.zeros((1, 4))
    assert smoothed(rows, contract.action.columns, 6.0) == pytest.approx(rows)


def test_slow_waves_keep_their_height_and_are_not_delayed(contract: Contract) -> None:
    rows = wave(16.0)
    assert smoothed(rows, contract.action.columns, 6.0) == pytest.approx(rows, abs=0.004)


def test_a_wave_of_the_given_period_keeps_half_of_its_height(contract: Contract) -> None:
    inner = smoothed(wave(6.0), contract.action.columns, 6.0)[8:-8, 0]
    assert np.abs(inner).max() / np.abs(wave(6.0)[8:-8, 0]).max() == pytest.approx(0.5, abs=0.03)


def test_scatter_asks_for_a_fraction_of_the_jerk(contract: Contract) -> None:
    scatter = np.random.default_rng(0).normal(0.0, 0.004, (COUNT, 4))
    before, after = (
        np.abs(np.diff(rows[:, :3], n=3, axis=0)).mean()
        for rows in (scatter, smoothed(scatter, contract.action.columns, 6.0))
    )
    assert after < before / 6


def test_grippers_are_left_alone(contract: Contract) -> None:
    rows = np.where(ROWS > 10, 1.0, 0.0) + np.zeros((1, 4))
    assert (smoothed(rows, contract.action.columns, 6.0)[:, 3] == rows[:, 3]).all()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_short_chunks_are_left_alone(contract: Contract, count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 4))
    assert (smoothed(rows, contract.action.columns, 6.0) == rows).all()


def test_zero_means_through_every_row(contract: Contract) -> None:
    rows = wave(3.0)
    assert smoothed(rows, contract.action.columns, 0.0) is rows
