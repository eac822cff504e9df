"""What a recording is made of: one class per kind of message, in numbers and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000
Floats = NDArray[np.float64]
Times = NDArray[np.int64]
EpochKey = tuple[int, int]  # boot id, counter

INACTIVE, IDLE, RUNNING, DEGRADED, HOLDING, STOPPED = range(6)
MODES = ("inactive", "idle", "running", "degraded", "holding", "stopped")
STACK_STAGES = ("wait", "decode", "hosting", "wire")  # of an answer; the others are the policy's
UNSTAMPED = 0  # a message without a header


@dataclass(frozen=True, eq=False)
class Command:
    """One command message of one receiver, columns in the order of the contract's output."""

    stamp_ns: int  # the tick
    arrived_ns: int  # wall clock
    times_ns: Times  # (K,) after the stamp; row 0 is the next point, the rest the braking tail
    positions: Floats  # (K, A); for velocity columns zero
    velocities: Floats  # (K, A); NaN where the sender left them out
    accelerations: Floats  # (K, A)
    is_finite: bool = True  # whether every number that was sent is


@dataclass(frozen=True, eq=False)
class Chunk:
    """One answer of a policy."""

    arrived_ns: int  # wall clock
    request_id: int
    epoch: EpochKey
    policy: str
    start_ns: int
    step_ns: int
    columns: tuple[str, ...]
    values: Floats  # (H, A)
    prefix_rows: int
    ages_ns: Mapping[str, int]
    stages_ns: Mapping[str, int]

    @property
    def inference_ns(self) -> int:
        """Time that the policy itself took, without what the stack added."""
        return sum(spent for name, spent in self.stages_ns.items() if name not in STACK_STAGES)

    @property
    def end_ns(self) -> int:
        """When the last row is due."""
        return self.start_ns + (len(self.values) - 1) * self.step_ns

    def at(self, times_ns: Times) -> Floats:
        """Return the rows at some times, linear in between, (T, A); NaN outside."""
        due = np.arange(len(self.values)) * self.step_ns
        at = np.asarray(times_ns - self.start_ns, np.float64)
        columns = [np.interp(at, due, v, left=np.nan, right=np.nan) for v in self.values.T]
        return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Request:
    """One request for a chunk."""

    arrived_ns: int
    sent_ns: int
    request_id: int
    epoch: EpochKey
    policy: str
    instruction: str


@dataclass(frozen=True)
class Failure:
    """A policy's word that there is no chunk."""

    arrived_ns: int
    request_id: int
    epoch: EpochKey
    policy: str
    code: int
    message: str


@dataclass(frozen=True)
class State:
    """One state of the executor; ``fields`` has all numbers of the message by name."""

    stamp_ns: int
    arrived_ns: int
    epoch: EpochKey
    mode: int
    reason: str
    task_id: str
    instruction: str
    policy: str
    fields: Mapping[str, float]


@dataclass(frozen=True)
class Task:
    """A stretch of time in which the executor had one task, in ROS time."""

    task_id: str
    instruction: str
    policy: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, eq=False)
class Series:
    """Samples of one state stream, entries in the order of the contract."""

    stamps_ns: Times  # (N,)
    arrived_ns: Times  # (N,) wall clock
    entries: tuple[str, ...]
    values: Floats  # (N, entries)
