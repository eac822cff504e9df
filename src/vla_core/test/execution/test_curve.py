"""Curves pass through their rows, smoothly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_core.contract import Contract
from vla_core.execution.curve import Blend, Constant, Spline
from vla_core.smoothstep import smoothstep

MS = 1_000_000
ROW = 50 * MS


def rows(count: int = 12, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0.0, 0.01, (count, 4)).cumsum(axis=0)


def times(begin_s: float, end_s: float, count: int) -> Any:
    return np.linspace(begin_s * 1e9, end_s * 1e9, count).astype(np.int64)


def check_derivatives(curve: Any, at: Any, columns: list[int], tolerance: float) -> None:
    """Compare both derivatives with differences of what they should be derivatives of."""
    value, first, second = (part[:, columns] for part in curve.sample(at))
    seconds = at * 1e-9
    assert np.gradient(value, seconds, axis=0)[1:-1] == pytest.approx(first[1:-1], abs=tolerance)
    assert np.gradient(first, seconds, axis=0)[1:-1] == pytest.approx(
        second[1:-1], abs=50 * tolerance
    )


def test_passes_through_every_row(contract: Contract) -> None:
    data = rows()
    curve = Spline(data, 7 * MS, ROW, contract.action.columns)
    at = 7 * MS + np.arange(12, dtype=np.int64) * ROW
    assert curve.sample(at)[0] == pytest.approx(data)


@pytest.mark.parametrize("count", [2, 3, 4, 32])
def test_position_columns_are_twice_differentiable(contract: Contract, count: int) -> None:
    curve = Spline(rows(count), 0, ROW, contract.action.columns)
    check_derivatives(curve, times(0.001, 0.05 * (count - 1) - 0.001, 40_001), [0, 1], 2e-3)


def test_settles_after_the_last_row_without_a_step(contract: Contract) -> None:
    curve = Spline(rows(), 0, ROW, contract.action.columns)
    check_derivatives(curve, times(0.52, 0.6, 8001), [0, 1], 2e-3)
    value, first, second = curve.sample(times(3.0, 3.1, 2))
    assert np.abs(first).max() < 1e-6 and np.abs(second).max() < 1e-5
    assert value[0, 2] == pytest.approx(0.0, abs=1e-9), "a velocity settles at zero"


def test_velocity_columns_are_linear_between_rows(contract: Contract) -> None:
    data = rows()
    curve = Spline(data, 0, ROW, contract.action.columns)
    value, first, _ = curve.sample(np.array([75 * MS]))
    assert value[0, 2] == pytest.approx((data[1, 2] + data[2, 2]) / 2)
    assert first[0, 2] == pytest.approx((data[2, 2] - data[1, 2]) / 0.05)


def test_grippers_are_held_between_rows(contract: Contract) -> None:
    data = rows()
    curve = Spline(data, 0, ROW, contract.action.columns)
    value, first, second = curve.sample(np.array([99 * MS, 100 * MS]))
    assert value[:, 3] == pytest.approx(data[[1, 2], 3])
    assert not first[:, 3].any() and not second[:, 3].any()


def test_before_the_first_row_it_rests_there(contract: Contract) -> None:
    data = rows()
    value, first, second = Spline(data, 0, ROW, contract.action.columns).sample(np.array([-ROW]))
    assert value[0] == pytest.approx(data[0])
    assert not first[:, :2].any() and not second[:, :2].any()


def test_reproduces_a_parabola(contract: Contract) -> None:
    t = np.arange(10)[:, None] * 0.05
    curve = Spline(np.tile(t**2, (1, 4)), 0, ROW, contract.action.columns)
    value, first, second = curve.sample(times(0.01, 0.4, 50))
    seconds = times(0.01, 0.4, 50)[:, None] * 1e-9
    assert value[:, :2] == pytest.approx(np.tile(seconds**2, (1, 2)))
    assert first[:, :2] == pytest.approx(np.tile(2 * seconds, (1, 2)))
    assert second[:, :2] == pytest.approx(2.0)


def blend(contract: Contract, duration_ns: int = 200 * MS) -> Blend:
    columns = contract.action.columns
    old, new = (Spline(rows(seed=seed), 0, ROW, columns) for seed in (1, 2))
    newest_wins = np.array([column.is_gripper for column in columns])
    return Blend(old, new, 100 * MS, duration_ns, newest_wins)


def test_a_blend_begins_on_the_old_and_ends_on_the_new_curve(contract: Contract) -> None:
    curve = blend(contract)
    for at, other in ((100 * MS, curve.old), (300 * MS, curve.new), (350 * MS, curve.new)):
        for mine, its in zip(
            curve.sample(np.array([at])), other.sample(np.array([at])), strict=True
        ):
            assert mine[:, :3] == pytest.approx(its[:, :3], abs=1e-9)


def test_a_blend_has_no_step_in_velocity_or_acceleration(contract: Contract) -> None:
    check_derivatives(blend(contract), times(0.06, 0.34, 40_001), [0, 1], 5e-3)


def test_a_blend_takes_the_newest_gripper_at_once(contract: Contract) -> None:
    curve = blend(contract)
    at = np.array([101 * MS, 180 * MS])
    assert curve.sample(at)[0][:, 3] == pytest.approx(curve.new.sample(at)[0][:, 3])


def test_one_time_and_many_times_agree(contract: Contract) -> None:
    curve = blend(contract)
    at = times(0.0, 0.5, 97)
    many = curve.sample(at)
    for i in range(0, 97, 8):
        one = curve.sample(at[i : i + 1])
        for single, row in zip(one, many, strict=True):
            assert single[0] == pytest.approx(row[i])


def test_a_constant_rests() -> None:
    value, first, second = Constant(np.array([1.0, 2.0])).sample(np.array([0, 5]))
    assert value.tolist() == [[1.0, 2.0], [1.0, 2.0]]
    assert not first.any() and not second.any()


@given(u=st.floats(-1.0, 2.0))
def test_the_smoothstep_keeps_to_the_bounds_a_blend_is_planned_with(u: float) -> None:
    share, first, second = smoothstep(np.array([u]))
    assert 0.0 <= share[0] <= 1.0
    assert 0.0 <= first[0] <= 1.875 + 1e-12
    assert abs(second[0]) <= 5.774
