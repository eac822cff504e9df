"""Whatever happens, in any order: the judge in the rig checks every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vla_core.errors import VlaError
from vla_core.execution import Mode

MS = 1_000_000
S = 1_000_000_000
STEP = 20 * MS

TICKS = 250
EXAMPLES = 45  # times TICKS and the recovery after them: 20,000 ticks in the fast suite
MANY = 4000  # a million with --all


class Weather:
    """Random trouble for one run, drawn from one seed so that a failure can be repeated."""

    def __init__(self, seed: int, wildness: float, join: str, synchronous: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.wildness = wildness
        self.join, self.synchronous = join, synchronous
        self.latency_s = float(self.rng.uniform(0.0, 0.6))
        self.drop, self.double, self.fail, self.spoil = self.rng.uniform(0, 0.3, 4)
        self.jitter = float(self.rng.choice([0.0, 0.0, 0.1, 0.5]))

    def reference(self, times_s: Any) -> Any:
        """Rows from gentle to wild: smooth waves, noise, steps."""
        rng, wild = self.rng, self.wildness
        waves = np.sin(times_s[:, None] * rng.uniform(0.2, 3 + 3 * wild, 4) + rng.uniform(0, 6))
        rows = waves * np.array([1.2, 1.5, 0.4, 0.5]) * (0.3 + 0.6 * wild)
        rows += np.array([0.2, 0.0, 0.0, 0.5])
        rows += rng.normal(0.0, 0.02 * wild, rows.shape)
        if rng.random() < 0.3 * wild:
            rows[rng.integers(len(rows)) :] += rng.uniform(-0.3, 0.3, 4)
        return rows

    def step_ns(self) -> int:
        """Time until the next tick: mostly one step, sometimes early, late or missing."""
        if self.rng.random() >= self.jitter:
            return STEP
        return round(STEP * float(self.rng.choice([0.3, 0.9, 1.1, 2.0, 4.7, 12.0])))


def strike(rig: Any, weather: Weather) -> None:
    """Let one thing happen that the executor did not ask for."""
    rng, executor, now = weather.rng, rig.executor, rig.now_ns
    kind = rng.integers(12)
    if kind == 0:
        executor.stop("test", now)
    elif kind == 1:
        executor.reset(now)
        rig.judge.forget() if not rig.decisions or rig.decisions[-1].at_rest else None
    elif kind == 2:
        executor.end_task("test", now)
    elif kind == 3:
        offset = int(rng.choice([-3 * S, -200 * MS, 300 * MS, 10 * S]))
        rig.now_ns += offset
        rig.mail = [(due + offset, request) for due, request in rig.mail]
        executor.clock_jumped(rig.now_ns)
        rig.judge.forget()
    elif kind == 4:
        rig.is_leasing = not rig.is_leasing
    elif kind == 5 and rig.requests:
        rig.deliver(rig.requests[int(rng.integers(len(rig.requests)))])
    elif kind == 6 and rig.mail:
        rng.shuffle(rig.mail)
        rig.mail = [(now + int(rng.integers(400)) * MS, request) for _, request in rig.mail]
    elif kind == 7:
        rig.is_measuring = not rig.is_measuring
    elif kind == 8:
        executor.deactivate(now)
    elif kind == 9 and rig.requests:
        last = rig.requests[-1]
        executor.fail(last.request_id, last.epoch, last.policy, "test", now)
    else:
        weather.latency_s = float(rng.uniform(0.0, 1.0))


def post(rig: Any, weather: Weather, request: Any) -> None:
    """Send an answer that may be lost, doubled, spoiled or late."""
    rng = weather.rng
    latency_ns = round(weather.latency_s * float(rng.lognormal(0.0, 0.3)) * S)
    rig.mail.append((rig.now_ns + latency_ns, request))
    if rng.random() < weather.drop:
        rig.mail.pop()
    elif rng.random() < weather.double:
        rig.mail.append((rig.now_ns + latency_ns + 30 * MS, request))


def restart(rig: Any, weather: Weather) -> None:
    """Try to get going again, as a router and a supervisor would."""
    executor = rig.executor
    if executor.is_stopped and weather.rng.random() < 0.1:
        executor.reset(rig.now_ns)
    try:
        if executor.snapshot(rig.now_ns).task_id == "":
            executor.activate(rig.now_ns)
            rig.begin(execution={"join": weather.join, "synchronous": weather.synchronous})
    except VlaError:
        pass


def run(rig: Any, weather: Weather, ticks: int) -> None:
    rig.reference, rig.is_answering = weather.reference, False
    rig.positions = np.array([0.2, 0.0, 0.0, 0.5])
    rig.now_ns = 20 * S
    for _ in range(ticks):
        restart(rig, weather)
        if weather.rng.random() < 0.04:
            strike(rig, weather)
        decision = rig.tick(weather.step_ns())
        if decision.request is not None:
            post(rig, weather, decision.request)


def check(make_rig: Callable[..., Any], seed: int, wildness: float, join: str, sync: bool) -> None:
    weather = Weather(seed, wildness, join, sync)
    rig = make_rig()
    run(rig, weather, TICKS)
    # Every hold ends when fresh chunks come.
    rig.executor.reset(rig.now_ns)
    rig.is_leasing = rig.is_measuring = rig.is_answering = True
    rig.reference = lambda t: np.tile([0.2, 0.0, 0.0, 0.5], (len(t), 1))
    rig.latency_ns = 100 * MS
    rig.mail.clear()
    rig.run_to_rest()
    rig.tick()
    rig.executor.activate(rig.now_ns)
    rig.begin(execution={"join": join})
    decisions = rig.run(4.0)
    assert any(d.mode is Mode.RUNNING for d in decisions), decisions[-1].reason


SEEDS = st.integers(0, 2**32 - 1)
WILDNESS = st.sampled_from([0.0, 0.3, 1.0])
JOINS = st.sampled_from(["replace", "blend"])
LENIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(seed=SEEDS, wildness=WILDNESS, join=JOINS, sync=st.booleans())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=LENIENT, derandomize=True)
def test_no_weather_breaks_a_limit(
    make_rig: Callable[..., Any], seed: int, wildness: float, join: str, sync: bool
) -> None:
    check(make_rig, seed, wildness, join, sync)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(seed=SEEDS, wildness=WILDNESS, join=JOINS, sync=st.booleans())
@settings(max_examples=MANY, deadline=None, suppress_health_check=LENIENT)
def test_no_weather_breaks_a_limit_in_a_million_ticks(
    make_rig: Callable[..., Any], seed: int, wildness: float, join: str, sync: bool
) -> None:
    check(make_rig, seed, wildness, join, sync)
