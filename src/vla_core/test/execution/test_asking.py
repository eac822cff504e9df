"""Which questions are left out, and what happens when the policy that was asked has gone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vla_core.execution import Execution, ExecutorSettings, Mode, Task
from vla_core.execution.trigger import RequestTrigger

MS = 1_000_000
S = 1_000_000_000


def trigger(**execution: Any) -> RequestTrigger:
    task = Task("t", "go", "p", ("a",), 32, 50 * MS, 16, Execution(**execution))
    one = RequestTrigger(task, ExecutorSettings())
    for _ in range(5):
        one.used(200 * MS, 0, 0)
    return one


def test_a_similar_observation_is_not_asked_about_while_rows_are_left() -> None:
    one = trigger(threshold=0.9, similar_within=0.05)
    assert not one.is_due(0, 0.5, 0.3, moved=0.04)
    assert one.is_due(0, 0.5, 0.3, moved=0.06), "it has moved"
    assert one.is_due(0, 0.5, 1.1, moved=0.0), "it has grown old"
    assert one.is_due(0, 0.29, 0.3, moved=0.0), "rows run short: it never starves"
    assert one.is_due(0, 0.5, 0.3, moved=math.inf), "nothing to compare with"


def test_the_filter_is_off_by_default() -> None:
    assert Execution().similar_within == 0.0
    assert trigger(threshold=0.9).is_due(0, 0.5, 0.3, moved=0.0)


def test_a_robot_that_stands_still_is_asked_about_less_often(make_rig: Any) -> None:
    counts, starved = [], []
    for within in (0.0, 0.05):
        rig = make_rig()
        rig.begin(execution={"threshold": 0.95, "similar_within": within})
        rig.run(10.0)
        snapshot = rig.executor.snapshot(rig.now_ns)
        counts.append(snapshot.requests_sent)
        starved.append(snapshot.starved_ticks)
    assert counts[1] < counts[0] / 2
    assert starved == [0, 0]


def test_a_robot_that_moves_is_asked_about_as_ever(make_rig: Any, moving: Any) -> None:
    counts = []
    for within in (0.0, 1e-4):
        rig = make_rig(reference=moving.reference)
        rig.begin(execution={"threshold": 0.95, "similar_within": within})
        rig.run(6.0)
        counts.append(rig.executor.snapshot(rig.now_ns).requests_sent)
    assert counts[1] >= 0.9 * counts[0]


def test_a_policy_that_restarts_is_asked_again_without_waiting(rig: Any) -> None:
    rig.is_answering = False
    rig.begin()
    first = rig.tick().request
    rig.executor.lose_policy("p", "policy 'p' is not ready: loading", rig.now_ns)
    assert not rig.executor.snapshot(rig.now_ns).request_in_flight
    rig.is_answering = True
    rig.run(0.1)
    assert rig.requests[-1].request_id > first.request_id
    rig.deliver(first)
    assert "answered before, timed out" in rig.refusals[-1]
    rig.run(3.0)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_another_policys_restart_is_nobodys_business(rig: Any) -> None:
    rig.is_answering = False
    rig.begin()
    rig.tick()
    rig.executor.lose_policy("q", "loading", rig.now_ns)
    assert rig.executor.snapshot(rig.now_ns).request_in_flight


# Shadow.


@pytest.fixture
def shadow(make_rig: Any, moving: Any) -> Any:
    rig = make_rig(ExecutorSettings(shadow=True), reference=moving.reference)
    rig.begin()
    return rig


def test_in_shadow_everything_is_decided_and_nothing_commanded(shadow: Any) -> None:
    decisions = shadow.run(3.0)
    assert all(decision.command is None for decision in decisions)
    withheld = [decision.withheld for decision in decisions if decision.withheld is not None]
    assert len(withheld) > 100 and len(shadow.requests) > 2
    assert decisions[-1].mode is Mode.RUNNING


def test_in_shadow_the_robot_may_be_elsewhere(shadow: Any) -> None:
    """Somebody else moves it: that is no tracking error."""
    shadow.run(1.0)
    for _ in range(100):
        shadow.positions = shadow.positions + np.array([0.012, 0.0, 0.0, 0.0])
        shadow.tick()
    assert not shadow.executor.is_stopped


def test_in_shadow_a_new_beginning_is_where_the_robot_is(shadow: Any) -> None:
    shadow.run(2.0)
    shadow.is_answering = False
    shadow.run(3.0)
    shadow.positions = np.array([0.9, -0.5, 0.0, 0.5])
    shadow.is_answering = True
    shadow.reference = lambda t: np.tile([0.9, -0.5, 0.0, 0.5], (len(t), 1))
    shadow.run(2.0)
    first = shadow.decisions[-1].withheld
    assert first is not None
    assert first.positions[0, :2] == pytest.approx([0.9, -0.5], abs=0.02)


def test_outside_shadow_nothing_is_withheld(moving: Any) -> None:
    assert moving.tick().withheld is None
