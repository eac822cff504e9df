"""The closed loop without ROS, with the live executor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vla_core.contract import Contract
from vla_core.errors import InferenceError
from vla_core.execution import Executor, Mode, Task, run_lockstep
from vla_core.ports import PolicySpec
from vla_core.types import ActionChunk, Observation

MS = 1_000_000
ROW = 50 * MS


class Table:
    """A robot that obeys at once."""

    def __init__(self) -> None:
        self.state = np.array([0.2, 0.0, np.nan, 0.5])

    def positions(self) -> Any:
        return self.state

    def observe(self, now_ns: int, instruction: str) -> Observation:
        return Observation(now_ns, {}, {"joints": self.state[[0, 1, 3]]}, instruction)

    def advance(self, command: Any) -> None:
        if command is not None:
            self.state[[0, 1, 3]] = command.positions[0, [0, 1, 3]]


class Reaching:
    """Goes to 0.8 on a straight line from where the robot is observed."""

    spec = PolicySpec("p", {}, {}, (), (), 32, ROW)

    def __init__(self, contract: Contract, failing: bool = False) -> None:
        self.columns, self.failing = contract.columns, failing

    def infer(self, observation: Observation, prefix: Any = None) -> ActionChunk:
        assert prefix is None or self.spec.accepts_prefix
        if self.failing:
            raise InferenceError("no idea")
        lift, turn, grip = observation.state["joints"]
        way = np.minimum(lift + 0.03 * np.arange(32), 0.8)
        rows = np.stack([way, way * 0 + turn, way * 0, way * 0 + grip], axis=1)
        return ActionChunk(rows, observation.as_of_ns, ROW, self.columns)

    def reset(self) -> None: ...

    def close(self) -> None: ...


def run(contract: Contract, executor: Executor, plant: Table, **changes: Any) -> Any:
    policy = changes.pop("policy", Reaching(contract))
    task = Task("t", "up", "p", contract.columns, 32, ROW, 16)
    values = {"time_limit_s": 10.0, "is_done": lambda: plant.state[0] > 0.79, **changes}
    return run_lockstep(executor, contract, task, policy, plant, **values)


@pytest.fixture
def executor(contract: Contract) -> Executor:
    executor = Executor(contract)
    executor.activate(0)
    return executor


@pytest.mark.parametrize("latency_s", [0.0, 0.1, 0.4])
def test_reaches_the_goal(contract: Contract, executor: Executor, latency_s: float) -> None:
    result = run(contract, executor, Table(), latency_s=lambda: latency_s)
    assert result.succeeded and result.mode is Mode.RUNNING
    assert result.snapshot.starved_ticks == 0
    assert result.refusals == ()
    assert 1.0 < result.duration_s < 4.0


def test_is_the_same_every_time(contract: Contract) -> None:
    durations = set()
    for _ in range(3):
        executor = Executor(contract)
        executor.activate(0)
        durations.add(run(contract, executor, Table(), latency_s=lambda: 0.15).duration_s)
    assert len(durations) == 1


def test_a_policy_that_fails_ends_at_the_time_limit(
    contract: Contract, executor: Executor
) -> None:
    result = run(
        contract,
        executor,
        Table(),
        policy=Reaching(contract, failing=True),
        time_limit_s=2.0,
    )
    assert result.succeeded is False and result.duration_s == pytest.approx(2.0)
    assert set(result.refusals) == {"no idea"}
    assert "no idea" in result.reason


def test_one_executor_does_many_episodes(contract: Contract, executor: Executor) -> None:
    start_ns = 0
    for _ in range(3):
        result = run(contract, executor, Table(), start_ns=start_ns)
        assert result.succeeded
        start_ns += round(result.duration_s * 1e9) + 5_000_000_000


def test_sees_every_tick(contract: Contract, executor: Executor) -> None:
    seen: list[int] = []
    result = run(contract, executor, Table(), on_tick=lambda now, _: seen.append(now))
    assert np.diff(seen).tolist() == [20 * MS] * (len(seen) - 1)
    assert len(seen) * 0.02 == pytest.approx(result.duration_s)


def test_a_policy_that_cannot_continue_a_plan_is_not_given_one(
    contract: Contract, executor: Executor
) -> None:
    given = []

    class Continuing(Reaching):
        spec = replace(Reaching.spec, accepts_prefix=True)

        def infer(self, observation: Observation, prefix: Any = None) -> ActionChunk:
            given.append(prefix)
            return super().infer(observation, prefix)

    result = run(contract, executor, Table(), policy=Continuing(contract))
    assert result.succeeded
    assert given[0] is None and given[-1] is not None
