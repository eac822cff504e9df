"""What the executor knows about itself, and what it is called."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_core.execution import Correction, Snapshot

MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS
MESSAGE = Path(__file__).parents[3] / "vla_interfaces/msg/ExecutorState.msg"


def snapshot(rig: Any) -> Snapshot:
    return rig.executor.snapshot(rig.now_ns)


def test_the_message_has_every_field_of_the_snapshot_and_no_other() -> None:
    lines = [line.split() for line in MESSAGE.read_text().splitlines()]
    named = {words[1] for words in lines if len(words) == 2 and not words[0].startswith("#")}
    named = {name for name in named if "=" not in name}  # not the constants
    assert named - {"header"} == {field.name for field in fields(Snapshot)}


def test_ages_of_the_observation_are_kept_for_ten_seconds(moving: Any) -> None:
    moving.run(4.0)
    now = snapshot(moving)
    assert 0.0 < now.observation_age_p50 <= now.observation_age_p95 <= now.observation_age_max
    # Asked with a reserve of a quantile and two rows, 16 rows played, 0.1 s for the answer.
    assert now.observation_age_max < 16 * 0.05 + 0.1


def test_the_oldest_sample_is_older_than_the_observation(moving: Any) -> None:
    request = next(d.request for d in moving.run(2.0) if d.request is not None)
    moving.mail.clear()
    moving.is_answering = False
    while moving.executor._session.trigger.in_flight is None:
        moving.tick()
    request = moving.requests[-1]
    moving.deliver(request, ages_ns={"joints": 5 * MS, "front": 80 * MS})
    moving.tick()
    now = snapshot(moving)
    assert now.sample_age == pytest.approx(now.observation_age + 0.08)


def test_chunks_and_stages_are_told(rig: Any) -> None:
    rig.begin()
    rig.is_answering = False
    for wait in range(4):
        while rig.executor._session.trigger.in_flight is None:
            rig.tick()
        stages = {"wait": wait * MS, "infer": 100 * MS}
        rig.deliver(rig.requests[-1], stages_ns=stages)
    now = snapshot(rig)
    assert now.stage_names == ("wait", "infer")
    assert now.stage_p50 == pytest.approx((0.0015, 0.1))
    assert now.chunk_rate > 0.5
    assert now.rows_accepted == 4 * rig.rows


def test_the_longest_starvation_is_kept(moving: Any) -> None:
    moving.is_answering = False
    moving.run(3.0)
    starved = snapshot(moving)
    assert starved.starved_longest == pytest.approx(starved.starved_ticks * 0.02)
    moving.is_answering = True
    moving.run(5.0)
    assert snapshot(moving).starved_longest >= starved.starved_longest


def test_a_gap_between_commands_is_counted(moving: Any) -> None:
    assert snapshot(moving).command_gaps == 0
    moving.tick(45 * MS)
    now = snapshot(moving)
    assert now.command_gaps == 1 and now.command_gap_max == pytest.approx(0.045)


def test_a_switch_of_modes_is_counted(moving: Any) -> None:
    good = moving.reference
    moving.reference = lambda t: good(t) + np.array([0.0, 0.9, 0.0, 0.0])
    moving.run(1.2)
    assert snapshot(moving).mode_switches == 1


def test_rows_a_little_outside_are_counted(rig: Any) -> None:
    rig.reference = lambda t: np.tile([1.52, 0.0, 0.0, 0.5], (len(t), 1))
    rig.positions = np.array([1.45, 0.0, 0.0, 0.5])
    rig.begin()
    rig.run(1.0)
    assert snapshot(rig).rows_clamped == rig.rows * snapshot(rig).chunks_accepted > 0


def test_the_time_from_a_stop_to_rest_is_told(moving: Any) -> None:
    assert math.isnan(snapshot(moving).stop_time)
    moving.executor.stop("button", moving.now_ns)
    seconds = moving.run_to_rest()
    moving.run(1.0)
    assert snapshot(moving).stop_time == pytest.approx(seconds, abs=0.041)


def test_used_corrections_are_counted(rig: Any) -> None:
    rig.begin()
    rig.run(1.0)
    for late_ns in (0, 11 * MS):
        target = rig.now_ns + 2 * STEP + late_ns
        correction = Correction(target, rig.executor.epoch, "p", ("lift",), np.array([1e-5]))
        rig.executor.correct(correction, rig.now_ns)
        rig.tick()
    assert snapshot(rig).corrections_used == 1


def test_plans_that_agree_overlap_without_a_difference(moving: Any) -> None:
    moving.run(1.0)
    now = snapshot(moving)
    assert now.overlap_rms < 1e-3 and now.jerk_peak >= now.jerk_rms > 0.0
    good = moving.reference
    moving.reference = lambda t: good(t) + np.array([0.05, 0.0, 0.0, 0.0])
    moving.mail.clear()
    moving.is_answering = False
    while moving.executor._session.trigger.in_flight is None:
        moving.tick()
    moving.deliver(moving.requests[-1])
    assert snapshot(moving).overlap_rms == pytest.approx(0.05, rel=0.05)


def test_join_speed_and_shadow_are_told(moving: Any) -> None:
    now = snapshot(moving)
    assert (now.join, now.speed_scale, now.shadow) == ("blend", 1.0, False)
    moving.executor.set_speed(0.5, moving.now_ns)
    moving.run(1.5)
    assert snapshot(moving).speed_scale == 0.5
