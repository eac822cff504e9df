"""The executor's plan on the policy's own rows."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import MismatchError
from vla_core.types import Prefix
from vla_hosting.rtc import PrefixRows, align

MS = 1_000_000
NOW = 1_700_000_000_000_000_000


def plan(start_ns: int = NOW, rows: int = 11, step_ns: int = 20 * MS) -> Prefix:
    """Return a plan of three columns whose value is its time since NOW [s]."""
    due = start_ns - NOW + step_ns * np.arange(rows)
    values = np.repeat((due * 1e-9)[:, None], 3, axis=1)
    return Prefix(values, start_ns, step_ns, start_ns + 3 * step_ns)


def aligned(
    prefix: Prefix, contract: Contract, start_ns: int, step_ns: int = 50 * MS, horizon: int = 16
) -> Prefix:
    found = align(prefix, start_ns, step_ns, horizon, contract.action.columns)
    assert found is not None
    return found


def test_the_plan_is_read_at_the_policys_rows(contract: Contract) -> None:
    found = aligned(plan(), contract, NOW + 10 * MS)
    assert (found.start_ns, found.step_ns) == (NOW + 10 * MS, 50 * MS)
    np.testing.assert_allclose(found.values[:, 0], [0.01, 0.06, 0.11, 0.16], atol=1e-9)
    assert found.committed_until_ns == NOW + 60 * MS


def test_a_gripper_keeps_its_last_knot_as_the_executor_plays_it(contract: Contract) -> None:
    found = aligned(plan(), contract, NOW + 10 * MS)
    np.testing.assert_allclose(found.values[:, 2], [0.0, 0.06, 0.10, 0.16], atol=1e-9)


def test_between_knots_positions_follow_a_curve_and_not_its_chords(contract: Contract) -> None:
    due = 0.05 * np.arange(21)
    wave = np.repeat(np.sin(3.0 * due)[:, None], 3, axis=1)
    found = aligned(Prefix(wave, NOW, 50 * MS, NOW), contract, NOW + 125 * MS, horizon=17)
    at = 0.125 + 0.05 * np.arange(17)
    assert np.abs(found.values[:, 0] - np.sin(3.0 * at)).max() < 1e-4
    assert np.abs(np.interp(at, due, wave[:, 0]) - np.sin(3.0 * at)).max() > 1e-3


def test_a_plan_on_the_same_rows_passes_to_the_last_bit(contract: Contract) -> None:
    values = np.random.default_rng(0).normal(size=(9, 3))
    found = aligned(Prefix(values, NOW, 50 * MS, NOW), contract, NOW + 100 * MS)
    assert found.values.tobytes() == values[2:].tobytes()


def test_rows_before_the_plan_do_not_exist(contract: Contract) -> None:
    found = aligned(plan(), contract, NOW - 70 * MS)
    assert found.start_ns == NOW + 30 * MS
    assert found.values[0, 0] == pytest.approx(0.03)


def test_the_last_knot_is_a_row_too(contract: Contract) -> None:
    assert aligned(plan(), contract, NOW).values[-1, 0] == pytest.approx(0.2)


def test_rows_beyond_the_chunk_are_left_out(contract: Contract) -> None:
    assert len(aligned(plan(), contract, NOW, horizon=2).values) == 2


@pytest.mark.parametrize("late_ms", [201, 5_000])
def test_a_plan_that_has_ended_is_no_plan(contract: Contract, late_ms: int) -> None:
    assert align(plan(), NOW + late_ms * MS, 50 * MS, 16, contract.action.columns) is None


def test_a_single_knot_is_a_plan_of_one_row(contract: Contract) -> None:
    assert len(aligned(plan(rows=1), contract, NOW).values) == 1


def test_rows_that_the_plan_does_not_have_stay_unknown() -> None:
    prefix = Prefix(np.ones((2, 3)), NOW + 100 * MS, 50 * MS, NOW + 130 * MS)
    rows = PrefixRows.of(prefix, NOW, 50 * MS, 6)
    assert rows.exists.tolist() == [False, False, True, True, False, False]
    assert np.isnan(rows.values[~rows.exists]).all()
    assert (rows.end, rows.leading, rows.committed) == (4, 0, 3)


@pytest.mark.parametrize(
    ("until_ms", "committed"), [(-20, 0), (0, 0), (1, 1), (50, 1), (51, 2), (5_000, 4)]
)
def test_rows_due_before_the_answer_are_committed(until_ms: int, committed: int) -> None:
    prefix = Prefix(np.ones((4, 1)), NOW, 50 * MS, NOW + until_ms * MS)
    rows = PrefixRows.of(prefix, NOW, 50 * MS, 4)
    assert (rows.committed, rows.leading, rows.end) == (committed, 4, 4)


def test_encoding_leaves_unknown_rows_unknown() -> None:
    prefix = Prefix(np.full((1, 2), 3.0), NOW, 50 * MS, NOW)
    rows = PrefixRows.of(prefix, NOW, 50 * MS, 2).encoded(lambda values: (values - 1.0) / 2.0)
    np.testing.assert_array_equal(rows.values, [[1.0, 1.0], [np.nan, np.nan]])


def test_a_plan_off_the_grid_is_refused_by_the_policy() -> None:
    with pytest.raises(MismatchError, match="expected rows 50000000 ns apart on the grid"):
        PrefixRows.of(plan(), NOW, 50 * MS, 4)
