"""Joins that average: LeRobot's weights and ACT's, on matching target times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.execution.curve import Constant, Curve, Spline
from vla_core.execution.join import JOINS, Seam

MS = 1_000_000
ROW, STEP = 50 * MS, 20 * MS
ROWS = 10
SHARES = {"weighted": 0.7, "average": 0.5, "conservative": 0.3}


def rows_of(value: float) -> Any:
    return np.tile([value, -value, 0.1 * value, value], (ROWS, 1))


class Queue:
    """A queue by number of actions, as LeRobot's client is described: the reference for ours.

    An action that is not in the queue is taken as it is; one that is gets old and new in the given
    shares; what the new chunk does not cover is dropped.
    """

    def __init__(self, new_share: float) -> None:
        self.new_share = new_share
        self.actions: dict[int, Any] = {}

    def add(self, first: int, rows: Any, executed: int) -> None:
        old, self.actions = self.actions, {}
        for number, row in enumerate(rows, first):
            if number <= executed:
                continue
            known = old.get(number)
            share = self.new_share
            self.actions[number] = row if known is None else (1 - share) * known + share * row


class Joiner:
    """Joins chunks on one grid, as the executor does."""

    def __init__(self, contract: Contract, name: str) -> None:
        self.columns, self.join = contract.action.columns, JOINS[name]
        self.curve: Curve | None = None
        self.end_ns: int | None = None

    def add(self, first: int, rows: Any, executed: int) -> None:
        new = Spline(rows, first * ROW, ROW, self.columns)
        old = self.curve or Constant(np.zeros(4))
        end_ns = (first + len(rows) - 1) * ROW
        at_ns = executed * ROW
        self.curve = self.join(
            Seam(old, old, new, at_ns, end_ns, STEP, self.columns, self.end_ns, ROW, len(rows))
        )
        self.end_ns = end_ns

    def at(self, number: int) -> Any:
        assert self.curve is not None
        return self.curve.sample(np.array([number * ROW]))[0][0]


@pytest.mark.parametrize(("name", "share"), SHARES.items())
def test_rows_are_those_of_the_queue_by_numbers_where_chunks_match(
    contract: Contract, name: str, share: float
) -> None:
    queue, joiner = Queue(share), Joiner(contract, name)
    rng = np.random.default_rng(3)
    for first in (0, 3, 5, 9):
        rows = rng.uniform(-0.2, 0.2, (ROWS, 4))
        queue.add(first, rows, first)
        joiner.add(first, rows, first)
        for number, action in queue.actions.items():
            assert joiner.at(number)[:3] == pytest.approx(action[:3], abs=1e-12)


def test_a_row_keeps_geometrically_falling_shares_of_older_plans(contract: Contract) -> None:
    joiner = Joiner(contract, "weighted")
    for value in (0.0, 0.0, 0.0, 1.0, 0.0, 0.0):
        joiner.add(0, rows_of(value), 0)
    assert joiner.at(5)[0] == pytest.approx(0.7 * 0.3 * 0.3)


@pytest.mark.parametrize("name", [*SHARES, "ensemble"])
def test_the_newest_gripper_wins(contract: Contract, name: str) -> None:
    joiner = Joiner(contract, name)
    joiner.add(0, rows_of(0.0), 0)
    joiner.add(0, rows_of(1.0), 0)
    assert joiner.at(5)[3] == 1.0
    assert 0.0 < joiner.at(5)[0] < 1.0


@pytest.mark.parametrize("name", [*SHARES, "ensemble"])
def test_without_a_plan_before_it_the_new_one_is_alone(contract: Contract, name: str) -> None:
    joiner = Joiner(contract, name)
    joiner.add(0, rows_of(0.4), 0)
    assert joiner.at(5) == pytest.approx(rows_of(0.4)[0])


@pytest.mark.parametrize("name", [*SHARES, "ensemble"])
def test_rows_after_the_old_plans_end_are_the_new_ones(contract: Contract, name: str) -> None:
    joiner = Joiner(contract, name)
    joiner.add(0, rows_of(0.0), 0)
    joiner.add(5, rows_of(1.0), 5)
    assert joiner.at(9)[0] < 1.0, "the old plan's last row"
    assert joiner.at(10)[0] == pytest.approx(1.0)


def test_an_ensemble_weighs_all_plans_for_one_time_and_the_oldest_most(contract: Contract) -> None:
    joiner = Joiner(contract, "ensemble")
    values = np.random.default_rng(5).uniform(-0.3, 0.3, 7)
    for i, value in enumerate(values):
        joiner.add(i, rows_of(value), i)
    for number in range(7, 7 + ROWS - 1):
        covering = [value for i, value in enumerate(values) if i <= number <= i + ROWS - 1]
        weights = np.exp(-0.01 * np.arange(len(covering)))
        expected = np.dot(weights, covering) / weights.sum()
        assert joiner.at(number)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", [*SHARES, "ensemble", "rtc"])
def test_the_executor_plays_every_join_inside_the_limits(make_rig: Any, moving: Any, name: str):
    rig = make_rig(reference=moving.reference)
    rig.begin(execution={"join": name}, accepts_prefix=True)
    rig.run(4.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.starved_ticks == 0 and snapshot.chunks_accepted >= 3 and not rig.refusals
    assert math.isfinite(snapshot.seam_gap)


def test_an_ensemble_asks_as_often_as_answers_come(make_rig: Any) -> None:
    rig = make_rig(latency_ns=20 * MS)
    rig.begin(execution={"join": "ensemble"})
    rig.run(3.0)
    accepted = rig.executor.snapshot(rig.now_ns).chunks_accepted
    assert accepted >= 40, "one per row or nearly"
    sent = np.diff([request.sent_ns for request in rig.requests[2:]])
    assert sent.min() >= ROW, "but never two for one row"


@pytest.mark.parametrize("name", [*SHARES, "ensemble", "rtc", "blend"])
def test_no_join_mixes_plans_that_are_far_apart(make_rig: Any, moving: Any, name: str) -> None:
    rig = make_rig(reference=moving.reference)
    rig.begin(execution={"join": name}, accepts_prefix=True)
    rig.run(2.0)
    good = rig.reference
    rig.reference = lambda t: good(t) + np.array([0.0, 0.9, 0.0, 0.0])
    rig.run(1.5)
    assert any("stopping instead of blending" in decision.reason for decision in rig.decisions)
    rig.run(4.0)
    assert rig.executor.snapshot(rig.now_ns).plan_left > 0.0, "and starts anew from rest"
