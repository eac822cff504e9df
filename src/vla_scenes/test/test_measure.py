from __future__ import annotations

import pytest

from vla_scenes.measure import wilson


def test_the_interval_of_a_perfect_run_still_leaves_room() -> None:
    low, high = wilson(60, 60)
    assert (low, high) == pytest.approx((0.9398, 1.0), abs=1e-3)


def test_the_interval_is_symmetric_at_one_half() -> None:
    low, high = wilson(25, 50)
    assert low + high == pytest.approx(1.0)
    assert low == pytest.approx(0.3664, abs=1e-3)
