"""Published bugs in the prefix that others hand to the next inference: shown, then not on ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from naive import IndexQueue, padded

MS = 1_000_000
MEAN, SPREAD = 103.0, 10.0  # of the training data, in degrees
GUIDED = 8  # rows that an inference copies from its prefix


def normalised(rows: list[float]) -> list[float]:
    return [(row - MEAN) / SPREAD for row in rows]


def answer(prefix: list[float], own: float) -> list[float]:
    """Return what a guided policy gives: its prefix as far as it goes, then its own rows."""
    return [MEAN + SPREAD * row for row in prefix[:GUIDED]] + [own] * (30 - len(prefix[:GUIDED]))


def test_lerobot_4454_a_padded_prefix_pulls_the_seam_to_the_mean_of_the_data(rig: Any) -> None:
    """Zeros in normalised units are the mean: 95, 103, 95 degrees around the seam."""
    naive = IndexQueue()
    naive.splice([95.0] * 3, 0)
    guided = answer(padded(normalised(naive.left_over()), GUIDED), own=95.0)
    assert guided[2:9] == pytest.approx([95.0, *[103.0] * 5, 95.0])

    rig.latency_ns = 50 * MS
    rig.begin(horizon_rows=31, execution={"threshold": 0.05})  # ask when the plan is almost over
    rig.run(8.0)
    prefixes = [r.prefix for r in rig.requests if r.prefix is not None]
    assert len(prefixes) > 4
    for prefix in prefixes:
        assert 0 < len(prefix.values) < GUIDED, "fewer rows than the policy guides by"
        np.testing.assert_allclose(
            prefix.values, np.tile([0.2, 0, 0, 0.5], (len(prefix.values), 1))
        )
        degrees = np.degrees(prefix.values[:, 0]).tolist()
        rows = answer(normalised(degrees), own=degrees[-1])
        assert rows == pytest.approx([degrees[-1]] * 30), "no step at the seam"


def test_lerobot_4454_a_plan_that_is_over_is_no_prefix(moving: Any) -> None:
    moving.is_answering = False
    moving.run(4.0)
    assert moving.requests[-1].prefix is None, "nothing is invented"


def test_strands_3402_the_prefix_is_not_shifted_by_the_delay(moving: Any) -> None:
    """Cut when the chunk comes, used when five rows of it are played: off by five."""
    rows = [float(i) for i in range(20)]
    prefix = rows[10:]  # the tail past the execution horizon, decided before anything is played
    naive = IndexQueue()
    naive.splice(rows, 0)
    for _ in range(5):
        naive.pop()
    assert prefix[0] - naive.left_over()[0] == 5.0

    moving.latency_ns = 250 * MS
    moving.run(4.0)
    commands = [d.command for d in moving.decisions if d.command is not None]
    times = np.array([c.stamp_ns + int(c.times_ns[0]) for c in commands])
    lift = np.array([c.positions[0, 0] for c in commands])
    compared = 0
    for request in moving.requests[:-1]:
        knots = request.prefix
        if knots is None or request.sent_ns < 4_000 * MS:
            continue
        due = knots.start_ns + np.arange(len(knots.values)) * knots.step_ns
        executed = (due >= request.sent_ns) & (due <= knots.committed_until_ns)
        wanted = np.interp(due[executed], times, lift)
        np.testing.assert_allclose(knots.values[executed, 0], wanted, atol=0.002)
        compared += int(executed.sum())
    assert compared > 10


@pytest.mark.parametrize("latency_ms", [50, 250, 500])
def test_strands_3402_the_prefix_says_until_when_it_is_played_anyway(
    make_rig: Callable[..., Any], latency_ms: int
) -> None:
    rig = make_rig(latency_ns=latency_ms * MS)
    rig.begin()
    rig.run(4.0)
    late = [r for r in rig.requests if r.prefix is not None][-3:]
    for request in late:
        committed_s = (request.prefix.committed_until_ns - request.sent_ns) * 1e-9
        assert committed_s == pytest.approx(latency_ms / 1000, abs=0.045)
