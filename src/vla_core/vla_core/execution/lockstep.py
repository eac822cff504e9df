"""The whole closed loop in one thread and simulated time, with the executor of the live system.

For evaluation, training and tests without ROS: nothing waits, so it runs as fast as the plant and
the policy compute, and the result does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Contract
from vla_core.errors import VlaError
from vla_core.execution.executor import Executor
from vla_core.execution.modes import Mode
from vla_core.execution.values import Answer, Command, Decision, Request, Snapshot, Task
from vla_core.ports import Policy
from vla_core.types import ActionChunk, Observation

Array = NDArray[np.float64]

LEASE_PERIOD_NS = 200_000_000


class Plant(Protocol):
    """A simulated robot in its scene."""

    def positions(self) -> Array:
        """Return measured positions (A,) in the contract's order; NaN for velocity columns."""
        ...

    def observe(self, now_ns: int, instruction: str) -> Observation:
        """Return the observation as of now.

        Raises:
            ObservationError: there is none.
        """
        ...

    def advance(self, command: Command | None) -> None:
        """Let one tick pass; row 0 of the command is due at its end. None: hold."""
        ...


@dataclass(frozen=True)
class Lockstep:
    """How one closed loop went."""

    succeeded: bool | None  # None: nobody judged
    mode: Mode
    reason: str
    duration_s: float
    snapshot: Snapshot
    refusals: tuple[str, ...]  # chunks that were refused, inferences that failed


@dataclass
class _Mail:
    """Answers on their way: due time, request, chunk or the sentence why there is none."""

    items: list[tuple[int, Request, ActionChunk | str]] = field(default_factory=list)

    def due(self, now_ns: int) -> list[tuple[int, Request, ActionChunk | str]]:
        arrived = [item for item in self.items if item[0] <= now_ns]
        self.items = [item for item in self.items if item[0] > now_ns]
        return arrived


def run_lockstep(
    executor: Executor,
    contract: Contract,
    task: Task,
    policy: Policy,
    plant: Plant,
    *,
    time_limit_s: float,
    latency_s: Callable[[], float] = lambda: 0.0,
    is_done: Callable[[], bool] | None = None,
    on_tick: Callable[[int, Decision], None] | None = None,
    start_ns: int = 0,
) -> Lockstep:
    """Run one task until it is done, stopped, or out of time.

    Args:
        executor: active, without a task.
        contract: the robot's.
        task: what to do; its horizon and step must be the policy's.
        policy: asked whenever the executor asks.
        plant: the simulated robot.
        time_limit_s: simulated seconds.
        latency_s: how long each answer takes [s].
        is_done: whether the task has succeeded; None: run to the limit.
        on_tick: sees each tick and its decision.
        start_ns: time of the first tick; later than any the executor has seen.
    """
    mail, refusals, step_ns = _Mail(), list[str](), contract.step_ns
    names = [entry for _, entry in contract.measurements.values()]
    index = [contract.columns.index(column) for column in contract.measurements]
    executor.reset(start_ns)  # the scene may be another one: start where the robot is
    executor.begin_task(task, start_ns)
    now_ns, end_ns = start_ns, start_ns + round(time_limit_s * 1e9)
    next_lease_ns, succeeded = start_ns, None if is_done is None else False
    while now_ns < end_ns:
        if now_ns >= next_lease_ns:
            executor.renew_lease(task.task_id, now_ns)
            next_lease_ns += LEASE_PERIOD_NS
        executor.measure(names, plant.positions()[index].tolist(), now_ns, now_ns)
        refusals += _deliver(executor, mail, now_ns)
        decision = executor.tick(now_ns)
        if decision.request is not None:
            answer = _answer(policy, plant, decision.request, now_ns)
            mail.items.append((now_ns + round(latency_s() * 1e9), decision.request, answer))
        if on_tick is not None:
            on_tick(now_ns, decision)
        plant.advance(decision.command)
        now_ns += step_ns
        if is_done is not None and is_done():
            succeeded = True
            break
        if executor.is_stopped:
            break
    snapshot = executor.snapshot(now_ns)
    executor.end_task("over", now_ns)
    return Lockstep(
        succeeded,
        snapshot.mode,
        snapshot.reason,
        (now_ns - start_ns) * 1e-9,
        snapshot,
        tuple(refusals),
    )


def _deliver(executor: Executor, mail: _Mail, now_ns: int) -> list[str]:
    refusals = []
    for _, request, content in mail.due(now_ns):
        if isinstance(content, str):
            executor.fail(request.request_id, request.epoch, request.policy, content, now_ns)
            refusals.append(content)
            continue
        try:
            answer = Answer(request.request_id, request.epoch, request.policy, content)
            executor.accept(answer, now_ns)
        except VlaError as error:
            refusals.append(str(error))
    return refusals


def _answer(policy: Policy, plant: Plant, request: Request, now_ns: int) -> ActionChunk | str:
    try:
        prefix = request.prefix if policy.spec.accepts_prefix else None
        return policy.infer(plant.observe(now_ns, request.instruction), prefix)
    except VlaError as error:
        return str(error)
