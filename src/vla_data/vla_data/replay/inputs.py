"""What reached the executor, as inputs that can be handed to another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import yaml

from vla_core.contract import Contract, PolicyConfig, parse_policy_config
from vla_core.errors import ConfigurationError
from vla_core.execution import Execution, Task
from vla_data.recording import Recording
from vla_data.records import Chunk, Failure, Request
from vla_data.replay.session import Session

LEASE_NS = 200_000_000
Apply = Callable[[Session, int], None]


@dataclass(frozen=True, eq=False)
class Input:
    """Something that reached the executor; ``at_ns`` is ROS time."""

    at_ns: int
    kind: str
    apply: Apply
    boot_id: int = 0  # of the executor that began a task


def begun(recording: Recording, contract: Contract) -> Iterator[Input]:
    """Yield the begin of each task: just before the tick of its first request.

    Raises:
        ConfigurationError: the bag lacks a policy's file, or its chunks.
    """
    configs = _policy_configs(recording)
    seen: set[tuple[int, int]] = set()
    for request in sorted(recording.requests, key=lambda r: r.sent_ns):
        if request.epoch in seen:
            continue
        seen.add(request.epoch)
        task = _task(request, recording, contract, configs)

        def begin(session: Session, now: int, task: Task = task) -> None:
            session.begin(task, now)

        yield Input(request.sent_ns - 1, "begin", begin, request.epoch[0])


def _task(
    request: Request, recording: Recording, contract: Contract, configs: dict[str, PolicyConfig]
) -> Task:
    policy = request.policy
    config = configs.get(policy)
    if config is None:
        raise ConfigurationError(
            f"bag {recording.path} lacks the file of policy '{policy}'; "
            f"it has {sorted(configs)}. Record with policy_files."
        )
    chunk = next((c for c in recording.chunks if c.policy == policy), None)
    if chunk is None:
        raise ConfigurationError(f"bag {recording.path} has no chunk of '{policy}'")
    return Task(
        task_id=f"epoch {request.epoch}",
        instruction=request.instruction,
        policy=policy,
        columns=contract.columns,
        horizon=len(chunk.values),
        step_ns=chunk.step_ns,
        horizon_rows=config.execution.horizon_rows,
        execution=Execution.of(config.execution),
        accepts_prefix=True,  # whether it did was checked when it was recorded
    )


def others(recording: Recording) -> Iterator[Input]:
    """Yield everything else: answers, ends, stops, measurements, and a lease that holds."""
    clock = recording.clock
    sent = {(r.epoch, r.request_id): r.sent_ns for r in recording.requests}
    for chunk in recording.chunks:
        at = sent.get((chunk.epoch, chunk.request_id), 0)
        yield Input(clock.to_ros(chunk.arrived_ns), "chunk", _answer(chunk, at))
    for failure in recording.failures:
        at = sent.get((failure.epoch, failure.request_id), 0)
        yield Input(clock.to_ros(failure.arrived_ns), "fail", _fail(failure, at))
    for task in recording.tasks:
        yield Input(task.end_ns, "end", _end)
    for stopped, reason in recording.stops:
        yield Input(stopped, "stop", _stop(reason))
    for series in recording.series.values():
        rows = zip(series.stamps_ns.tolist(), series.arrived_ns.tolist(), strict=True)
        for row, (stamp, arrived) in enumerate(rows):
            tell = _measure(series.entries, series.values[row].tolist(), stamp)
            yield Input(clock.to_ros(arrived), "measure", tell)
    # The lease was the router's business: it is renewed as often as it takes.
    first, last = recording.states[0].stamp_ns, recording.states[-1].stamp_ns
    for at in range(first, last, LEASE_NS):
        yield Input(at, "lease", _renew)


def _answer(chunk: Chunk, sent_ns: int) -> Apply:
    return lambda session, now: session.answer(chunk, sent_ns, now)


def _fail(failure: Failure, sent_ns: int) -> Apply:
    return lambda session, now: session.fail(failure, sent_ns, now)


def _measure(entries: Sequence[str], row: Sequence[float], stamp: int) -> Apply:
    return lambda session, now: session.executor.measure(entries, row, stamp, now)


def _stop(reason: str) -> Apply:
    return lambda session, now: session.executor.stop(reason, now)


def _end(session: Session, now: int) -> None:
    session.executor.end_task("ended", now)


def _renew(session: Session, now: int) -> None:
    session.executor.renew_lease(session.task_id, now)


def _policy_configs(recording: Recording) -> dict[str, PolicyConfig]:
    configs = [
        parse_policy_config(yaml.safe_load(text), "recorded policy file")
        for text in recording.texts["policy"]
    ]
    return {config.name: config for config in configs}
