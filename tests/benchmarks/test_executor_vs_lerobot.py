"""What the comparison with LeRobot computes from a run, and how it judges: on made-up runs."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from executor_vs_lerobot.figures import (
    Figures,
    compute,
    has_solution,
    possible_saving,
    saved_share,
)
from executor_vs_lerobot.goals import judge, overheads
from executor_vs_lerobot.record import Answer, Run
from executor_vs_lerobot.scenario import Scenario, Thinker

SCENARIO = Scenario(30, "constant:0.2", 4.0)
BEGIN = 1000.0


def perfect(stall_s: float = 0.0) -> Run:
    """Return a run along the way, with an answer each half second and one stall in the middle."""
    times = np.arange(0.0, 4.0 + stall_s, SCENARIO.step_s)
    places = np.where(times < 2.0, times, np.maximum(2.0, times - stall_s))
    rows = SCENARIO.way.at(places)
    answers = [
        Answer(BEGIN + t, BEGIN + t, BEGIN + t + 0.205, 0.2, 0.0, 0.001)
        for t in np.arange(-0.205, 3.5, 0.5)
    ]
    at = BEGIN + times
    return Run(
        began_s=BEGIN - 0.205,
        commands_s=at,
        due_s=at,
        commands=rows,
        states_s=at,
        states=rows,
        answers=tuple(answers),
        ticks=len(times),
        starved_ticks=0,
        requests=8,
        requests_by_threshold=7,
        cpu_s={"executor": 0.4, "bridge": 4.0},
        wall_s=4.0,
        memory_mb={"executor": 100.0, "bridge": 50.0},
    )


def test_overhead_is_what_the_answer_took_beyond_inference_and_waiting() -> None:
    found = compute(SCENARIO, perfect())
    assert found.overhead_p50_ms == pytest.approx(5.0, abs=0.1)
    assert found.wire_p50_ms == pytest.approx(4.0, abs=0.1)
    waited = [replace(a, waited_s=0.004) for a in perfect().answers]
    behind = compute(SCENARIO, replace(perfect(), answers=tuple(waited)))
    assert behind.overhead_p50_ms == pytest.approx(1.0, abs=0.1)


def test_a_perfect_run_loses_nothing_and_a_stall_is_lost() -> None:
    whole, stalled = compute(SCENARIO, perfect()), compute(SCENARIO, perfect(0.3))
    assert whole.succeeded and stalled.succeeded
    assert whole.lag_ms == pytest.approx(0.0, abs=35)
    assert stalled.lag_ms == pytest.approx(300.0, abs=35)
    assert saved_share(SCENARIO, whole) > 0.9 > saved_share(SCENARIO, stalled)


def test_age_is_that_of_the_newest_chunk_that_could_be_played() -> None:
    found = compute(SCENARIO, perfect())
    assert 205 <= found.age_p50_ms <= 705
    assert found.age_p95_ms <= 706


def test_the_simulated_robot_is_not_counted_as_ours() -> None:
    found = compute(SCENARIO, perfect())
    assert found.cpu_share == pytest.approx(0.1)
    assert found.memory_mb == 100.0


def test_who_leaves_the_way_has_failed() -> None:
    astray = perfect()
    astray.states[60] += 0.3
    assert not compute(SCENARIO, astray).succeeded


def test_a_run_without_a_command_has_failed_and_breaks_nothing() -> None:
    still = replace(
        perfect(),
        commands_s=np.zeros(0),
        due_s=np.zeros(0),
        commands=np.zeros((0, 6)),
        states=np.tile(np.array(SCENARIO.way.start), (len(perfect().states), 1)),
        answers=(),
    )
    found = compute(SCENARIO, still)
    assert not found.succeeded
    assert math.isnan(found.overhead_p50_ms) and math.isnan(found.jerk_rms)


def test_figures_survive_the_file_also_where_they_are_not_known() -> None:
    found = replace(compute(SCENARIO, perfect()), lag_ms=math.nan)
    again = Figures.of(found.to_json())
    assert math.isnan(again.lag_ms)
    assert again.cpu == found.cpu


def test_a_threshold_exists_up_to_half_a_chunk() -> None:
    assert has_solution(SCENARIO)
    assert has_solution(replace(SCENARIO, latency="constant:0.7"))
    assert not has_solution(replace(SCENARIO, latency="lognormal:0.7,0.3"))
    assert possible_saving(SCENARIO) == pytest.approx(0.2 / (50 / 30 + 0.2))


def test_goals_are_met_missed_or_not_measured() -> None:
    blend = replace(compute(SCENARIO, perfect()), seam_velocity=0.01, jerk_rms=10.0)
    rough = replace(blend, seam_velocity=0.1, jerk_rms=12.0)
    runs = {
        ("ours", SCENARIO): blend,
        ("ours", replace(SCENARIO, join="replace")): rough,
        # Another task: there is nothing to compare it with.
        ("ours", replace(SCENARIO, way_s=SCENARIO.way_s + 6.0)): replace(blend, seam_velocity=9.0),
        ("lerobot", SCENARIO): replace(blend, overhead_p50_ms=50.0, wire_p50_ms=20.0),
    }
    assert overheads(runs)["lerobot_wire"] == 20.0
    verdict = {goal.name: goal.is_met for goal in judge(runs)}
    assert verdict["overhead, median"] is False  # 5 ms
    assert verdict["overhead against LeRobot's"] is True
    assert verdict["seam step of velocity, blend below replace"] is True
    assert verdict["RMS jerk, blend below replace"] is False
    assert verdict["tick at 100 Hz, p99 of the period's error, 0 cores busy"] is None


def test_both_sides_get_the_same_answers_after_the_same_time() -> None:
    text = replace(SCENARIO, latency="lognormal:0.2,0.3").text()
    slept: list[list[float]] = [[], []]
    here = np.array(SCENARIO.way.start)
    for i in (0, 1):
        thinker = Thinker(text, 0.01)
        rows = [thinker.answer(here, slept[i].append, clock=lambda: 0.0) for _ in range(5)]
        assert rows[0].shape == (50, 6)
    assert slept[0] == slept[1]
    assert np.ptp(slept[0]) > 0.02
