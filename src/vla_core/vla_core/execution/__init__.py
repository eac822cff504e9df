"""From chunks to commands: plan, join, limits, requests, modes."""

from vla_core.execution.executor import Executor
from vla_core.execution.lockstep import Lockstep, Plant, run_lockstep
from vla_core.execution.modes import TABLE, Condition, Mode, modes_table
from vla_core.execution.values import (
    Answer,
    Command,
    Correction,
    Decision,
    Execution,
    ExecutorSettings,
    Request,
    Snapshot,
    Task,
)

__all__ = [
    "TABLE",
    "Answer",
    "Command",
    "Condition",
    "Correction",
    "Decision",
    "Execution",
    "Executor",
    "ExecutorSettings",
    "Lockstep",
    "Mode",
    "Plant",
    "Request",
    "Snapshot",
    "Task",
    "modes_table",
    "run_lockstep",
]
