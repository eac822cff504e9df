"""People come near: the robot follows the same way more slowly, and rests at 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import ConfigurationError
from vla_core.execution import Mode
from vla_core.execution.pace import Pace

MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS


@pytest.fixture
def pace(contract: Contract) -> Pace:
    return Pace(contract.action.columns)


def test_at_full_speed_the_plans_time_is_the_real_time(pace: Pace) -> None:
    for time in (0, 123_456_789, 1_763_730_000_123_456_789):
        assert pace.plan_ns(time) == time and pace.speed(time) == 1.0


def test_at_half_speed_the_plans_time_goes_on_half_as_fast(pace: Pace) -> None:
    pace.set(0.5, 10 * S, is_playing=True)
    assert pace.plan_ns(10 * S) == 10 * S and pace.plan_ns(9 * S) == 9 * S
    assert pace.plan_ns(22 * S) - pace.plan_ns(20 * S) == pytest.approx(S, abs=1)
    assert pace.left_s(pace.plan_ns(20 * S) + S, 20 * S) == pytest.approx(2.0)


def test_the_plans_time_never_goes_back_whatever_is_set(pace: Pace) -> None:
    rng, time, last = np.random.default_rng(1), 0, 0
    for _ in range(300):
        pace.set(float(rng.choice([0.0, 0.1, 0.5, 1.0])), time, is_playing=True)
        for _ in range(int(rng.integers(1, 20))):
            time += 7 * MS
            now = pace.plan_ns(time)
            assert 0 <= now - last <= 7 * MS + 2
            assert -1e-9 <= pace.speed(time) <= 1.0 + 1e-9
            last = now


def test_the_speed_has_no_jump_when_it_changes_in_a_change(pace: Pace) -> None:
    pace.set(0.0, 0, is_playing=True)
    pace.set(1.0, 150 * MS, is_playing=True)
    pace.set(0.3, 230 * MS, is_playing=True)
    speeds = np.array([pace.speed(time) for time in range(0, S, MS)])
    assert np.abs(np.diff(speeds)).max() < 0.5 * 8.0 / 3.0 * 1e-3 + 1e-9


@pytest.mark.parametrize("scale", [-0.1, 1.1, math.nan, math.inf])
def test_a_scale_out_of_range_is_refused(rig: Any, scale: float) -> None:
    with pytest.raises(ConfigurationError, match=r"speed_scale: expected 0 to 1, got"):
        rig.executor.set_speed(scale, 0)


def test_the_robot_follows_the_same_way_at_half_the_speed(make_rig: Any) -> None:
    """The policy sees where the robot is, so what counts is the way, not the time."""

    def circling(t: Any) -> Any:
        return np.stack(
            [0.2 + 0.3 * np.sin(1.5 * t), 0.3 * np.cos(1.5 * t), 0 * t, 0 * t + 0.5], axis=1
        )

    ways = []
    for scale in (1.0, 0.5):
        rig = make_rig(reference=lambda t: circling(t - 0.0))
        rig.positions = circling(np.zeros(1))[0]
        rig.begin()
        rig.run(2.0)
        rig.executor.set_speed(scale, rig.now_ns)
        before = rig.now_ns
        rig.reference = lambda t, r=rig, s=scale, b=before: circling(
            b * 1e-9
            + s * (r.requests[-1].sent_ns - b) * 1e-9
            + (t - r.requests[-1].sent_ns * 1e-9)
        )
        rig.run(1.0)
        way = [rig.tick().command.positions[0, :2] for _ in range(100)]
        assert {d.mode for d in rig.decisions[-100:]} == {Mode.RUNNING}
        ways.append(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        radius = np.linalg.norm(np.array(way) - [0.2, 0.0], axis=1)
        assert radius == pytest.approx(0.3, abs=0.04), "still on the circle"
    assert ways[1] / ways[0] == pytest.approx(0.5, abs=0.08)


def test_no_velocity_exceeds_its_share_of_the_limits(make_rig: Any, moving: Any) -> None:
    rig = make_rig(reference=lambda t: moving.reference(3 * t))
    rig.begin()
    rig.run(2.0)
    rig.executor.set_speed(0.2, rig.now_ns)
    rig.run(1.0)
    limits = np.array([column.velocity for column in rig.contract.action.columns])
    for _ in range(150):
        velocities = rig.tick().command.velocities
        assert (np.abs(velocities) <= 0.2 * limits * (1 + 1e-6)).all()


def test_at_zero_the_robot_rests_on_its_way_and_asks_nothing(moving: Any) -> None:
    moving.executor.set_speed(0.0, moving.now_ns)
    assert moving.run_to_rest() < 1.5
    sent = len(moving.requests)
    decisions = moving.run(2.0)
    assert decisions[-1].mode is Mode.HOLDING and decisions[-1].reason == "the speed scale is 0"
    assert len(moving.requests) == sent and moving.speed == 0.0
    assert moving.executor.snapshot(moving.now_ns).starved_ticks == 0, "nobody is late"


def test_it_goes_on_by_itself_when_the_speed_returns(moving: Any) -> None:
    moving.executor.set_speed(0.0, moving.now_ns)
    moving.run(2.0)
    moving.executor.set_speed(1.0, moving.now_ns)
    moving.run(2.0)
    assert moving.decisions[-1].mode is Mode.RUNNING


def test_a_task_that_begins_at_speed_zero_does_not_move(rig: Any) -> None:
    rig.executor.set_speed(0.0, 0)
    rig.begin()
    decisions = rig.run(1.0)
    assert all(d.command is None and d.request is None for d in decisions)
    rig.executor.set_speed(0.5, rig.now_ns)
    rig.run(1.0)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_the_judge_finds_no_fault_however_the_speed_changes(make_rig: Any, moving: Any) -> None:
    rig, rng = make_rig(reference=moving.reference), np.random.default_rng(4)
    rig.begin()
    for _ in range(60):
        rig.executor.set_speed(float(rng.choice([0.0, 0.1, 0.4, 0.8, 1.0])), rig.now_ns)
        rig.run(float(rng.uniform(0.02, 0.6)))
    rig.executor.set_speed(1.0, rig.now_ns)
    rig.run(3.0)
    assert rig.decisions[-1].mode is Mode.RUNNING


def test_the_knots_begin_where_the_observation_is(moving: Any) -> None:
    """A policy that continues the plan from now must find now's row under now's time."""
    moving.executor.set_speed(0.5, moving.now_ns)
    moving.run(4.0)
    for request in moving.requests[-2:]:
        rows = np.arange(len(request.prefix.values)) * request.prefix.step_ns
        times = request.prefix.start_ns + rows
        plan, pace = moving.executor._pilot.plan, moving.executor._pilot.pace
        assert times[0] <= request.sent_ns <= times[-1]
        assert plan is not None and pace.plan_ns(moving.now_ns) < moving.now_ns


def test_a_clock_that_is_set_while_slow_brakes_and_resumes(moving: Any) -> None:
    moving.executor.set_speed(0.5, moving.now_ns)
    moving.run(1.0)
    moving.now_ns += 5 * S
    moving.executor.clock_jumped(moving.now_ns)
    moving.judge.forget()
    moving.mail.clear()
    moving.run(4.0)
    assert moving.decisions[-1].mode is Mode.RUNNING
