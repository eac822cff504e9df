"""The tuner and what it judges with: made-up task, latencies, smoothness, sweep, proposal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import Run, record

from vla_core.contract import Contract, load_contract
from vla_core.errors import ConfigurationError
from vla_data.tuning.latency import measured, parse
from vla_data.tuning.plot import draw
from vla_data.tuning.recorded import setting_from
from vla_data.tuning.reference import Follower, Servo, Way
from vla_data.tuning.robot import Setting, way_for
from vla_data.tuning.smoothness import Track, filled, jerk_rms, lost_s, seam_steps
from vla_data.tuning.sweep import Grid, is_solid, policy_lines, propose, ranked, sweep
from vla_data.tuning.trial import Candidate, Score, tried

ROOT = Path(__file__).resolve().parents[3]
WAY = Way((-1.0, 0.1, 0.0), (2.0, 0.3, 0.0), 4.0)
STEP_NS = 50_000_000
GOOD = Score(1.0, 0.0, 0.0, 4.0, 0.0, 0.3, 0.5, 0.01, 0.1, 10.0, 0.4)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract([ROOT / "config/robots/so101/contract.yaml"])


def setting(contract: Contract, latency: str, rows: int = 20) -> Setting:
    return Setting(contract, rows, STEP_NS, parse(latency), way_s=2.5)


# Latency.


def test_latencies_are_given_by_name_or_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    assert parse("constant:0.2").draw(rng) == 0.2
    drawn = [parse("lognormal:0.2,0.3").draw(rng) for _ in range(2000)]
    assert np.median(drawn) == pytest.approx(0.2, rel=0.05)
    assert parse("lognormal:0.2,0.3").quantile(0.99) == pytest.approx(0.402, rel=0.02)
    (tmp_path / "times.json").write_text(json.dumps([0.1] * 9 + [0.4]))
    (tmp_path / "times.txt").write_text("0.1\n0.1 0.1,0.1\n0.4\n")
    assert parse(str(tmp_path / "times.json")).mean_s == pytest.approx(0.13)
    assert parse(str(tmp_path / "times.txt")).quantile(1.0) == 0.4


@pytest.mark.parametrize(
    "text", ["constant:", "constant:-1", "lognormal:0.2", "constant:nan", "soon", "constant:1,2"]
)
def test_a_latency_that_is_none_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"lognormal:0\.2,0\.3"):
        parse(text)


def test_a_file_with_something_else_than_times_is_refused(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("0.1 0.2 soon 0.1 0.1")
    with pytest.raises(ConfigurationError, match=r"times\.txt"):
        parse(str(tmp_path / "times.txt"))
    with pytest.raises(ConfigurationError, match="between 0 and 120"):
        measured("bag", np.array([0.1, 0.1, np.nan, 0.1, 0.1]))


# The made-up task.


def test_a_way_begins_and_ends_at_rest_and_every_place_on_it_is_found() -> None:
    times = np.linspace(0, 4, 41)
    speed = np.gradient(WAY.at(times)[:, 0], times)
    assert abs(speed[0]) < 0.1 and abs(speed[-1]) < 0.1
    follower = Follower(WAY, 20, 0.05)
    for at in (0.7, 2.0, 3.1):
        place, gap = follower.locate(WAY.at(np.array([at]))[0])
        assert place == pytest.approx(at, abs=0.003)
        assert gap < 0.002


def test_an_answer_depends_on_the_observation_alone_and_begins_where_the_robot_is() -> None:
    follower = Follower(WAY, 20, 0.05)
    here = WAY.at(np.array([1.5]))[0] + np.array([0.0, 0.03, 0.0])
    rows = follower.chunk(here)
    np.testing.assert_array_equal(rows, follower.chunk(here.copy()))
    np.testing.assert_allclose(rows[0], here, atol=0.003)
    assert np.ptp(rows[:, 2]) == 0.0  # a column that stays has no opinion either


def test_two_answers_from_places_near_by_disagree_as_networks_do() -> None:
    follower = Follower(WAY, 40, 0.05, offset=0.02)
    first = follower.chunk(WAY.at(np.array([1.5]))[0])
    second = follower.chunk(WAY.at(np.array([1.6]))[0])
    gap = np.abs(first[22:] - second[20:-2]).max()
    assert 0.003 < gap < 0.05


def test_servos_follow_a_ramp_exactly_as_late_as_said() -> None:
    servo = Servo(np.zeros(1), 0.03)
    for i in range(1, 101):
        servo.go(np.array([0.01 * i]), 0.02)
    assert servo.positions[0] == pytest.approx(1.0 - 0.5 * 0.03, abs=2e-4)


def test_the_way_of_a_robot_keeps_to_its_limits(contract: Contract) -> None:
    way = way_for(contract, 8.0)
    times = np.linspace(0, 8, 801)
    places = way.at(times)
    speeds = np.abs(np.gradient(places, times, axis=0)).max(axis=0)
    for column, values, speed in zip(contract.action.columns, places.T, speeds, strict=True):
        assert column.position is not None
        assert column.position[0] <= values.min() and values.max() <= column.position[1]
        assert speed <= 0.5 * column.velocity
    assert np.ptp(places[:, -1]) == 0.0  # the gripper


# Smoothness.


def test_a_jump_at_a_seam_is_seen_and_a_smooth_one_is_not() -> None:
    times = np.arange(100) * 0.02
    smooth = np.sin(times)[:, None]
    jumping = smooth + 0.01 * (times >= 1.0)[:, None]
    seams = np.array([1.0])
    assert seam_steps(Track(times, smooth, seams, 0.02))[0, 0] < 1e-3
    assert seam_steps(Track(times, jumping, seams, 0.02))[0, 0] == pytest.approx(0.5, rel=0.05)
    assert jerk_rms(Track(times, jumping, seams, 0.02)) > 100 * jerk_rms(
        Track(times, smooth, seams, 0.02)
    )


def test_missing_commands_count_as_holding() -> None:
    track = Track(np.array([0.0, 0.1, 0.4]), np.array([[0.0], [1.0], [2.0]]), np.zeros(0), 0.1)
    whole = filled(track)
    assert whole.positions[:, 0].tolist() == [0.0, 1.0, 1.0, 1.0, 2.0]
    assert whole.times_s.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_who_stands_still_has_lost_that_time() -> None:
    follower = Follower(WAY, 20, 0.05)
    times = np.arange(0.0, 4.0, 0.02)
    stalled = np.where(times < 1.5, times, np.maximum(1.5, times - 0.3))
    done = Track(times, WAY.at(times), np.zeros(0), 0.02)
    late = Track(times, WAY.at(stalled), np.zeros(0), 0.02)
    assert lost_s(done, follower) == pytest.approx(0.0, abs=0.03)
    assert lost_s(late, follower) == pytest.approx(0.3, abs=0.03)


# Trials and proposals.


def test_a_short_latency_starves_nobody_and_waiting_costs_time(contract: Contract) -> None:
    played = tried(Candidate(10, None, "blend"), setting(contract, "constant:0.1"), seed=0)
    waited = tried(
        Candidate(20, None, "blend", synchronous=True), setting(contract, "constant:0.1"), seed=0
    )
    assert is_solid(played)
    assert abs(played.lag_s) < 0.1
    assert waited.synchronous > 0.9
    assert waited.lag_s > played.lag_s + 0.1


def test_the_same_seed_gives_the_same_score(contract: Contract) -> None:
    random = setting(contract, "lognormal:0.1,0.4")
    candidate = Candidate(10, 0.5, "blend")
    assert tried(candidate, random, seed=3) == tried(candidate, random, seed=3)


def test_a_latency_beyond_half_a_chunk_gets_no_promise_but_the_rows_that_would_do(
    contract: Contract,
) -> None:
    slow = setting(contract, "constant:0.7", rows=20)
    grid = Grid((20,), (None,), ("blend",), seeds=1)
    proposal = propose(slow, sweep(slow, grid))
    assert not proposal.is_safe
    assert "Chunks of 30 rows would do" in proposal.reason


def test_never_starving_comes_first_then_fresh_and_smooth_together() -> None:
    fresh = replace(GOOD, age_p95_s=0.4)
    scores = {
        Candidate(10, None, "blend"): GOOD,
        Candidate(5, None, "blend"): fresh,
        Candidate(6, None, "blend"): replace(fresh, jerk_rms=50.0),
        Candidate(4, None, "blend"): replace(fresh, starved=0.05),
        Candidate(3, None, "blend"): replace(fresh, succeeded=0.5),
        Candidate(20, None, "blend", synchronous=True): GOOD,
        Candidate(7, None, "blend"): replace(GOOD, age_p95_s=0.45, lag_s=0.2),
    }
    assert [c.horizon_rows for c in ranked(scores)] == [5, 10, 7, 6, 4, 3]


def test_the_proposal_is_what_the_policy_file_understands(contract: Contract) -> None:
    known = setting(contract, "constant:0.1")
    proposal = propose(known, {Candidate(8, 0.5, "blend"): GOOD})
    assert list(policy_lines(proposal)) == [
        "execution:", "  horizon_rows: 8", "  threshold: 0.5", "  join: blend",
    ]  # fmt: skip


def test_every_join_is_tried_with_the_best_horizons(contract: Contract) -> None:
    grid = Grid((8, 20), (None,), ("blend", "replace"), seeds=1)
    done: list[str] = []
    scores = sweep(setting(contract, "constant:0.1"), grid, done.append)
    assert {c.join for c in scores} == {"blend", "replace"}
    assert len(done) == len(scores) <= grid.count


def test_the_plot_is_a_picture(contract: Contract, tmp_path: Path) -> None:
    scores = {
        Candidate(8, None, "blend"): GOOD,
        Candidate(16, None, "blend"): replace(GOOD, lag_s=float("nan")),
        Candidate(8, None, "replace"): GOOD,
        Candidate(20, None, "blend", synchronous=True): GOOD,
    }
    known = setting(contract, "constant:0.1")
    draw(tmp_path / "tune.png", known, scores, propose(known, scores))
    assert (tmp_path / "tune.png").read_bytes()[:4] == b"\x89PNG"


def test_a_recording_knows_its_latency_its_chunks_and_its_robot(tmp_path: Path) -> None:
    found = setting_from(record(tmp_path / "bag", Run(delay_s=0.1)), way_s=4.0)
    assert found.latency.median_s == pytest.approx(0.1)
    assert (found.rows, found.step_ns, found.contract.robot) == (32, 50_000_000, "test")
