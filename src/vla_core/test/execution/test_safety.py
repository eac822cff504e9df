"""What the executor promises when something goes wrong; the judge watches every tick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vla_core.errors import ChunkError, NonFiniteError, NotReadyError
from vla_core.execution import ExecutorSettings, Mode, Request
from vla_core.execution.values import Correction
from vla_core.types import ActionChunk, Epoch

MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS


def pending(rig: Any) -> Any:
    """Let the executor ask, and keep the letter."""
    rig.mail.clear()
    rig.is_answering = False
    for _ in range(100):
        request = rig.tick().request
        if request is not None:
            return request
    raise AssertionError("the executor never asked")


def jump(rig: Any, offset_ns: int) -> Any:
    """Set the clock and tick."""
    rig.now_ns += offset_ns
    rig.judge.forget()
    rig.mail = [(due + offset_ns, request) for due, request in rig.mail]
    return rig.tick()


# Chunks that must not be played.


def test_a_chunk_entirely_in_the_past_changes_nothing(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, start_ns=moving.now_ns - 2 * S)
    assert "stale" in moving.refusals[-1] or "late" in moving.refusals[-1]
    assert moving.tick().mode is Mode.RUNNING


def test_a_chunk_with_two_usable_rows_is_too_late(moving: Any) -> None:
    request = pending(moving)
    moving.run(0.2)
    late = moving.chunk(moving.now_ns - 1440 * MS)
    moving.executor._pilot.observed_ns = 0  # else it is refused as stale
    moving.deliver(request, chunk=late)
    assert "rows are past" in moving.refusals[-1]


def test_an_older_observation_is_not_played_after_a_plan_that_has_ended(moving: Any) -> None:
    seen_ns = moving.executor._pilot.plan.observed_ns
    pending(moving)
    moving.run(3.0)  # the plan runs out, the robot brakes and holds
    assert moving.executor._pilot.plan is None
    request = pending(moving)
    moving.deliver(request, start_ns=seen_ns - 100 * MS)
    assert "stale" in moving.refusals[-1]


def test_an_older_observation_never_replaces_a_newer_one(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, start_ns=moving.executor._pilot.plan.observed_ns - 10 * MS)
    assert "stale: its observation is 0.010 s older" in moving.refusals[-1]


def test_a_chunk_from_the_future_is_refused(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, start_ns=moving.now_ns + 200 * MS)
    assert "in the future; compare the clocks" in moving.refusals[-1]


def test_nan_cannot_become_a_chunk() -> None:
    with pytest.raises(NonFiniteError, match="first at row 1, column 'b'"):
        ActionChunk(np.array([[0.0, 0.0], [0.0, np.nan]]), 0, 1, ("a", "b"))


def test_nan_cannot_become_a_correction() -> None:
    with pytest.raises(NonFiniteError):
        Correction(0, Epoch(1, 1), "p", ("lift",), np.array([np.inf]))


def test_wrong_width_and_columns_are_refused(moving: Any) -> None:
    request = pending(moving)
    columns = ("turn", "lift", "drive", "gripper")
    moving.deliver(request, columns=columns)
    assert moving.refusals[-1].startswith("chunk columns: expected ['lift', 'turn'")


def test_another_step_is_refused(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, step_ns=33 * MS)
    assert moving.refusals[-1] == "chunk step: expected 50 ms, got 33 ms"


def test_another_epoch_is_refused(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, epoch=Epoch(7, request.epoch.counter - 1))
    assert "of epoch" in moving.refusals[-1]
    moving.deliver(request, epoch=Epoch(8, request.epoch.counter))
    assert "restart" in moving.refusals[-1]
    moving.deliver(request)
    assert len(moving.refusals) == 2


def test_another_policy_is_refused(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request, policy="q")
    assert moving.refusals[-1] == "chunk of policy 'q', expected 'p'"


def test_a_doubled_answer_is_used_once(moving: Any) -> None:
    request = pending(moving)
    moving.deliver(request)
    accepted = moving.executor.snapshot(moving.now_ns).chunks_accepted
    moving.deliver(request)
    assert "answered before" in moving.refusals[-1]
    assert moving.executor.snapshot(moving.now_ns).chunks_accepted == accepted
    assert moving.tick().mode is Mode.RUNNING


def test_an_answer_nobody_asked_for_is_refused(rig: Any) -> None:
    rig.executor.activate(0)
    stranger = rig.answer(Request(1, rig.executor.epoch, "p", "", 0, None))
    with pytest.raises(ChunkError, match="nothing asked for it"):
        rig.executor.accept(stranger, 0)


def test_degrees_are_refused(moving: Any) -> None:
    request = pending(moving)
    chunk = moving.chunk(request.sent_ns)
    moving.deliver(request, chunk=moving.chunk(request.sent_ns, values=np.rad2deg(chunk.values)))
    assert "its limit" in moving.refusals[-1]


def test_rows_a_little_outside_are_clamped(rig: Any) -> None:
    rig.reference = lambda t: np.tile([1.52, 0.0, 0.0, 0.5], (len(t), 1))
    rig.positions = np.array([1.45, 0.0, 0.0, 0.5])
    rig.begin()
    rig.run(3.0)
    assert rig.decisions[-1].mode is Mode.RUNNING
    assert rig.positions[0] == pytest.approx(1.5, abs=1e-6)


def test_rows_far_outside_are_refused(rig: Any) -> None:
    rig.reference = lambda t: np.tile([1.9, 0.0, 0.0, 0.5], (len(t), 1))
    rig.begin()
    rig.run(0.5)
    assert "asks column 'lift' for 1.9 rad, its limits are -1 to 1.5" in rig.refusals[-1]


def test_three_refused_chunks_mean_hold_and_a_good_one_ends_it(moving: Any) -> None:
    good = moving.reference
    moving.reference = lambda t: good(t) + np.array([0, 9.0, 0, 0])
    moving.run(3.0)
    assert moving.decisions[-1].mode is Mode.HOLDING
    assert "chunks refused in a row" in moving.decisions[-1].reason
    moving.reference = good
    moving.run(4.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


# Requests that go wrong.


def test_a_lost_answer_is_asked_for_again(make_rig: Any) -> None:
    rig = make_rig(ExecutorSettings(request_timeout_s=0.5, first_timeout_s=0.5))
    rig.is_answering = False
    rig.begin()
    rig.run(0.7)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.requests_timed_out == 1 and snapshot.requests_sent == 2
    rig.is_answering = True
    rig.run(2.5)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_an_answer_after_the_time_out_is_refused(make_rig: Any) -> None:
    rig = make_rig(ExecutorSettings(request_timeout_s=0.2, first_timeout_s=0.2))
    rig.is_answering = False
    rig.begin()
    first = rig.tick().request
    rig.run(0.4)
    rig.deliver(first)
    assert "timed out" in rig.refusals[-1]


def test_an_answer_that_is_always_slower_than_the_time_out_gets_through(make_rig: Any) -> None:
    rig = make_rig(ExecutorSettings(request_timeout_s=0.2, first_timeout_s=0.2))
    rig.latency_ns = 1 * S
    rig.begin()
    rig.run(6.0)
    assert rig.executor.snapshot(rig.now_ns).chunks_accepted >= 1


def test_a_failed_inference_is_asked_for_again_after_a_growing_pause(rig: Any) -> None:
    rig.is_answering = False
    rig.begin()
    rig.tick()
    sent = []
    for _ in range(150):
        decision = rig.tick()
        last = rig.requests[-1]
        rig.executor.fail(
            last.request_id, last.epoch, "p", "camera 'front' is missing", rig.now_ns
        )
        if decision.request is not None:
            sent.append(rig.now_ns)
    pauses = np.diff(sent)
    assert (np.diff(pauses) >= 0).all() and pauses[-1] <= 1.05 * S
    assert rig.decisions[-1].mode is Mode.HOLDING
    assert "camera 'front' is missing" in rig.decisions[-1].reason
    rig.is_answering = True
    rig.run(2.0)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_a_strangers_failure_changes_nothing(moving: Any) -> None:
    request = pending(moving)
    moving.executor.fail(request.request_id, Epoch(1, 1), "p", "", moving.now_ns)
    moving.executor.fail(request.request_id, request.epoch, "q", "", moving.now_ns)
    moving.executor.fail(request.request_id + 1, request.epoch, "p", "", moving.now_ns)
    assert moving.executor.snapshot(moving.now_ns).request_in_flight


# Lease, stop, reset.


def test_holds_without_a_lease_and_resumes_with_one(moving: Any) -> None:
    moving.is_leasing = False
    moving.run(0.9)
    assert moving.decisions[-1].mode is Mode.RUNNING
    moving.run(1.0)
    assert moving.decisions[-1].mode is Mode.HOLDING
    assert moving.decisions[-1].reason == "the router's lease is older than 1 s"
    assert moving.speed == 0.0
    sent = len(moving.requests)
    moving.run(1.0)
    assert len(moving.requests) == sent, "nothing is asked for without a lease"
    moving.is_leasing = True
    moving.run(2.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_another_tasks_lease_is_no_lease(moving: Any) -> None:
    moving.is_leasing = False
    for _ in range(60):
        moving.executor.renew_lease("another", moving.now_ns)
        moving.tick()
    assert moving.decisions[-1].mode is Mode.HOLDING


def test_a_stop_brakes_inside_the_limits_and_stays(moving: Any) -> None:
    moving.executor.stop("button", moving.now_ns)
    assert moving.tick().mode is Mode.STOPPED
    assert moving.run_to_rest() < 0.6
    moving.run(2.0)
    last = moving.decisions[-1]
    assert last.mode is Mode.STOPPED and last.command is None and last.request is None
    assert last.reason == "stop requested: button"


def test_a_stop_while_blending_brakes_inside_the_limits(moving: Any) -> None:
    request = pending(moving)
    shifted = moving.chunk(request.sent_ns).values + np.array([0.2, -0.2, 0.1, 0.0])
    moving.deliver(request, values=shifted)
    moving.run(0.1)
    moving.executor.stop("button", moving.now_ns)
    assert moving.run_to_rest() < 1.0


def test_an_answer_does_not_move_a_stopped_robot(moving: Any) -> None:
    request = pending(moving)
    moving.executor.stop("button", moving.now_ns)
    moving.deliver(request)
    assert "no task is running" in moving.refusals[-1]
    assert moving.tick().mode is Mode.STOPPED


def test_a_stopped_executor_takes_no_task_until_reset(moving: Any) -> None:
    moving.executor.stop("button", moving.now_ns)
    moving.run_to_rest()
    moving.executor.end_task("stopped", moving.now_ns)
    with pytest.raises(NotReadyError, match="reset it first"):
        moving.begin()
    moving.executor.reset(moving.now_ns)
    moving.begin()
    moving.run(1.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_a_reset_in_motion_brakes_and_drops_answers_in_flight(moving: Any) -> None:
    request = pending(moving)
    moving.executor.reset(moving.now_ns)
    moving.deliver(request)
    assert moving.refusals
    moving.run_to_rest()
    assert moving.tick().mode is Mode.IDLE


def test_a_reset_raises_the_epoch(rig: Any) -> None:
    before = rig.executor.epoch
    rig.executor.reset(0)
    assert rig.executor.epoch == Epoch(before.boot_id, before.counter + 1)


def test_the_first_reason_of_a_stop_stays(moving: Any) -> None:
    moving.executor.stop("first", moving.now_ns)
    moving.executor.stop("second", moving.now_ns)
    assert moving.tick().reason == "stop requested: first"


# The clock.


@pytest.mark.parametrize("offset_ns", [5 * S, -5 * S, 150 * MS, -150 * MS])
def test_a_told_clock_jump_brakes_smoothly_and_resumes(moving: Any, offset_ns: int) -> None:
    epoch, before = moving.executor.epoch, moving.positions.copy()
    moving.now_ns += offset_ns
    moving.executor.clock_jumped(moving.now_ns)
    moving.judge.forget()
    decision = moving.tick()
    assert decision.mode is Mode.HOLDING and "the clock jumped by" in decision.reason
    assert moving.executor.epoch.counter > epoch.counter
    assert np.abs(moving.positions - before).max() < 2.0 * 0.045, "no step in position"
    moving.run_to_rest()
    moving.run(3.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_a_step_back_of_the_clock_is_found_without_being_told(moving: Any) -> None:
    decision = jump(moving, -3 * S)
    assert decision.mode is Mode.HOLDING and "the clock jumped by -3" in decision.reason
    assert decision.command is not None


def test_missed_ticks_mean_hold(moving: Any) -> None:
    moving.now_ns += 200 * MS
    decision = moving.tick()
    assert decision.mode is Mode.HOLDING and decision.reason == "no tick for 0.20 s"
    moving.run(3.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_the_steady_clock_tells_a_pause_from_a_jump(moving: Any) -> None:
    executor, now = moving.executor, moving.now_ns
    executor.tick(now + STEP, steady_ns=0)
    jumped = executor.tick(now + 2 * STEP + 4 * S, steady_ns=STEP)
    assert "jumped by +4.00 s" in jumped.reason


def test_a_little_jitter_is_no_jump(moving: Any) -> None:
    for step_ms in (21, 19, 25, 15, 40, 20, 1, 39):
        decision = moving.tick(step_ms * MS)
    assert decision.mode is Mode.RUNNING


# The measured state.


def test_nothing_moves_before_the_robot_is_measured(rig: Any) -> None:
    rig.is_measuring = False
    rig.begin()
    decisions = rig.run(1.0)
    assert all(d.command is None and d.request is None for d in decisions)
    assert decisions[-1].reason == "no measured state of ['lift', 'turn', 'gripper'] yet"
    rig.is_measuring = True
    rig.run(1.0)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_one_missing_joint_is_enough_to_stay(rig: Any) -> None:
    rig.is_measuring = False
    rig.begin()
    for _ in range(5):
        rig.executor.measure(["lift", "gripper"], [0.2, 0.5], rig.now_ns, rig.now_ns)
        decision = rig.tick()
    assert decision.reason == "no measured state of ['turn'] yet"


def test_nan_is_not_a_measurement(rig: Any) -> None:
    rig.is_measuring = False
    rig.begin()
    rig.executor.measure(["lift", "turn", "gripper"], [np.nan, 0.0, 0.5], 0, 0)
    assert rig.tick().reason == "no measured state of ['lift'] yet"


def test_an_old_measured_state_means_brake_then_silence(moving: Any) -> None:
    moving.is_measuring = False
    moving.run(0.5)
    decision = moving.decisions[-1]
    assert decision.mode is Mode.HOLDING and "measured state is" in decision.reason
    moving.run(0.5)
    assert moving.decisions[-1].command is None
    moving.is_measuring = True
    moving.run(3.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_a_lost_measured_state_means_stop(moving: Any) -> None:
    moving.is_measuring = False
    moving.run(2.5)
    decision = moving.decisions[-1]
    assert decision.mode is Mode.STOPPED and decision.reason == "no measured state for 2 s"


def test_a_robot_that_does_not_follow_is_stopped(moving: Any) -> None:
    moving.is_measuring = False
    for _ in range(40):
        moving.tick()
        names = ["lift", "turn", "gripper"]
        stuck = [moving.positions[0] + 0.7, moving.positions[1], moving.positions[3]]
        moving.executor.measure(names, stuck, moving.now_ns, moving.now_ns)
    decision = moving.decisions[-1]
    assert decision.mode is Mode.STOPPED
    assert "column 'lift' is 0.7 rad away from its command for 0.5 s" in decision.reason


def test_a_gripper_that_holds_something_is_no_tracking_error(moving: Any) -> None:
    moving.is_measuring = False
    for _ in range(40):
        moving.tick()
        names = ["lift", "turn", "gripper"]
        held = [moving.positions[0], moving.positions[1], moving.positions[3] + 0.9]
        moving.executor.measure(names, held, moving.now_ns, moving.now_ns)
    assert moving.decisions[-1].mode is Mode.RUNNING


# Plans that disagree.


def test_plans_far_apart_stop_the_robot_instead_of_being_blended(moving: Any) -> None:
    good = moving.reference
    moving.reference = lambda t: good(t) + np.array([0.0, 0.9, 0.0, 0.0])
    moving.run(1.2)
    reasons = {d.reason for d in moving.decisions}
    assert any("apart on 'turn' (limit 0.5): stopping instead" in reason for reason in reasons)
    moving.run(4.0)
    assert moving.decisions[-1].mode is Mode.RUNNING, "and starts anew from rest"


def test_replace_leaves_the_disagreement_to_the_limits(make_rig: Any, moving: Any) -> None:
    rig = make_rig(reference=moving.reference)
    rig.begin(execution={"join": "replace"})
    rig.run(2.0)
    good = rig.reference
    rig.reference = lambda t: good(t) + np.array([0.0, 0.9, 0.0, 0.0])
    rig.run(3.0)
    assert rig.decisions[-1].mode is Mode.RUNNING
    assert rig.executor.snapshot(rig.now_ns).limit_interventions > 0


def test_a_gripper_beyond_its_limits_is_closed_or_open(rig: Any) -> None:
    """Policies learn to press: fully closed is all there is."""
    rig.reference = lambda t: np.tile([0.2, 0.0, 0.0, -0.4], (len(t), 1))
    rig.begin()
    rig.run(2.0)
    assert rig.decisions[-1].mode is Mode.RUNNING and not rig.refusals
    assert rig.positions[3] == pytest.approx(0.0, abs=1e-6)
