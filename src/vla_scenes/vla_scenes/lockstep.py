"""Episodes through the core's executor in simulated time: its plan, joins, limits and requests.

The same decisions as in the live stack, without processes and faster than real time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract import Contract
from vla_core.errors import ChunkError
from vla_core.execution import Answer, Execution, Executor, Request, Snapshot, Task
from vla_core.ports import Policy
from vla_core.types import NS_PER_S, ActionChunk
from vla_scenes.episode import EpisodeResult, observe
from vla_scenes.tabletop import TabletopScene

# Simulated time starts here: the executor's clock is never near zero.
START_NS = 1_000 * NS_PER_S


@dataclass(frozen=True, eq=False)
class Executed:
    """How an episode went, and what the executor says about it."""

    result: EpisodeResult
    executor: Snapshot
    refusals: tuple[str, ...]  # sentences of chunks that the executor did not take


def run_executed(
    policy: Policy,
    contract: Contract,
    scene: TabletopScene,
    seed: int,
    instruction: str,
    latency_s: float = 0.0,
    max_s: float = 15.0,
    *,
    execution: Execution | None = None,
    horizon_rows: int | None = 16,
    judged_by: str | None = None,
) -> Executed:
    """Run a policy through an executor until the task is done or time is up.

    Args:
        policy: gives chunks; sees exactly the streams its spec names.
        contract: the robot's, with its limits and tick.
        scene: reset to ``seed`` first; the caller closes it.
        seed: the layout.
        instruction: what the policy is told.
        latency_s: simulated time from request to answer.
        max_s: simulated time after which the episode has failed.
        execution: how chunks are played and joined.
        horizon_rows: rows played before the next chunk is due; None: all.
        judged_by: instruction that decides success, if it is not the one told.
    """
    scene.reset(seed)
    scene.set_task(judged_by or instruction)
    policy.reset()
    spec = policy.spec
    task = Task(
        task_id="lockstep",
        instruction=instruction,
        policy=spec.name,
        columns=spec.columns,
        horizon=spec.horizon,
        step_ns=spec.step_ns,
        horizon_rows=horizon_rows,
        execution=execution or Execution(),
    )
    run = _Run(scene, policy, contract, task, round(latency_s * NS_PER_S))
    return run.play(seed, START_NS + round(max_s * NS_PER_S))


@dataclass(frozen=True, eq=False)
class _Pending:
    answer: Answer
    due_ns: int


class _Run:
    """One episode: tick, command, step; answers arrive after their latency."""

    def __init__(
        self, scene: TabletopScene, policy: Policy, contract: Contract, task: Task, latency_ns: int
    ) -> None:
        self._scene, self._policy, self._task = scene, policy, task
        self._tick_ns, self._latency_ns = contract.step_ns, latency_ns
        self._executor = Executor(contract)
        self._executor.activate(START_NS)
        self._executor.begin_task(task, START_NS)
        self._pending: _Pending | None = None
        self._refusals: list[str] = []
        self._commands: list[NDArray[np.float64]] = []
        self._measured: list[NDArray[np.float64]] = []

    @property
    def _now_ns(self) -> int:
        return START_NS + self._scene.time_ns

    def play(self, seed: int, until_ns: int) -> Executed:
        while self._now_ns < until_ns and not self._scene.success():
            self._tick()
        result = EpisodeResult(
            seed=seed,
            instruction=self._task.instruction,
            succeeded=self._scene.success(),
            duration_s=self._scene.time_ns / NS_PER_S,
            chunks=self._executor.snapshot(self._now_ns).chunks_accepted,
            commands=np.array(self._commands),
            measured=np.array(self._measured),
        )
        return Executed(result, self._executor.snapshot(self._now_ns), tuple(self._refusals))

    def _tick(self) -> None:
        now = self._now_ns
        self._executor.renew_lease(self._task.task_id, now)
        self._measure()
        self._deliver(now)
        decision = self._executor.tick(now)
        if decision.command is not None:
            self._scene.command(decision.command.positions[0])
        if decision.request is not None:
            self._ask(decision.request)
        self._commands.append(self._scene.targets())
        self._scene.step(self._tick_ns)
        self._measured.append(self._scene.joints()[0])

    def _measure(self) -> None:
        now, positions = self._now_ns, self._scene.joints()[0]
        self._executor.measure(self._scene.joint_names, positions.tolist(), now, now)

    def _ask(self, request: Request) -> None:
        spec, now = self._policy.spec, self._now_ns
        observation = observe(
            self._scene,
            self._task.instruction,
            with_images=bool(spec.images),
            with_objects="objects" in spec.state,
            as_of_ns=now,
        )
        chunk = self._policy.infer(observation, request.prefix if spec.accepts_prefix else None)
        self._pending = _Pending(self._answer(request, chunk), now + self._latency_ns)

    def _answer(self, request: Request, chunk: ActionChunk) -> Answer:
        return Answer(request.request_id, request.epoch, request.policy, chunk)

    def _deliver(self, now_ns: int) -> None:
        """Hand over an answer that is due; a refusal is the executor's to count and mend."""
        if self._pending is None or now_ns < self._pending.due_ns:
            return
        pending, self._pending = self._pending, None
        try:
            self._executor.accept(pending.answer, now_ns)
        except ChunkError as error:
            self._refusals.append(str(error))
