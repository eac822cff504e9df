"""Published bugs in how others put chunks together: shown on a naive queue, then not on ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from naive import IndexQueue, delay_rows
from numpy.typing import NDArray

from vla_core.execution import Mode
from vla_core.types import ActionChunk

Array = NDArray[np.float64]
MS = 1_000_000
STEP_S = 0.02
RAMP = 0.02  # rad per row


def lifting(lift: Array) -> Array:
    """Rows in which only the first column moves."""
    return np.stack([lift, 0 * lift, 0 * lift, 0 * lift + 0.5], axis=1)


def played(rig: Any, since: int = 0) -> tuple[Array, Array]:
    """Return the times [s] and positions of the first column that were commanded."""
    commands = [d.command for d in rig.decisions[since:] if d.command is not None]
    times = [(c.stamp_ns + int(c.times_ns[0])) * 1e-9 for c in commands]
    return np.array(times), np.array([c.positions[0, 0] for c in commands])


def test_lerobot_4223_the_first_chunk_skips_21_of_30_actions(make_rig: Callable[..., Any]) -> None:
    """0.7 s of warm-up at 30 Hz, while the arm stands still and nothing was consumed."""
    rows = [0.2 + RAMP * i for i in range(30)]
    naive = IndexQueue()
    naive.splice(rows, delay_rows(0.7))
    assert naive.pop() == rows[21], "from standstill 0.42 rad ahead at once"

    rig = make_rig(
        reference=lambda t: lifting(0.2 + RAMP * np.arange(len(t))),
        latency_ns=700 * MS,
        rows=30,
        row_ns=round(1e9 / 30),
    )
    rig.begin(horizon_rows=30, execution={"threshold": 0.01})
    rig.run(0.7)
    rig.is_answering = False
    rig.run(0.9)
    times, lift = played(rig)
    assert lift[0] == pytest.approx(0.2, abs=1e-3)
    assert np.abs(np.diff(lift)).max() <= 2.0 * STEP_S, "never faster than the column may be"
    after = times - times[0]
    assert np.interp(21 / 30, after, lift) == pytest.approx(rows[21], abs=1.5 * RAMP)
    assert rig.executor.snapshot(rig.now_ns).rows_dropped_late == 0


def test_lerobot_4454_a_starved_queue_is_spliced_ahead_of_the_arm(
    make_rig: Callable[..., Any],
) -> None:
    """The queue ran dry, nothing was consumed, and still the estimate is skipped: a jump."""
    naive = IndexQueue()
    naive.splice([0.2 + RAMP * i for i in range(10)], 0)
    last = [naive.pop() for _ in range(12)][9]
    assert last is not None
    naive.splice([last + RAMP * i for i in range(30)], delay_rows(0.4))
    jumped = naive.pop()
    assert jumped is not None and jumped - last == pytest.approx(12 * RAMP)

    rig = make_rig()
    rig.reference = lambda t: lifting(rig.positions[0] + 0.01 * np.arange(len(t)))
    rig.begin()
    rig.run(0.5)
    rig.is_answering = False
    rig.run(2.5)
    assert rig.decisions[-1].reason == "the plan has run out"
    held, since = float(rig.positions[0]), len(rig.decisions)
    before = rig.executor.snapshot(rig.now_ns).rows_dropped_late
    lost = rig.requests[-1]
    rig.executor.fail(lost.request_id, lost.epoch, lost.policy, "lost", rig.now_ns)
    rig.is_answering, rig.latency_ns = True, 400 * MS
    rig.run(1.3)
    _, lift = played(rig, since)
    assert lift[-1] > held + 0.05, "it goes on"
    assert lift[0] == pytest.approx(held, abs=1e-6)
    assert np.diff(lift).max() <= 2.0 * STEP_S and np.diff(lift, n=2).max() <= 12.0 * STEP_S**2
    assert rig.requests[rig.requests.index(lost) + 1].prefix is None
    assert rig.executor.snapshot(rig.now_ns).rows_dropped_late - before < 12


def test_lerobot_async_a_chunk_that_is_entirely_past_flushes_the_queue(moving: Any) -> None:
    naive = IndexQueue()
    naive.aggregate(0, [0.1] * 50)
    for _ in range(20):
        naive.pop()
    naive.aggregate(10, [0.1] * 8)  # steps 10 to 17, and 19 is the newest that was played
    assert naive.pop() is None, "30 good actions were replaced by nothing"

    moving.run(0.5)
    moving.is_answering = False
    moving.mail.clear()
    while moving.tick().request is None:
        pass
    request = moving.requests[-1]
    moving.run(0.3)
    before = moving.executor.snapshot(moving.now_ns)
    values = moving.chunk(request.sent_ns).values[:3]
    short = ActionChunk(values, request.sent_ns, moving.row_ns, moving.contract.columns)
    moving.deliver(request, chunk=short)
    assert "late: 3 of its 3 rows are past" in moving.refusals[-1]
    after = moving.executor.snapshot(moving.now_ns)
    assert after.plan_left == before.plan_left > 0.5
    moving.is_answering = True
    assert {d.mode for d in moving.run(2.0)} <= {Mode.RUNNING, Mode.DEGRADED}


def test_lerobot_async_a_chunk_older_than_the_plan_changes_nothing(moving: Any) -> None:
    request = moving.requests[-1]
    before = moving.executor.snapshot(moving.now_ns)
    moving.deliver(request)
    moving.deliver(moving.requests[-2], start_ns=moving.requests[-2].sent_ns)
    after = moving.executor.snapshot(moving.now_ns)
    assert after.plan_left == before.plan_left
    assert {d.mode for d in moving.run(1.0)} == {Mode.RUNNING}


def steps_back(rate_hz: float, latency_s: float) -> float:
    """Return how far a queue that assumes 30 Hz jumps back [rows] when the next chunk comes."""
    consumed = round(latency_s * rate_hz)
    queue = IndexQueue()
    queue.splice([float(i) for i in range(100)], 0)
    for _ in range(20 + consumed):
        last = queue.pop()
    queue.splice([20.0 + i for i in range(100)], delay_rows(latency_s))
    following = queue.pop()
    assert last is not None and following is not None
    return last + 1.0 - following


@pytest.mark.parametrize(("rate_hz", "back"), [(30.0, 0), (50.0, 6), (100.0, 21)])
def test_strands_714_the_rate_of_the_rows_is_not_assumed(
    make_rig: Callable[..., Any], rate_hz: float, back: int
) -> None:
    """At 50 Hz 40 % of the delay is missing, at 100 Hz two thirds: rows are played twice."""
    assert steps_back(rate_hz, 0.3) == back

    def reference(times_s: Array) -> Array:
        return lifting(0.2 + 0.3 * np.sin(1.5 * times_s))

    rows = round(1.28 * rate_hz)
    rig = make_rig(reference=reference, latency_ns=300 * MS, rows=rows)
    rig.row_ns = round(1e9 / rate_hz)
    rig.begin(horizon_rows=rows // 2)
    rig.run(1.5)
    since = len(rig.decisions)
    rig.run(2.0)
    times, lift = played(rig, since)
    assert len(times) == 100
    np.testing.assert_allclose(lift, reference(times)[:, 0], atol=0.004)


def sawtooth(targets: Array) -> float:
    """Return the largest step back [rad] of a motion that only goes forward."""
    return float(max(0.0, -np.diff(targets).min()))


def test_axol_191_a_chunk_from_a_lagging_arm_yanks_the_targets_back(
    make_rig: Callable[..., Any],
) -> None:
    """Rows begin where the arm was seen: one round trip ago, and behind its command.

    Published: 20 to 70 mrad back within one tick, about five times per second.
    """
    speed, lag_s, trip_s = 0.4, 0.08, 0.1

    def naive_targets(hz: float = 60.0) -> Array:
        queue, targets = IndexQueue(), [0.0]
        for tick in range(round(4 * hz)):
            if tick % round(0.2 * hz) == 0:
                seen = targets[max(0, len(targets) - 1 - round((lag_s + trip_s) * hz))]
                queue.splice([seen + speed * i / hz for i in range(60)], 0)
            action = queue.pop()
            assert action is not None
            targets.append(action)
        return np.array(targets[60:])

    assert 0.02 < sawtooth(naive_targets()) < 0.1

    rig = make_rig(latency_ns=round(trip_s * 1e9))

    def seen_by_policy(times_s: Array) -> Array:
        times, lift = played(rig)
        at = 0.2 if not len(times) else float(np.interp(times_s[0] - lag_s, times, lift))
        return lifting(at + speed * (times_s - times_s[0]))

    rig.reference = seen_by_policy
    rig.begin(horizon_rows=31, execution={"refresh_s": 0.1})  # about five chunks per second
    rig.run(2.5)
    _, lift = played(rig)
    assert rig.executor.snapshot(rig.now_ns).chunks_accepted >= 8
    assert lift[-1] > 0.5, "it gets on"
    assert sawtooth(lift) < 1e-4
