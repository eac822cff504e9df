"""What is in force: epoch, task, plan, hold, stop. Everything that decides acts through it."""

from __future__ import annotations

from dataclasses import replace

from vla_core.contract.model import Contract
from vla_core.errors import ChunkError, NotReadyError
from vla_core.execution.counters import Counters
from vla_core.execution.guards import MeasuredState
from vla_core.execution.join import check_join
from vla_core.execution.limiter import Tip
from vla_core.execution.meters import Meters
from vla_core.execution.modes import Condition, Standing, standing
from vla_core.execution.pilot import Pilot
from vla_core.execution.trigger import RequestTrigger
from vla_core.execution.values import Correction, Execution, ExecutorSettings, Task
from vla_core.types import Epoch


class Session:
    """Holds and stops: the committed motion to rest simply stays in force."""

    def __init__(
        self, contract: Contract, settings: ExecutorSettings, boot_id: int, tip: Tip | None
    ) -> None:
        self.contract, self.settings = contract, settings
        self.epoch = Epoch(boot_id, 0)
        self.measured = MeasuredState(contract)
        self.pilot = Pilot(contract, self.measured, settings, tip)
        self.counters = Counters()
        self.meters = Meters(contract.step_ns, self.counters)
        self.standing = standing(Condition.INACTIVE)  # of the newest tick
        self.is_active = False
        self.task: Task | None = None
        self.trigger: RequestTrigger | None = None
        self.hold: Standing | None = None
        self.stop: Standing | None = None
        self.correction: Correction | None = None

    def check_task(self, task: Task) -> None:
        """Check that a task may begin.

        Raises:
            NotReadyError: inactive, stopped, or another task is running.
            ChunkError: the policy's columns are not the robot's.
            ConfigurationError: the join does not exist, or the policy cannot be joined by it.
        """
        if not self.is_active:
            raise NotReadyError("the executor is not active: activate it first")
        if self.stop is not None:
            raise NotReadyError(f"the executor is stopped ({self.stop.reason}): reset it first")
        if self.task is not None:
            raise NotReadyError(f"task '{self.task.task_id}' is still running")
        if task.columns != self.contract.columns:
            raise ChunkError(
                f"policy '{task.policy}': expected columns {list(self.contract.columns)}, "
                f"got {list(task.columns)}"
            )
        check_join(task.execution.join, task.policy, task.accepts_prefix)

    def begin(self, task: Task) -> None:
        """Put a task in force."""
        self.next_epoch()
        self.task = task
        self.trigger = self._trigger_for(task)
        self.counters = Counters()
        self.meters = Meters(self.contract.step_ns, self.counters)

    def _trigger_for(self, task: Task) -> RequestTrigger:
        """Keep what is known about a policy's latency when it gets another instruction."""
        if self.trigger is not None and self.trigger.serves(task):
            self.trigger.restart(task)
            return self.trigger
        return RequestTrigger(task, self.settings)

    def change(self, execution: Execution) -> None:
        """Play the running task's chunks otherwise from the next one on.

        Raises:
            ConfigurationError: the join does not exist, or the policy cannot be joined by it.
        """
        if self.task is None or self.trigger is None:
            return
        check_join(execution.join, self.task.policy, self.task.accepts_prefix)
        self.task = replace(self.task, execution=execution)
        self.trigger.change(self.task)

    def end(self, now_ns: int) -> None:
        """Put no task in force."""
        self.forget_plan(now_ns)
        self.task = None
        self.hold = None

    def hold_for(self, condition: Condition, reason: str, now_ns: int) -> None:
        """Brake and hold until there is a fresh chunk."""
        if self.task is None or self.stop is not None:
            return
        self.hold = Standing(condition, reason)
        self.forget_plan(now_ns)

    def latch(self, condition: Condition, reason: str, now_ns: int) -> None:
        """Brake and stay stopped until reset; the first reason stays."""
        if self.stop is None:
            self.stop = Standing(condition, reason)
        self.hold = None
        self.forget_plan(now_ns)

    def forget_plan(self, now_ns: int) -> None:
        """Let the committed motion to rest go on."""
        if self.pilot.plan is not None and self.trigger is not None:
            self.trigger.cancel(now_ns)
        self.pilot.plan = None
        self.correction = None

    def next_epoch(self) -> None:
        """Drop whatever is still on its way."""
        self.epoch = self.epoch.next()
        self.pilot.observed_ns = None
        if self.trigger is not None:
            self.trigger.in_flight = None

    @property
    def valid_correction(self) -> Correction | None:
        """The newest correction, if it is meant for what is in force."""
        correction, task = self.correction, self.task
        if correction is None or task is None:
            return None
        is_ours = (correction.epoch, correction.policy) == (self.epoch, task.policy)
        return correction if is_ours else None
