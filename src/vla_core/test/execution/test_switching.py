"""The join may change while the robot moves, and is refused where the policy cannot follow."""

from __future__ import annotations

from typing import Any

import pytest

from vla_core.errors import ConfigurationError
from vla_core.execution import Execution, Mode
from vla_core.execution.curve import Blend
from vla_core.execution.join.averaging import Ensemble

NAMES = ["replace", "blend", "weighted", "average", "conservative", "ensemble", "rtc"]


def test_real_time_chunking_is_refused_for_a_policy_without_prefix(rig: Any) -> None:
    rig.executor.activate(0)
    with pytest.raises(ConfigurationError, match=r"policy 'p' does not accept a prefix.*'rtc'"):
        rig.executor.begin_task(rig.task(execution={"join": "rtc"}), 0)
    rig.executor.begin_task(rig.task(execution={"join": "blend"}), 0)


def test_an_unknown_join_is_refused_at_the_start(rig: Any) -> None:
    rig.executor.activate(0)
    with pytest.raises(ConfigurationError, match="found 'mix'"):
        rig.executor.begin_task(rig.task(execution={"join": "mix"}), 0)


def test_every_join_may_follow_every_other_in_motion(make_rig: Any, moving: Any) -> None:
    rig = make_rig(reference=moving.reference)
    rig.begin(accepts_prefix=True)
    rig.run(2.0)
    for i in range(len(NAMES)):
        for name in NAMES[i:] + NAMES[:i]:
            rig.executor.change_execution(Execution(join=name))
            decisions = rig.run(0.7)
            assert {decision.mode for decision in decisions} == {Mode.RUNNING}
    assert rig.executor.snapshot(rig.now_ns).starved_ticks == 0


def test_a_change_counts_from_the_next_chunk_on(moving: Any) -> None:
    moving.executor.change_execution(Execution(join="ensemble"))
    assert not isinstance(moving.executor._pilot.plan.curve, Ensemble)
    moving.run(1.0)
    assert isinstance(moving.executor._pilot.plan.curve, Ensemble)


def test_a_refused_change_changes_nothing(moving: Any) -> None:
    with pytest.raises(ConfigurationError, match="'rtc'"):
        moving.executor.change_execution(Execution(join="rtc"))
    moving.run(1.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_without_a_task_there_is_nothing_to_change(rig: Any) -> None:
    rig.executor.change_execution(Execution(join="ensemble"))


def test_execution_may_become_synchronous_and_return(moving: Any) -> None:
    moving.executor.change_execution(Execution(synchronous=True))
    decisions = moving.run(3.0)
    assert any("synchronous: waiting" in decision.reason for decision in decisions)
    moving.executor.change_execution(Execution())
    moving.run(2.0)
    assert {decision.mode for decision in moving.run(2.0)} == {Mode.RUNNING}


def test_a_plan_that_continues_the_old_one_is_joined_at_once(make_rig: Any, moving: Any) -> None:
    rig = make_rig(reference=moving.reference)
    rig.begin(execution={"join": "rtc"}, accepts_prefix=True)
    durations = []
    for _ in range(100):
        rig.tick()
        curve = rig.executor._pilot.plan and rig.executor._pilot.plan.curve
        if isinstance(curve, Blend):
            durations.append(curve.duration_ns)
    assert durations and max(durations) <= 100_000_000
