"""The plan as the policy's own rows."""

from __future__ import annotations

import numpy as np
import pytest

from vla_core.types import Prefix
from vla_policy.prefix import resample

MS = 1_000_000
NOW = 1_700_000_000_000_000_000


def plan(start_ns: int = NOW, rows: int = 11, step_ns: int = 20 * MS) -> Prefix:
    """Return a plan whose value is its time since NOW [s]."""
    due = start_ns - NOW + step_ns * np.arange(rows)
    return Prefix((due * 1e-9)[:, None], start_ns, step_ns, start_ns + 3 * step_ns)


def test_takes_the_plan_at_the_policys_rows() -> None:
    found = resample(plan(), NOW + 10 * MS, 50 * MS)
    assert found is not None
    assert (found.start_ns, found.step_ns) == (NOW + 10 * MS, 50 * MS)
    np.testing.assert_allclose(found.values[:, 0], [0.01, 0.06, 0.11, 0.16], atol=1e-9)
    assert found.committed_until_ns == NOW + 60 * MS


def test_rows_before_the_plan_do_not_exist() -> None:
    found = resample(plan(), NOW - 70 * MS, 50 * MS)
    assert found is not None and found.start_ns == NOW + 30 * MS
    assert found.values[0, 0] == pytest.approx(0.03)


def test_the_last_knot_is_a_row_too() -> None:
    found = resample(plan(), NOW, 50 * MS)
    assert found is not None and found.values[-1, 0] == pytest.approx(0.2)


def test_a_plan_that_has_ended_is_no_prefix() -> None:
    assert resample(plan(), NOW + 201 * MS, 50 * MS) is None
