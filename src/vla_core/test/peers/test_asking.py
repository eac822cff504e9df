"""Published bugs in when others ask for a chunk: each is shown on a naive queue, then not on ours.

Facts from the public threads named in the tests; 30 Hz and rows of 1/30 s for the naive queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from naive import NaiveClient, NaiveServer, PeakLatency
from pydantic import ValidationError

from vla_core.contract.policy_config import ExecutionConfig
from vla_core.execution import Mode

MS = 1_000_000
HZ = 30.0
ROWS = 50


def slow(step: int, _: float = 0.0) -> list[float]:
    """Rows of a careful arm: never a whole radian from anywhere to anywhere."""
    return [0.2 + 0.3 * float(np.sin(0.5 * (step + i) / HZ)) for i in range(ROWS)]


def run_naive(threshold: float, similar: float, latency_s: float, seconds: float) -> NaiveClient:
    client = NaiveClient(NaiveServer(slow, round(latency_s * HZ), similar), ROWS, threshold)
    state = 0.2
    for _ in range(round(seconds * HZ)):
        action = client.tick(state)
        state = state if action is None else action
    return client


def slow_rig(make_rig: Callable[..., Any], **fields: Any) -> Any:
    def reference(times_s: Any) -> Any:
        lift = 0.2 + 0.3 * np.sin(0.5 * times_s)
        return np.stack([lift, 0 * lift, 0 * lift, 0 * lift + 0.5], axis=1)

    return make_rig(reference=reference, **fields)


def expect_asynchronous(rig: Any) -> None:
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.starved_ticks == 0
    assert snapshot.requests_sent > 5
    assert snapshot.requests_by_threshold == snapshot.requests_sent - 1


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
def test_lerobot_1557_and_3204_a_filter_in_raw_units_lets_the_queue_run_dry(
    make_rig: Callable[..., Any], threshold: float
) -> None:
    """In radians every observation is 'similar', so only those of an empty queue are answered."""
    naive = run_naive(threshold, similar=1.0, latency_s=0.3, seconds=20.0)
    assert all(naive.server.processed) and naive.starved > 50
    unfiltered = run_naive(threshold, similar=0.0, latency_s=0.3, seconds=20.0)
    assert unfiltered.server.processed.count(True) == 1 and unfiltered.starved == 0

    rig = slow_rig(make_rig, latency_ns=300 * MS)
    rig.begin(execution={"threshold": threshold})
    rig.run(6.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.starved_ticks == 0
    assert snapshot.requests_by_threshold == snapshot.requests_sent - 1


def test_lerobot_2356_every_inference_waits_for_an_empty_queue(
    make_rig: Callable[..., Any],
) -> None:
    """Threshold 0.0 and 0.35 s of inference: every chunk of the log is `must_go: True`."""
    naive = run_naive(0.0, similar=0.0, latency_s=0.35, seconds=20.0)
    assert all(naive.server.processed)
    assert naive.starved >= 8 * (len(naive.server.processed) - 2)

    with pytest.raises(ValidationError, match="greater than 0"):
        ExecutionConfig(threshold=0.0)
    rig = slow_rig(make_rig, latency_ns=350 * MS)
    rig.begin()
    rig.run(6.0)
    expect_asynchronous(rig)


def test_lerobot_2356_a_threshold_that_is_far_too_low_is_caught_by_the_rows_past_the_horizon(
    make_rig: Callable[..., Any],
) -> None:
    rig = slow_rig(make_rig, latency_ns=350 * MS)
    rig.begin(execution={"threshold": 0.01})
    decisions = rig.run(6.0)
    expect_asynchronous(rig)
    assert Mode.DEGRADED in {d.mode for d in decisions}, "the net was used, and it is said"


def test_lerobot_4223_one_slow_inference_is_remembered_for_ever(
    make_rig: Callable[..., Any],
) -> None:
    """A warm-up of 0.7 s, then 0.1 s for ever: the peak stays, the window forgets."""
    peak = PeakLatency()
    for latency_s in (0.7, *[0.1] * 1000):
        peak.add(latency_s)
    assert peak.estimate_s() == 0.7

    rig = slow_rig(make_rig)
    rig.begin(execution={"refresh_s": 0.1})  # many answers in little time
    rig.latency_ns = 700 * MS
    rig.run(1.2)
    rig.latency_ns = 100 * MS
    rig.run(1.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.latency_p99 < 0.2, "the first answers are warm-up and do not count at all"
    rig.latency_ns = 600 * MS
    rig.run(1.5)
    assert rig.executor.snapshot(rig.now_ns).request_threshold > 0.5, "a spike counts at first"
    rig.latency_ns = 20 * MS
    rig.run(10.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.latency_p99 < 0.2 and snapshot.request_threshold < 0.3


def broken_once(at_call: int) -> Callable[[int, float], list[float]]:
    calls = iter(range(1_000_000))

    def policy(step: int, state: float) -> list[float]:
        if next(calls) == at_call:
            raise RuntimeError("CUDA out of memory")
        return slow(step, state)

    return policy


def test_lerobot_async_one_exception_in_inference_stalls_for_ever(
    make_rig: Callable[..., Any],
) -> None:
    """The step counts as predicted before it is, and nobody may go without being asked."""
    naive = NaiveClient(NaiveServer(broken_once(1), 9, 1.0), ROWS, 0.5)
    actions = [naive.tick(0.2) for _ in range(round(60 * HZ))]
    assert len([a for a in actions if a is not None]) == ROWS, "one chunk, then never again"

    rig = slow_rig(make_rig, is_answering=False)
    rig.begin()
    for _ in range(40):
        decision = rig.tick()
        if decision.request is not None and len(rig.requests) != 2:
            rig.mail.append((rig.now_ns + 100 * MS, decision.request))
        elif decision.request is not None:
            one = decision.request
            rig.executor.fail(one.request_id, one.epoch, one.policy, "out of memory", rig.now_ns)
    rig.is_answering = True
    rig.run(2.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.requests_failed == 1
    assert snapshot.mode is Mode.RUNNING and snapshot.chunks_accepted >= 3


def test_lerobot_async_an_answer_that_never_comes_does_not_stall_either(
    make_rig: Callable[..., Any],
) -> None:
    rig = slow_rig(make_rig)
    rig.begin()
    rig.run(2.0)
    rig.is_answering = False
    rig.mail.clear()
    rig.run(1.0)
    rig.is_answering = True
    rig.run(5.0)
    snapshot = rig.executor.snapshot(rig.now_ns)
    assert snapshot.requests_timed_out == 1
    assert snapshot.mode is Mode.RUNNING
