"""From the goal of `ExecuteTask` to the core's task: which policy, how its chunks are played."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rclpy.task import Future

from vla_core.contract import PolicyConfig
from vla_core.errors import ConfigurationError, NotReadyError, VlaError
from vla_core.execution import Execution, Mode, Task
from vla_interfaces.action import ExecuteTask
from vla_interfaces.msg import PolicyState
from vla_ros.stamps import duration_ns

MODES = ("async", "sync")


class Policies:
    """The policies this executor may play: their files, and what their nodes say of themselves."""

    def __init__(self, configs: Mapping[str, PolicyConfig]) -> None:
        self._configs = configs
        self._states: dict[str, PolicyState] = {}

    def heard(self, state: PolicyState) -> str:
        """Remember what a policy node says it can do; return why it is not ready, if it is not."""
        self._states[state.policy] = state
        return "" if state.ready else f"policy '{state.policy}' is not ready: {state.reason}"

    def task(self, goal: ExecuteTask.Goal, mode: str, join: str) -> Task:
        """Return the core's task; ``mode`` and ``join`` overrule the policy's file unless empty.

        Raises:
            VlaError: why this goal cannot be executed.
        """
        if not goal.task_id or not goal.instruction.strip():
            raise VlaError("the goal needs a task id and an instruction, one of them is empty")
        config = self._configs.get(goal.policy)
        if config is None:
            raise VlaError(f"unknown policy '{goal.policy}'; known: {sorted(self._configs)}")
        state = self._states.get(goal.policy)
        if state is None:
            raise NotReadyError(f"policy '{goal.policy}': its node has not been heard of")
        if not state.ready:
            raise NotReadyError(f"policy '{goal.policy}' is not ready: {state.reason}")
        return Task(
            task_id=goal.task_id,
            instruction=goal.instruction,
            policy=goal.policy,
            columns=tuple(state.names),
            horizon=state.horizon,
            step_ns=duration_ns(state.step),
            horizon_rows=config.execution.horizon_rows,
            execution=self.execution(goal.policy, mode, join),
            accepts_prefix=state.accepts_prefix,
        )

    def execution(self, policy: str, mode: str, join: str) -> Execution:
        """Return how a known policy's chunks are played; empty: as its file says."""
        config = self._configs[policy].execution
        return replace(
            Execution.of(config),
            synchronous=(mode or config.mode) == "sync",
            join=join or config.join,  # type: ignore[arg-type]  # checked by check_choice
        )


class RunningTask:
    """A goal in execution; ``ended`` is what its coroutine awaits."""

    def __init__(self, handle: Any, task_id: str, policy: str) -> None:
        self._handle = handle
        self.task_id = task_id
        self.policy = policy
        self.ended: Future = Future()
        self.is_ending = False
        self.leased_s = time.monotonic()

    @property
    def is_cancel_requested(self) -> bool:
        """Whether the client wants it to end."""
        return bool(self._handle.is_cancel_requested)

    def tell(self, mode: Mode, reason: str, chunks: int) -> None:
        """Send feedback to the client."""
        self._handle.publish_feedback(
            ExecuteTask.Feedback(mode=int(mode), reason=reason, chunks=chunks)
        )

    def end(self, ended: int, message: str) -> None:
        """End the goal with this result."""
        if self._handle.is_cancel_requested:
            self._handle.canceled()
        else:
            self._handle.abort()
        self.ended.set_result(ExecuteTask.Result(ended=ended, message=message))


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a parameter that is neither empty nor one of ``known``.

    Raises:
        ConfigurationError: with the known values.
    """
    if value and value not in known:
        raise ConfigurationError(
            f"parameter '{name}': expected one of {list(known)} or nothing, got '{value}'"
        )
