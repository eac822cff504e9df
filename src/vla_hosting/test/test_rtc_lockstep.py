"""The executor's real plan, continued: request, knots, alignment, sampler, join."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.execution import Decision, Execution, Executor, Task, run_lockstep
from vla_core.types import Observation
from vla_hosting.loading import load_policy
from vla_testing.flow_policy import ROWS, STEP_NS

LATENCY_S, DURATION_S = 0.15, 4.0


class Obedient:
    """A robot that is where it was told to be."""

    def __init__(self) -> None:
        self._joints = np.zeros(3)

    def positions(self) -> NDArray[np.float64]:
        return self._joints

    def observe(self, now_ns: int, instruction: str) -> Observation:
        return Observation(now_ns, {}, {"joints": self._joints.copy()}, instruction)

    def advance(self, command: Any) -> None:
        if command is not None:
            self._joints = command.positions[0].copy()


def gaps(contract: Contract, configure: Any, root: Any, method: str, join: str) -> list[float]:
    """Return how far each new plan was from the old one over some seconds."""
    uri = "scripted:vla_testing.flow_policy:FlowPolicy"
    policy = load_policy(configure(uri, options={"method": method}), contract, root)
    accepts = policy.spec.accepts_prefix
    execution = Execution(join=join, smoothing_rows=0.0)  # type: ignore[arg-type]
    task = Task("t", "go", "p", contract.columns, ROWS, STEP_NS, 8, execution, accepts)
    executor = Executor(contract)
    executor.activate(0)
    found: dict[int, float] = {}

    def note(now_ns: int, decision: Decision) -> None:
        snapshot = executor.snapshot(now_ns)
        if snapshot.chunks_accepted > 3:  # the latency is known by then
            found[snapshot.chunks_accepted] = snapshot.seam_gap

    plant = Obedient()
    result = run_lockstep(
        executor,
        contract,
        task,
        policy,
        plant,
        time_limit_s=DURATION_S,
        latency_s=lambda: LATENCY_S,
        on_tick=note,
    )
    assert not result.refusals and result.snapshot.starved_ticks == 0
    assert len(found) > 4
    return list(found.values())


@pytest.mark.parametrize("method", ["jacobian", "identity", "trained"])
def test_plans_that_are_continued_agree_better_than_plans_that_are_not(
    contract: Contract, configure: Any, root: Any, method: str
) -> None:
    alone = np.mean(gaps(contract, configure, root, "none", "replace"))
    continued = np.mean(gaps(contract, configure, root, method, "rtc"))
    assert continued < 0.6 * alone, f"{continued:.4f} against {alone:.4f}"
