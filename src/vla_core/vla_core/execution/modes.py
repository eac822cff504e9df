"""The one table: condition, mode, what is commanded, whether it resumes. Docs are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Mode(IntEnum):
    """What the executor is doing; values of ExecutorState.MODE_*."""

    INACTIVE = 0
    IDLE = 1
    RUNNING = 2
    DEGRADED = 3
    HOLDING = 4
    STOPPED = 5


class Condition(Enum):
    """Every situation the executor can be in."""

    INACTIVE = "not activated"
    NO_TASK = "active, no task"
    NO_CHUNK = "task begun, no chunk yet"
    PLAYING = "inside the execution horizon"
    PAST_HORIZON = "the next chunk is late, rows past the horizon are left"
    RUN_OUT = "the plan has run out"
    WAITING = "synchronous: waiting for the next chunk"
    REJECTED = "chunks refused three times in a row"
    FAILED = "inference failed five times in a row"
    DISAGREEMENT = "old and new plan are too far apart to blend"
    LEASE_LOST = "no lease from the router for 1 s"
    CLOCK_JUMP = "the clock jumped, or ticks were missing, by more than 0.1 s"
    PAUSED = "the speed scale is 0"
    MEASURED_MISSING = "no measured state yet"
    MEASURED_OLD = "measured state older than 0.2 s"
    TASK_ENDED = "the task has ended, the robot still moves"
    DEACTIVATED = "deactivated, the robot still moves"
    STOP_REQUESTED = "stop requested"
    TRACKING_ERROR = "the robot does not follow"
    MEASURED_LOST = "no measured state for 2 s"
    OUT_OF_PLACE = "the robot is outside its limits at the start"
    LIMITER_FAILED = "a target is not finite or the limiter failed"


@dataclass(frozen=True)
class Standing:
    """A condition with its sentence."""

    condition: Condition
    reason: str


def standing(condition: Condition) -> Standing:
    """Return a condition with its general sentence."""
    return Standing(condition, condition.value)


class Output(Enum):
    """What is commanded. Whatever still moves is braked first, in every condition."""

    NOTHING = "nothing"
    PLAN = "the plan, after limits"
    HOLD = "brakes inside the limits, then holds (velocities: ramp to zero)"
    SILENCE = "brakes inside the limits, then nothing"


@dataclass(frozen=True)
class Row:
    """What one condition means."""

    mode: Mode
    output: Output
    resumes: str


_FRESH = "yes: a chunk observed after coming to rest, under a valid lease"
_RESET = "no: needs reset"

TABLE: dict[Condition, Row] = {
    Condition.INACTIVE: Row(Mode.INACTIVE, Output.NOTHING, "yes: on activation"),
    Condition.NO_TASK: Row(Mode.IDLE, Output.NOTHING, "yes: with a task"),
    Condition.NO_CHUNK: Row(Mode.HOLDING, Output.NOTHING, "yes: with the first chunk"),
    Condition.PLAYING: Row(Mode.RUNNING, Output.PLAN, "–"),
    Condition.PAST_HORIZON: Row(Mode.DEGRADED, Output.PLAN, "yes: with a chunk"),
    Condition.RUN_OUT: Row(Mode.HOLDING, Output.HOLD, _FRESH),
    Condition.WAITING: Row(Mode.HOLDING, Output.HOLD, _FRESH),
    Condition.REJECTED: Row(Mode.HOLDING, Output.HOLD, _FRESH),
    Condition.FAILED: Row(Mode.HOLDING, Output.HOLD, _FRESH),
    Condition.DISAGREEMENT: Row(Mode.HOLDING, Output.HOLD, _FRESH),
    Condition.LEASE_LOST: Row(Mode.HOLDING, Output.HOLD, f"{_FRESH} (renewed)"),
    Condition.CLOCK_JUMP: Row(Mode.HOLDING, Output.HOLD, f"{_FRESH}, in a new epoch"),
    Condition.PAUSED: Row(Mode.HOLDING, Output.HOLD, f"{_FRESH}, at a speed above 0"),
    Condition.MEASURED_MISSING: Row(Mode.HOLDING, Output.NOTHING, "yes: when it comes"),
    Condition.MEASURED_OLD: Row(Mode.HOLDING, Output.SILENCE, f"{_FRESH}, measured again"),
    Condition.TASK_ENDED: Row(Mode.HOLDING, Output.SILENCE, "becomes idle at rest"),
    Condition.DEACTIVATED: Row(Mode.INACTIVE, Output.SILENCE, "yes: on activation"),
    Condition.STOP_REQUESTED: Row(Mode.STOPPED, Output.SILENCE, _RESET),
    Condition.TRACKING_ERROR: Row(Mode.STOPPED, Output.SILENCE, _RESET),
    Condition.MEASURED_LOST: Row(Mode.STOPPED, Output.SILENCE, _RESET),
    Condition.OUT_OF_PLACE: Row(Mode.STOPPED, Output.NOTHING, _RESET),
    Condition.LIMITER_FAILED: Row(Mode.STOPPED, Output.SILENCE, _RESET),
}


def modes_table() -> str:
    """Return the table as Markdown; the README carries it, a test compares."""
    lines = ["| Condition | Mode | Command | Resumes by itself |", "|---|---|---|---|"]
    for condition, row in TABLE.items():
        mode = row.mode.name.lower()
        lines.append(f"| {condition.value} | `{mode}` | {row.output.value} | {row.resumes} |")
    return "\n".join(lines)
