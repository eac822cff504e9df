"""Runs the core's executor again on what a bag recorded, and compares the commands.

Inputs are the recorded measurements, chunks, failures and stops at the recorded ticks. A
bag tells when a message arrived at the recorder, not between which two ticks it reached the
executor: where the commands differ, inputs nearby are moved by a tick or two until they agree. So
a faithful core gives every command again, to the last bit; one that decides otherwise cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from vla_core.contract import Contract, PolicyConfig, parse_contract, parse_policy_config
from vla_core.errors import ChunkError, ConfigurationError
from vla_core.execution import (
    Answer,
    Command,
    Decision,
    Execution,
    Executor,
    Request,
    Task,
)
from vla_core.types import ActionChunk
from vla_data.recording import Recording
from vla_data.records import DEGRADED, RUNNING, Chunk, Failure
from vla_data.records import Command as Recorded
from vla_data.robot import merge_texts

Times = NDArray[np.int64]

NEAR = 3  # ticks around a difference in which inputs may be moved
MOVES = (-1, 1, -2, 2, -3, 3, -4, 4)  # half ticks: before which tick, and how long before it
MOST_RUNS = 400
AHEAD = 12  # commands that must agree after a difference before a move is taken for right
LEASE_NS = 200_000_000
SILENCE_NS = 100_000_000  # a longer pause of an executor that plays is not one of ticks


@dataclass(frozen=True)
class Difference:
    """The first command that came out otherwise."""

    stamp_ns: int
    what: str

    def __str__(self) -> str:
        return f"at {self.stamp_ns / 1e9:.3f} s: {self.what}"


@dataclass(frozen=True, eq=False)
class Replay:
    """What came out."""

    commands: Sequence[Command]
    compared: int  # recorded commands that came out again, up to the first difference
    recorded: int
    difference: Difference | None  # None: every command is the same
    moved: int  # inputs that were moved by a tick or two

    @property
    def is_exact(self) -> bool:
        """Whether every recorded command came out again."""
        return self.difference is None and self.compared == self.recorded


class _Session:
    """An executor in its second life, and what it asked for."""

    def __init__(self, contract: Contract, boot_id: int, now_ns: int) -> None:
        self.executor = Executor(contract, boot_id=boot_id)
        self.executor.activate(now_ns)
        self.boot_id = boot_id
        self.task_id = ""
        self._asked: dict[int, Request] = {}  # by the tick

    def begin(self, task: Task, now_ns: int) -> None:
        self.executor.end_task("replaced", now_ns)
        self.executor.begin_task(task, now_ns)
        self.task_id = task.task_id

    def tick(self, now_ns: int) -> Decision:
        decision = self.executor.tick(now_ns)
        if decision.request is not None:
            self._asked[now_ns] = decision.request
        return decision

    def answer(self, chunk: Chunk, sent_ns: int, now_ns: int) -> None:
        """Hand in a recorded chunk as the answer to what was asked at the same tick."""
        request = self._asked.get(sent_ns)
        if request is None:
            return
        rows = (chunk.values, chunk.start_ns, chunk.step_ns, chunk.columns, chunk.prefix_rows)
        answer = Answer(request.request_id, request.epoch, chunk.policy, ActionChunk(*rows))
        # Refused live or not: the commands will tell.
        with suppress(ChunkError):
            self.executor.accept(answer, now_ns)

    def fail(self, failure: Failure, sent_ns: int, now_ns: int) -> None:
        """Hand in a recorded failure as the answer to what was asked at the same tick."""
        request = self._asked.get(sent_ns)
        if request is not None:
            asked = (request.request_id, request.epoch, failure.policy)
            self.executor.fail(*asked, failure.message, now_ns)


@dataclass(frozen=True, eq=False)
class _Input:
    """Something that reached the executor; ``at_ns`` is ROS time."""

    at_ns: int
    kind: str
    apply: Callable[[_Session, int], None]
    boot_id: int = 0  # of the executor that began a task


def replay(
    recording: Recording | Path, contract: Contract | None = None, tolerance: float = 0.0
) -> Replay:
    """Run the core on a recording.

    Args:
        recording: a bag, or what was read of it.
        contract: another than the recorded one, to see what it changes.
        tolerance: by how much a number may differ; 0: not by a bit. For a bag of another machine,
            whose libm and numpy may round otherwise.

    Raises:
        ConfigurationError: the bag lacks the contract or the policy's file.
    """
    if isinstance(recording, Path):
        recording = Recording(recording)
    if contract is None:
        contract = parse_contract(merge_texts(recording.texts["contract"]), "recorded contract")
    script = _Script(recording, contract, tolerance)
    offsets: Times = np.zeros(len(script.inputs), np.int64)
    best = script.run(offsets)
    runs = 1
    while best.difference is not None and runs < MOST_RUNS:
        better, tried, moved = _repaired(script, offsets, best)
        runs += tried
        if better is None:
            break
        best, offsets = better, moved
    return replace(best, moved=int(np.count_nonzero(offsets)))


def _repaired(script: _Script, offsets: Times, best: Replay) -> tuple[Replay | None, int, Times]:
    """Return the best run with one input near the difference moved, if it gets further."""
    assert best.difference is not None
    found: tuple[Replay | None, Times] = (None, offsets)
    reached, tried = best.difference.stamp_ns, 0
    for number in script.near(best.difference.stamp_ns, offsets):
        for move in MOVES:
            other = offsets.copy()
            other[number] += move
            outcome = script.run(other, limit=best.compared + AHEAD)
            tried += 1
            if outcome.difference is None:
                return script.run(other), tried + 1, other
            if outcome.difference.stamp_ns > reached:
                reached, found = outcome.difference.stamp_ns, (outcome, other)
    return found[0], tried, found[1]


class _Script:
    """A recording as inputs and ticks."""

    def __init__(self, recording: Recording, contract: Contract, tolerance: float) -> None:
        self._recording, self._contract = recording, contract
        self._tolerance = tolerance
        self._step_ns = contract.step_ns
        self._configs = _policy_configs(recording)
        begun = list(self._begun())
        if not begun:
            raise ConfigurationError(f"bag {recording.path} has no request of an executor")
        self.inputs = sorted([*begun, *self._others()], key=lambda each: each.at_ns)
        self._recorded = self._by_stamp()
        self._ticks = self._tick_times(min(each.at_ns for each in begun))
        self._asked = {request.sent_ns for request in recording.requests}
        at = np.array([each.at_ns for each in self.inputs], np.int64)
        # Before which tick, in halves: odd is half a step before it, even a whole one.
        self._places = 2 * np.searchsorted(self._ticks, at, side="right") + 1

    def near(self, stamp_ns: int, offsets: Times) -> list[int]:
        """Return the inputs close to a tick, those first that change most."""
        tick = int(np.searchsorted(self._ticks, stamp_ns))
        close = np.flatnonzero(np.abs((self._places + offsets) // 2 - tick) <= NEAR)
        order = {"chunk": 0, "fail": 1, "end": 2, "begin": 3, "stop": 4, "measure": 5}
        wanted = [int(i) for i in close if self.inputs[i].kind in order]
        return sorted(
            wanted, key=lambda i: (order[self.inputs[i].kind], abs(self._places[i] // 2 - tick))
        )

    def run(self, offsets: Times, limit: int | None = None) -> Replay:
        """Run the executor until the first difference, or a number of equal commands."""
        session: _Session | None = None
        places = np.clip(self._places + offsets, 0, 2 * len(self._ticks) + 1)
        order = np.lexsort((np.arange(len(places)), places))
        following, commands = 0, list[Command]()
        difference: Difference | None = None
        for index, now in enumerate(self._ticks.tolist()):
            while following < len(order) and places[order[following]] < 2 * index + 2:
                number = order[following]
                each, half = self.inputs[number], places[number] % 2
                following += 1
                if each.kind == "begin" and (session is None or session.boot_id != each.boot_id):
                    session = self._new_session(each.boot_id, now)
                if session is not None:
                    each.apply(session, now - self._step_ns + half * (self._step_ns // 2))
            if session is None:
                continue
            decision = session.tick(now)
            difference = self._difference(now, decision)
            if difference is not None:
                break
            if decision.command is not None:
                commands.append(decision.command)
            if limit is not None and len(commands) >= limit:
                break
        return Replay(commands, len(commands), len(self._recorded), difference, 0)

    def _difference(self, now: int, decision: Decision) -> Difference | None:
        if (decision.request is not None) != (now in self._asked):
            asked = "asked for a chunk" if decision.request else "did not ask for a chunk"
            return Difference(now, f"{asked}, recorded was otherwise")
        return self._command_difference(now, decision.command, self._recorded.get(now))

    def _command_difference(
        self, now: int, command: Command | None, recorded: Mapping[str, Recorded] | None
    ) -> Difference | None:
        if command is None or recorded is None:
            if command is None and recorded is None:
                return None
            missing = "no command, recorded was one" if command is None else "a command too many"
            return Difference(now, missing)
        for name, other in recorded.items():
            columns = [
                self._contract.columns.index(c) for c in self._contract.outputs[name].columns
            ]
            pairs = [
                ("positions", command.positions, other.positions),
                ("velocities", command.velocities, other.velocities),
                ("accelerations", command.accelerations, other.accelerations),
            ]
            for field, ours, theirs in pairs:
                mine = ours[:, columns]
                if mine.shape != theirs.shape:
                    return Difference(now, f"{len(mine)} rows, recorded were {len(theirs)}")
                # NaN is within no tolerance.
                if not (np.abs(mine - theirs) <= self._tolerance).all():
                    worst = float(np.abs(mine - theirs).max())
                    return Difference(now, f"{field} of '{name}' differ by up to {worst:.3g}")
        return None

    def _is_trajectory(self, output: str) -> bool:
        return self._contract.outputs[output].type == "trajectory_msgs/msg/JointTrajectory"

    def _by_stamp(self) -> dict[int, dict[str, Recorded]]:
        found: dict[int, dict[str, Recorded]] = {}
        for name, commands in self._recording.commands.items():
            if not self._is_trajectory(name):
                continue  # no stamps: cannot be told apart by tick
            for command in commands:
                found.setdefault(command.stamp_ns, {})[name] = command
        return found

    def _tick_times(self, first_ns: int) -> Times:
        """Return when the executor ticked: each command's stamp, and each step of a silence."""
        step = self._step_ns
        stamps = sorted(stamp for stamp in self._recorded if stamp >= first_ns)
        end = max([self._recording.states[-1].stamp_ns, *stamps], default=first_ns)
        begin = -(-first_ns // step) * step
        edges = [begin - step, *stamps, end + step]
        ticks = set(stamps)
        for before, after in pairwise(edges):
            if after - before > step and self._is_silent(before, after):
                ticks.update(range(before + step, after, step))
        return np.array(sorted(ticks), np.int64)

    def _is_silent(self, before: int, after: int) -> bool:
        """Whether an executor that ticked had nothing to say, rather than being held up."""
        states = [s for s in self._recording.states if before < s.stamp_ns < after]
        if states:
            return all(state.mode not in (RUNNING, DEGRADED) for state in states)
        return after - before < SILENCE_NS and self._mode_at(before) not in (RUNNING, DEGRADED)

    def _mode_at(self, at_ns: int) -> int | None:
        state = self._recording.state_at(at_ns)
        return state.mode if state else None

    def _begun(self) -> Iterator[_Input]:
        """Yield the begin of each task: just before the tick of its first request."""
        seen: set[tuple[int, int]] = set()
        for request in sorted(self._recording.requests, key=lambda r: r.sent_ns):
            if request.epoch in seen:
                continue
            seen.add(request.epoch)
            task = self._task(request.policy, request.instruction, f"epoch {request.epoch}")

            def begin(session: _Session, now: int, task: Task = task) -> None:
                session.begin(task, now)

            yield _Input(request.sent_ns - 1, "begin", begin, request.epoch[0])

    def _task(self, policy: str, instruction: str, task_id: str) -> Task:
        config = self._configs.get(policy)
        if config is None:
            raise ConfigurationError(
                f"bag {self._recording.path} lacks the file of policy '{policy}'; "
                f"it has {sorted(self._configs)}. Record with policy_files."
            )
        chunk = next((c for c in self._recording.chunks if c.policy == policy), None)
        if chunk is None:
            raise ConfigurationError(f"bag {self._recording.path} has no chunk of '{policy}'")
        return Task(
            task_id=task_id,
            instruction=instruction,
            policy=policy,
            columns=self._contract.columns,
            horizon=len(chunk.values),
            step_ns=chunk.step_ns,
            horizon_rows=config.execution.horizon_rows,
            execution=Execution.of(config.execution),
            accepts_prefix=True,  # whether it did was checked when it was recorded
        )

    def _others(self) -> Iterator[_Input]:
        recording, clock = self._recording, self._recording.clock
        sent = {(r.epoch, r.request_id): r.sent_ns for r in recording.requests}
        for chunk in recording.chunks:
            at = sent.get((chunk.epoch, chunk.request_id), 0)
            yield _Input(clock.to_ros(chunk.arrived_ns), "chunk", _answer(chunk, at))
        for failure in recording.failures:
            at = sent.get((failure.epoch, failure.request_id), 0)
            yield _Input(clock.to_ros(failure.arrived_ns), "fail", _fail(failure, at))
        for task in recording.tasks:
            yield _Input(task.end_ns, "end", _end)
        for stopped, reason in recording.stops:
            yield _Input(stopped, "stop", _stop(reason))
        for series in recording.series.values():
            rows = zip(series.stamps_ns.tolist(), series.arrived_ns.tolist(), strict=True)
            for row, (stamp, arrived) in enumerate(rows):
                tell = _measure(series.entries, series.values[row].tolist(), stamp)
                yield _Input(clock.to_ros(arrived), "measure", tell)
        # The lease was the router's business: it is renewed as often as it takes.
        first, last = recording.states[0].stamp_ns, recording.states[-1].stamp_ns
        for at in range(first, last, LEASE_NS):
            yield _Input(at, "lease", _renew)

    def _new_session(self, boot_id: int, now: int) -> _Session:
        """Return a new executor that has heard the newest measurements.

        If the recorder came later than the executor, its first ones have to do.
        """
        session = _Session(self._contract, boot_id, now - self._step_ns)
        for series in self._recording.series.values():
            if len(series.stamps_ns):
                row = max(0, int(np.searchsorted(series.stamps_ns, now, side="right")) - 1)
                stamp = min(now, int(series.stamps_ns[row]))
                values = series.values[row].tolist()
                session.executor.measure(series.entries, values, stamp, now)
        return session


def _answer(chunk: Chunk, sent_ns: int) -> Callable[[_Session, int], None]:
    return lambda session, now: session.answer(chunk, sent_ns, now)


def _fail(failure: Failure, sent_ns: int) -> Callable[[_Session, int], None]:
    return lambda session, now: session.fail(failure, sent_ns, now)


def _measure(
    entries: Sequence[str], row: Sequence[float], stamp: int
) -> Callable[[_Session, int], None]:
    return lambda session, now: session.executor.measure(entries, row, stamp, now)


def _stop(reason: str) -> Callable[[_Session, int], None]:
    return lambda session, now: session.executor.stop(reason, now)


def _end(session: _Session, now: int) -> None:
    session.executor.end_task("ended", now)


def _renew(session: _Session, now: int) -> None:
    session.executor.renew_lease(session.task_id, now)


def _policy_configs(recording: Recording) -> dict[str, PolicyConfig]:
    configs = [
        parse_policy_config(yaml.safe_load(text), "recorded policy file")
        for text in recording.texts["policy"]
    ]
    return {config.name: config for config in configs}
