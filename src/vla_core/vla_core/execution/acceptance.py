"""Which chunks may become a plan. Everything else is refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_core.contract.model import Column
from vla_core.errors import ChunkError
from vla_core.execution.kinds import slowed, steady, unwrapped
from vla_core.execution.traits import traits
from vla_core.execution.values import Answer, Request, Task
from vla_core.types import ActionChunk, Epoch

# Between two rows a column may ask for this multiple of its velocity limit; more is a wrong unit
# or a broken policy, not a fast motion.
VELOCITY_TOLERANCE = 1.5


@dataclass(frozen=True)
class Place:
    """What the executor knows when a chunk arrives."""

    now_ns: int
    next_ns: int  # target time of the next tick
    rest_since_ns: int | None  # at rest since then; None: moving
    observed_ns: int | None  # newest observation played in this epoch; None: none yet
    has_plan: bool
    near: NDArray[np.float64]  # (A,) what is asked of the robot at the next tick
    plan_ns: Callable[[int], int]  # real time to the plan's time, see `pace.Pace`

    @property
    def next_plan_ns(self) -> int:
        """Target time of the next tick in the plan's time."""
        return self.plan_ns(self.next_ns)


@dataclass(frozen=True, eq=False)
class Accepted:
    """A chunk that may be played."""

    rows: NDArray[np.float64]  # (T, A), clamped into the limits
    start_ns: int  # when row 0 is due in the plan's time, after a shift to now if there was one
    observed_ns: int  # when the chunk was observed
    dropped_rows: int  # late
    clamped_rows: int
    sampled_ns: int  # stamp of the oldest sample in its observation


def check_addressee(answer: Answer, request: Request | None, epoch: Epoch, task: Task) -> None:
    """Check that an answer belongs to the request in flight.

    Raises:
        ChunkError: another epoch, policy or request; the policy's content is not to blame.
    """
    if answer.epoch != epoch:
        raise ChunkError(
            f"chunk of epoch {answer.epoch.counter}, expected {epoch.counter}: it was computed "
            "before a reset, a new instruction, another policy or a restart"
        )
    if answer.policy != task.policy:
        raise ChunkError(f"chunk of policy '{answer.policy}', expected '{task.policy}'")
    if request is None or answer.request_id != request.request_id:
        expected = "none" if request is None else str(request.request_id)
        raise ChunkError(
            f"chunk for request {answer.request_id}, in flight is {expected}: it was answered "
            "before, timed out, or never asked"
        )


def check_chunk(
    chunk: ActionChunk,
    task: Task,
    columns: tuple[Column, ...],
    place: Place,
    row_tolerance: float,
) -> Accepted:
    """Check a chunk's content and place it in time.

    Raises:
        ChunkError: wrong columns, step or length; stale, late, from the future; far outside the
            limits of position or velocity.
    """
    _check_form(chunk, task)
    start_ns, dropped = _start(chunk, place)
    first = max(0, dropped - 1)
    rows = unwrapped(chunk.values, columns, place.near, first)
    _check_velocity(rows, chunk.step_ns, columns, first)
    rows, clamped = _clamped(rows, columns, row_tolerance)
    rows = steady(rows, columns, place.near, first)
    sampled_ns = chunk.start_ns - max(chunk.ages_ns.values(), default=0)
    return Accepted(rows, start_ns, chunk.start_ns, dropped, clamped, sampled_ns)


def _check_form(chunk: ActionChunk, task: Task) -> None:
    if chunk.columns != task.columns:
        raise ChunkError(
            f"chunk columns: expected {list(task.columns)}, got {list(chunk.columns)}"
        )
    if chunk.step_ns != task.step_ns:
        raise ChunkError(
            f"chunk step: expected {task.step_ns / 1e6:g} ms, got {chunk.step_ns / 1e6:g} ms"
        )
    if chunk.horizon < 2:
        raise ChunkError(f"chunk: expected at least 2 rows, got {chunk.horizon}")


def _start(chunk: ActionChunk, place: Place) -> tuple[int, int]:
    """Return when row 0 is due and how many rows are late."""
    if chunk.start_ns > place.now_ns + chunk.step_ns:
        raise ChunkError(
            f"chunk starts {(chunk.start_ns - place.now_ns) / 1e9:.3f} s in the future; compare "
            "the clocks of the machines"
        )
    if place.observed_ns is not None and chunk.start_ns < place.observed_ns:
        raise ChunkError(
            f"chunk is stale: its observation is {(place.observed_ns - chunk.start_ns) / 1e9:.3f}"
            " s older than that of the newest plan"
        )
    if not place.has_plan:
        if place.rest_since_ns is None or chunk.start_ns < place.rest_since_ns:
            raise ChunkError("chunk was observed before the robot came to rest")
        return place.next_plan_ns, 0  # nothing has moved since: nothing is lost
    start_ns = place.plan_ns(chunk.start_ns)
    late = max(0, -((start_ns - place.next_plan_ns) // chunk.step_ns))
    if late >= chunk.horizon - 2:
        raise ChunkError(
            f"chunk is late: {min(late, chunk.horizon)} of its {chunk.horizon} rows are past"
        )
    return start_ns, late


def _check_velocity(
    rows: NDArray[np.float64], step_ns: int, columns: tuple[Column, ...], first: int
) -> None:
    its, rows = traits(columns), rows[first:]
    steps = np.abs(rows[1:] - rows[:-1]).max(axis=0) / (step_ns * 1e-9)
    asked = np.where(its.is_velocity, np.abs(rows).max(axis=0), steps)
    # Open and close are steps by nature; the limits make a motion of them.
    wrong = (asked > VELOCITY_TOLERANCE * its.velocity) & ~its.is_gripper
    if wrong.any():
        i = int(wrong.argmax())
        raise ChunkError(
            f"chunk asks column '{columns[i].name}' for {asked[i]:.3g} per second, its limit is "
            f"{columns[i].velocity:g}"
        )


def _clamped(
    rows: NDArray[np.float64], columns: tuple[Column, ...], tolerance: float
) -> tuple[NDArray[np.float64], int]:
    its = traits(columns)
    lower, upper = its.lower, its.upper
    beyond = np.maximum(rows - upper, lower - rows)
    # Fully open or closed is all that a gripper can be told: far beyond means no more than that.
    far = beyond > np.where(its.is_gripper, 1.0, tolerance) * (upper - lower)
    if far.any():
        row, i = np.argwhere(far)[0]
        raise ChunkError(
            f"chunk row {row} asks column '{columns[i].name}' for {rows[row, i]:.4g} "
            f"{columns[i].unit}, its limits are {lower[i]:g} to {upper[i]:g}"
        )
    clamped = np.minimum(np.maximum(slowed(rows, columns), lower), upper)
    return clamped, int((beyond > 0.0).any(axis=1).sum())
