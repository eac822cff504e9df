"""What the executor promises while everything goes well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vla_core.errors import ChunkError, NotReadyError
from vla_core.execution import Correction, Executor, Mode

MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS


def modes(decisions: Any) -> set[Mode]:
    return {decision.mode for decision in decisions}


def test_commands_nothing_before_the_first_chunk(rig: Any) -> None:
    rig.is_answering = False
    rig.begin()
    decisions = rig.run(0.5)
    assert all(decision.command is None for decision in decisions)
    assert modes(decisions) == {Mode.HOLDING}


def test_asks_at_once_when_a_task_begins(rig: Any) -> None:
    rig.begin()
    assert rig.tick().request is not None
    assert rig.requests[0].policy == "p"
    assert rig.requests[0].instruction == "lift the cube"
    assert rig.requests[0].prefix is None


def test_the_first_command_is_where_the_robot_is(rig: Any) -> None:
    rig.positions = np.array([0.37, -0.11, 0.0, 0.62])
    rig.begin()
    rig.run(0.3)
    first = next(d.command for d in rig.decisions if d.command is not None)
    assert first.positions[0, [0, 1, 3]] == pytest.approx([0.37, -0.11, 0.62], abs=0.01)
    assert np.abs(first.velocities[0, :3]).max() < 0.1


def test_the_first_command_is_bounded_by_the_limits(rig: Any) -> None:
    rig.positions = np.array([1.55, 0.0, 0.0, 0.5])  # 0.05 rad beyond the limit
    rig.begin()
    rig.run(0.3)
    first = next(d.command for d in rig.decisions if d.command is not None)
    assert first.positions[0, 0] <= 1.5


def test_a_robot_far_outside_its_limits_is_not_moved(rig: Any) -> None:
    rig.positions = np.array([1.9, 0.0, 0.0, 0.5])
    rig.begin()
    decision = rig.tick()
    assert decision.mode is Mode.STOPPED
    assert "'lift' is at 1.9 rad, outside its limits -1 to 1.5" in decision.reason


def test_a_chunk_observed_at_rest_loses_no_row(rig: Any) -> None:
    """A first inference may take seconds; nothing has moved meanwhile."""
    rig.latency_ns = 3 * S
    rig.begin()
    rig.run(3.2)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.mode is Mode.RUNNING
    assert snapshot.rows_dropped_late == 0
    assert snapshot.plan_left > 31 * 0.05 - 0.3


def test_runs_without_a_starved_tick(make_rig: Callable[..., Any], moving: Any) -> None:
    decisions = moving.run(10.0)
    snapshot = moving.executor.snapshot(moving.now_ns)
    assert modes(decisions) == {Mode.RUNNING}
    assert snapshot.starved_ticks == 0
    assert snapshot.requests_by_threshold >= 5
    assert snapshot.requests_by_threshold == snapshot.requests_sent - 1


def test_follows_a_feasible_plan_unchanged(make_rig: Callable[..., Any]) -> None:
    def gentle(t: Any) -> Any:
        rise = 1 - np.exp(-(t**3))
        return np.stack([0.2 + 0.2 * rise, 0.1 * rise, 0 * t, 0 * t + 0.5], axis=1)

    rig = make_rig(reference=gentle)
    rig.begin()
    rig.run(4.0)
    assert rig.executor.snapshot(rig.now_ns).limit_interventions == 0
    assert rig.positions[:2] == pytest.approx([0.4, 0.1], abs=1e-3)


def test_a_late_chunk_costs_rows_and_never_goes_back(moving: Any) -> None:
    before = moving.executor.snapshot(moving.now_ns).rows_dropped_late
    moving.latency_ns = 300 * MS
    moving.run(3.0)
    snapshot = moving.executor.snapshot(moving.now_ns)
    assert snapshot.rows_dropped_late > before
    assert snapshot.latency_p99 == pytest.approx(0.3, abs=0.03)


def test_rows_past_the_horizon_are_the_safety_net(moving: Any) -> None:
    moving.is_answering = False
    decisions = moving.run(1.5)
    assert Mode.DEGRADED in modes(decisions)
    degraded = [d for d in decisions if d.mode is Mode.DEGRADED]
    assert all(d.command is not None for d in degraded)


def test_brakes_and_holds_when_the_plan_runs_out_and_resumes(moving: Any) -> None:
    moving.is_answering = False
    moving.run(3.0)
    assert moving.decisions[-1].mode is Mode.HOLDING
    assert moving.decisions[-1].reason == "the plan has run out"
    assert moving.decisions[-1].command is not None
    assert moving.speed == 0.0
    moving.is_answering = True
    moving.run(10.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_counts_starved_ticks_while_it_has_no_plan(moving: Any) -> None:
    moving.is_answering = False
    moving.run(4.0)
    held = sum(d.mode is Mode.HOLDING for d in moving.decisions if d.command is not None)
    assert moving.executor.snapshot(moving.now_ns).starved_ticks == held > 0


def test_synchronous_execution_stops_for_each_inference(rig: Any, make_rig: Any) -> None:
    rig.begin(execution={"synchronous": True})
    rig.run(5.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.synchronous and snapshot.synchronous_reason == "the policy's file asks for it"
    assert snapshot.starved_ticks == 0
    assert snapshot.requests_by_threshold == 0
    assert snapshot.chunks_accepted >= 4
    assert "synchronous: waiting for the next chunk" in {d.reason for d in rig.decisions}


def test_falls_back_to_synchronous_when_no_threshold_can_work(rig: Any) -> None:
    rig.latency_ns = 1200 * MS  # more than half of 31 x 50 ms
    rig.begin()
    rig.run(15.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.synchronous
    assert "no threshold avoids running out" in snapshot.synchronous_reason


def test_the_threshold_is_the_high_quantile_plus_two_rows(moving: Any) -> None:
    moving.run(5.0)
    snapshot = moving.executor.snapshot(moving.now_ns)
    assert snapshot.request_threshold == pytest.approx(0.1 + 0.1, abs=0.021)


def test_a_given_share_of_the_horizon_is_the_threshold(rig: Any) -> None:
    rig.begin(execution={"threshold": 0.5})
    rig.run(1.0)
    assert rig.executor.snapshot(rig.now_ns).request_threshold == pytest.approx(0.4)


def test_asks_again_when_the_plans_observation_grows_old(make_rig: Callable[..., Any]) -> None:
    counts = []
    for refresh_s in (None, 0.3):
        rig = make_rig()
        rig.begin(horizon_rows=31, execution={"refresh_s": refresh_s})
        rig.run(10.0)
        counts.append(rig.executor.snapshot(rig.now_ns).requests_sent)
    assert counts[1] > 2 * counts[0]


def test_the_request_carries_the_plan_as_knots(moving: Any) -> None:
    moving.run(2.0)
    request = moving.requests[-1]
    prefix = request.prefix
    assert prefix is not None
    assert prefix.step_ns == 50 * MS
    assert prefix.start_ns >= request.sent_ns - 150 * MS
    assert prefix.values.shape[1] == 4 and len(prefix.values) > 3
    assert np.isfinite(prefix.values).all()
    assert prefix.committed_until_ns >= request.sent_ns + 90 * MS


def test_a_correction_for_this_tick_is_added(rig: Any) -> None:
    rig.begin()
    rig.run(1.0)
    target_ns = rig.now_ns + 2 * STEP
    correction = Correction(target_ns, rig.executor.epoch, "p", ("lift",), np.array([1e-5]))
    rig.executor.correct(correction, rig.now_ns)
    decision = rig.tick()
    assert decision.command.positions[0, 0] == pytest.approx(0.2 + 1e-5, abs=2e-7)


@pytest.mark.parametrize("late_ns", [-11 * MS, 11 * MS])
def test_a_correction_for_another_tick_is_not(rig: Any, late_ns: int) -> None:
    rig.begin()
    rig.run(1.0)
    target_ns = rig.now_ns + 2 * STEP + late_ns
    correction = Correction(target_ns, rig.executor.epoch, "p", ("lift",), np.array([1e-5]))
    rig.executor.correct(correction, rig.now_ns)
    assert rig.tick().command.positions[0, 0] == pytest.approx(0.2, abs=2e-7)


def test_goes_on_from_its_last_command_in_the_next_task(moving: Any) -> None:
    """The robot sags: a start from the measured position would let it sag once more."""
    moving.executor.end_task("done", moving.now_ns)
    moving.run_to_rest()
    moving.run(0.1)
    commanded = moving.positions.copy()
    moving.positions = commanded - 0.02
    moving.begin()
    moving.run(0.5)
    first = next(d.command for d in moving.decisions[-25:] if d.command is not None)
    assert first.positions[0, 0] == pytest.approx(commanded[0], abs=5e-3)


def test_starts_from_the_measured_state_when_somebody_moved_the_robot(moving: Any) -> None:
    moving.executor.end_task("done", moving.now_ns)
    moving.run_to_rest()
    moving.run(0.1)
    moving.positions = moving.positions + np.array([0.5, 0.0, 0.0, 0.1])
    measured = moving.positions.copy()
    moving.begin()
    moving.run(0.5)
    first = next(d.command for d in moving.decisions[-25:] if d.command is not None)
    assert first.positions[0, [0, 1, 3]] == pytest.approx(measured[[0, 1, 3]], abs=0.01)


def test_becomes_idle_and_silent_after_a_task(moving: Any) -> None:
    moving.executor.end_task("done", moving.now_ns)
    first = moving.tick()
    assert first.mode is Mode.HOLDING and first.command is not None
    moving.run_to_rest()
    last = moving.tick()
    assert last.mode is Mode.IDLE and last.command is None


def test_brakes_after_deactivation_and_then_says_nothing(moving: Any) -> None:
    moving.executor.deactivate(moving.now_ns)
    assert moving.tick().command is not None
    moving.run_to_rest()
    last = moving.tick()
    assert last.mode is Mode.INACTIVE and last.command is None and last.at_rest


def test_refuses_a_second_task(moving: Any) -> None:
    with pytest.raises(NotReadyError, match="task 't1' is still running"):
        moving.begin(task_id="t2")


def test_refuses_a_task_while_inactive(rig: Any) -> None:
    with pytest.raises(NotReadyError, match="activate it first"):
        rig.executor.begin_task(rig.task(), 0)


def test_refuses_a_task_with_swapped_columns(rig: Any) -> None:
    rig.executor.activate(0)
    with pytest.raises(ChunkError, match=r"expected columns \['lift', 'turn'"):
        rig.executor.begin_task(rig.task(columns=("turn", "lift", "drive", "gripper")), 0)


def test_keeps_what_it_knows_of_a_policys_latency(moving: Any) -> None:
    moving.run(3.0)
    moving.executor.end_task("done", moving.now_ns)
    moving.run_to_rest()
    moving.begin()
    moving.run(0.5)
    assert not math.isnan(moving.executor.snapshot(moving.now_ns).latency_p50)


def test_the_snapshot_of_an_idle_executor_knows_nothing(contract: Any) -> None:
    snapshot = Executor(contract).snapshot(0)
    assert snapshot.mode is Mode.INACTIVE
    assert snapshot.task_id == ""
    assert all(
        math.isnan(value)
        for value in (
            snapshot.horizon_left,
            snapshot.request_threshold,
            snapshot.seam_gap,
            snapshot.jerk_rms,
            snapshot.latency_p99,
            snapshot.tick_error_p50,
        )
    )


def test_ticks_in_time_have_no_error(moving: Any) -> None:
    snapshot = moving.executor.snapshot(moving.now_ns)
    assert snapshot.tick_error_p99 == pytest.approx(0.0, abs=1e-9)
    assert 0.09 < snapshot.observation_age < 0.9
    assert snapshot.jerk_rms > 0.0


def test_a_repeated_tick_sends_nothing_twice(moving: Any) -> None:
    again = moving.executor.tick(moving.now_ns)
    assert again.command is None and again.request is None
    moving.run(0.2)


def test_a_robot_that_moves_before_the_first_chunk_is_followed(rig: Any) -> None:
    """Its bridge may still play the way to rest of an executor that was killed."""
    rig.latency_ns = 600 * MS
    rig.begin()
    for i in range(15):
        rig.positions = np.array([0.2, 0.0, 0.0, 0.5 - 0.02 * i])
        rig.tick()
    measured = rig.positions.copy()
    rig.run(1.0)
    first = next(d.command for d in rig.decisions if d.command is not None)
    assert first.positions[0, 3] == pytest.approx(measured[3], abs=0.02)


def test_a_chunk_observed_before_the_robot_was_moved_is_not_played(rig: Any) -> None:
    rig.latency_ns = 300 * MS
    rig.begin()
    rig.run(0.2)
    rig.positions = np.array([0.4, 0.0, 0.0, 0.5])
    rig.run(0.3)
    assert "before the robot came to rest" in rig.refusals[0]
    rig.run(1.5)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_after_a_reset_it_starts_from_the_measured_state(moving: Any) -> None:
    moving.executor.reset(moving.now_ns)
    moving.run_to_rest()
    moving.tick()
    moving.positions = moving.positions - 0.02
    measured = moving.positions.copy()
    moving.begin()
    moving.run(0.5)
    first = next(d.command for d in moving.decisions[-25:] if d.command is not None)
    assert first.positions[0, 0] == pytest.approx(measured[0], abs=5e-3)


def test_a_task_that_begins_while_the_robot_brakes_goes_on_from_there(moving: Any) -> None:
    moving.executor.reset(moving.now_ns)
    moving.tick()
    moving.begin()
    moving.run(2.0)
    assert moving.decisions[-1].mode is Mode.RUNNING
