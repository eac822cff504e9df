"""Quantiles of the newest values."""

from __future__ import annotations

import math

import pytest

from vla_core.metrics import JitterMeter, Window

MS = 1_000_000


def test_an_empty_window_knows_nothing() -> None:
    assert math.isnan(Window(5).quantile(0.5))


def test_the_warm_up_is_left_out() -> None:
    window = Window(5, skip=2)
    for value in (9.0, 9.0, 1.0):
        window.add(value)
    assert len(window) == 1 and window.quantile(0.99) == 1.0


def test_one_spike_is_forgotten() -> None:
    window = Window(50)
    window.add(7.0)
    for _ in range(49):
        window.add(0.1)
    assert window.quantile(0.99) == 7.0
    window.add(0.1)
    assert window.quantile(1.0) == 0.1


def test_quantiles_are_values_that_occurred() -> None:
    window = Window(10)
    for value in range(10):
        window.add(float(value))
    assert [window.quantile(share) for share in (0.0, 0.1, 0.5, 0.95, 1.0)] == [0, 0, 4, 9, 9]


def test_jitter_is_the_error_of_the_period() -> None:
    meter = JitterMeter(0.02, 100)
    assert math.isnan(meter.quantile(0.5))
    for now in (0, 20, 41, 60, 80):
        meter.tick(now * MS)
    assert meter.quantile(1.0) == pytest.approx(0.001)
    meter.forget_last()
    meter.tick(9000 * MS)
    assert meter.quantile(1.0) == pytest.approx(0.001)
